#!/usr/bin/env python3
"""Take the pictures of the studio that stand in the README: songs, a training, what was learned.

Songs are written by ``acestep.mini.folder``, a short training is run on them, and three pages are
photographed in Debian's Chromium: ``studio-dataset.png``, ``studio-train.png`` and
``studio-jobs.png``.
With ``--all`` every page is, at 1280 and at 390 pixels, light and dark.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import CHROMIUM  # noqa: E402
from studio_server import open_tab, running_studio, visited  # noqa: E402

from acestep.mini.folder import write_songs  # noqa: E402
from acestep.web.app import PAGES  # noqa: E402
from acestep.web.workspace import Workspace  # noqa: E402

STYLE, SONGS, SECONDS = "cumbia", 8, 12.0
WORK = [
    ["scan", "songs", "-o", "dataset.json", "--tag", "mycumbia", "--tag-position", "prepend"],
    ["label", "dataset.json"],
    ["preprocess", "dataset.json", "-o", "tensors"],
    ["train", "tensors", "-o", "runs/adapter", "--epochs", "20", "--save-every", "10",
     "--rank", "16", "--learning-rate", "1e-3", "--batch-size", "2"],
]  # fmt: skip
README = {"dataset": ("training", "dataset"), "train": ("training", "train"), "jobs": ("jobs",)}


def main() -> None:
    """Make a folder with something in it, and photograph the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as root,
        running_studio(fill(Path(root))) as studio,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, tabs in README.items():
            take(browser, studio, tabs, given.output / f"studio-{name}.png")
        for width, scheme in [(1280, "light"), (390, "light"), (1280, "dark"), (390, "dark")]:
            for tabs in every_page() if given.all else []:
                file = given.output / f"{tabs[-1]}-{width}-{scheme}.png"
                take(browser, studio, tabs, file, width=width, scheme=scheme)


def every_page() -> list[tuple[str, ...]]:
    """The tabs of each page."""
    found: list[tuple[str, ...]] = []
    for tab, page in PAGES:
        found += [(tab,)] if isinstance(page, str) else [(tab, inner) for inner, _ in page]
    return found


def fill(root: Path) -> Path:
    """Songs, and the guide's way through them, as jobs."""
    (root / "songs").mkdir()
    for _ in write_songs(root / "songs", STYLE, SONGS, SECONDS):
        pass
    jobs = Workspace.open([root]).jobs
    for words in WORK:
        job = jobs.submit(words, page={"scan": "dataset"}.get(words[0], words[0]))
        while job.state() in ("waiting", "running"):
            jobs.advance()
            time.sleep(0.2)
        if job.state() != "done":
            raise SystemExit(f"{words[0]}: {job.state()}\n{job.log()}")
    return root


def take(browser, studio, tabs: tuple[str, ...], file: Path, **look) -> None:
    """Photograph one page as a user comes to it."""
    with visited(browser, studio, file.stem, **look) as page:
        open_tab(page, *tabs)
        for button in ("#dataset-load", "#train-load"):
            if page.locator(f"{button}:visible").count():
                page.locator(button).click()
        page.wait_for_timeout(5000)
        page.screenshot(path=file, full_page=True)


if __name__ == "__main__":
    main()
