"""One running studio for the tests of a module, and its page."""

import pytest
from browser import chromium  # noqa: F401, a fixture
from studio_server import keep_picture, running_studio, visited

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio on an empty folder."""
    with running_studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture
def page(chromium, studio, request):  # noqa: F811
    """Its page at 1280 pixels, in English."""
    with visited(chromium, studio, request.node.name) as opened:
        yield opened
        if request.node.stash.get(FAILED, False):
            keep_picture(opened, request.node.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember of a test that it failed: its page is still open then."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
