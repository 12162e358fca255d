"""A studio in a process of its own, as a user has it, and its pages in a browser."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gradio_client import Client

from acestep.web.words import table

ARTIFACTS = Path(__file__).parents[1] / "test-artifacts"  # screenshots of what failed
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
PATIENCE = 600.0  # seconds, for a machine with too much to do
SLOW = 1000 * PATIENCE  # ms: what the browser waits for
MOVED = 10_000  # ms: after which a tab that cannot be clicked is looked for elsewhere


@dataclass
class Studio:
    """A running server: where it listens, and the folder it works in."""

    process: subprocess.Popen
    url: str
    root: Path

    def client(self) -> Client:
        """A program's way in."""
        patient = {"timeout": PATIENCE}  # httpx gives up after five seconds
        return Client(self.url, verbose=False, analytics_enabled=False, httpx_kwargs=patient)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(180)


def start_studio(root: Path, *flags: str) -> Studio:
    """Start a server on a folder, on a free port, and wait until it listens."""
    words = [sys.executable, "-m", "acestep", "studio", "--root", str(root), "--port", "0"]
    with (root / "studio.log").open("ab") as log:
        process = subprocess.Popen(
            [*words, *flags, "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            env=ENVIRONMENT,
            text=True,
            preexec_fn=_hear_ctrl_c,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (root / "studio.log").read_text(encoding="utf-8")
    event = json.loads(line)
    assert event["event"] == "started", event
    return Studio(process, event["facts"]["address"], root)


def _hear_ctrl_c() -> None:
    """A shell's background jobs are deaf to SIGINT, and so is what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_all(root: Path) -> None:
    """End every job that was started on a folder."""
    from acestep.web.workspace import Workspace

    jobs = Workspace.open([root]).jobs
    for job in jobs.all():
        if job.state() == "waiting":
            jobs.cancel(job.id)
        jobs.kill(job.id)


@contextmanager
def running_studio(root: Path, *flags: str) -> Iterator[Studio]:
    """A server that ends with its jobs."""
    studio = start_studio(root, *flags)
    try:
        yield studio
    finally:
        studio.kill()
        end_all(root)


@contextmanager
def visited(
    browser, studio: Studio, name: str, *, width: int = 1280, locale: str = "en-US",
    scheme: str = "light",
) -> Iterator:  # fmt: skip
    """The studio's page in a browser of its own: no script fails, nothing comes from elsewhere.

    If the test fails, what the page looked like is kept in ``test-artifacts``.
    """
    height = 900 if width > 640 else 844
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme
    )
    context.set_default_timeout(SLOW)
    page = context.new_page()
    failed, foreign = [], []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("dialog", lambda dialog: failed.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: foreign.append(request.url))
    try:
        page.goto(studio.url)
        page.locator("#pages").wait_for()
        yield page
        assert failed == []
        ours = (studio.url, "data:", "blob:")
        assert [url for url in foreign if not url.startswith(ours)] == []
    except BaseException:
        keep_picture(page, f"{name}-{width}")
        raise
    finally:
        context.close()


def keep_picture(page, name: str) -> None:
    """Keep what a page looks like when its test has failed."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.png", full_page=True)


def open_tab(page, *names: str) -> None:
    """Go to a page by its tabs, outer first; on a phone some stand in a menu.

    Which ones is known a moment after the page is there: a tab that has moved is looked for again.
    """
    from playwright.sync_api import TimeoutError as Moved

    page.locator("#pages [role=tab]:visible").first.wait_for()
    page.wait_for_timeout(300)
    for name in names:
        deadline = time.monotonic() + PATIENCE
        while not page.locator(f"#tab-{name}:visible").count():
            assert time.monotonic() < deadline, f"no tab {name}"
            with suppress(Moved):
                _click_tab(page, name)
                page.locator(f"#tab-{name}:visible").wait_for(timeout=MOVED)


def _click_tab(page, name: str) -> None:
    tab = page.locator(f"#tab-{name}-button:visible")
    if tab.count():
        tab.last.click(timeout=MOVED)
        return
    words = re.compile("|".join(f"^{re.escape(text)}$" for text in table()[f"tab.{name}"]))
    for menu in page.locator(".overflow-menu:visible").all():
        menu.locator("> button").click(timeout=MOVED)
        item = menu.locator(".overflow-dropdown button").filter(has_text=words)
        if item.count():
            item.click(timeout=MOVED)
            return
        menu.locator("> button").click(timeout=MOVED)
