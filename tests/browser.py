"""A browser for tests of pages: Debian's Chromium through Playwright.

On a machine without one those tests are skipped, and say so; in CI they are required.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SLOW = 180_000  # ms: what a browser waits for on a machine with too much to do
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def chromium():
    """A running browser, for all tests of a module."""
    if CHROMIUM is None:
        assert os.environ.get("CI") != "true", "CI needs chromium"
        pytest.skip("chromium is not installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=SLOW
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser, file: Path, width: int = 1280, scheme: str = "light") -> Iterator:
    """A page from a file; afterwards it must have asked for nothing else and said no error."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(SLOW)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    page.goto(file.as_uri())
    yield page
    page.close()
    assert said == []
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {file.as_uri()}
