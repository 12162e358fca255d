"""The folders that the studio may touch, and nothing beside them."""

import os

import pytest

from acestep.errors import ConfigError
from acestep.web.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    for name in ("music", "more", "secret"):
        (tmp_path / name).mkdir()
    return Workspace.open([tmp_path / "music", tmp_path / "more"])


def test_paths_begin_at_the_first_root_and_may_lie_in_any(workspace, tmp_path):
    assert workspace.path(" songs/a b.wav ") == tmp_path / "music" / "songs" / "a b.wav"
    assert workspace.path(".") == workspace.home
    assert workspace.path(str(tmp_path / "more" / "x")) == tmp_path / "more" / "x"
    assert workspace.path("../more/x") == tmp_path / "more" / "x"


@pytest.mark.parametrize(
    "text", ["..", "../secret", "/etc/passwd", "songs/../../secret/x", "~/x", "link/x", "loop/x",
             "../music-too"]
)  # fmt: skip
def test_what_leads_outside_is_refused(workspace, tmp_path, text):
    (workspace.home / "link").symlink_to(tmp_path / "secret")
    (workspace.home / "loop").symlink_to(workspace.home / "link")
    with pytest.raises(ConfigError, match="outside") as caught:
        workspace.path(text)
    assert "--root" in caught.value.hint and text in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "x" * 5000, "~nobody-of-that-name/x", "\udcff"])
def test_what_is_no_path_is_refused_or_lies_within(workspace, text):
    try:
        assert workspace.path(text).is_relative_to(workspace.home)
    except ConfigError as error:
        assert str(error)


def test_links_that_lead_in_a_circle_are_refused(workspace):
    (workspace.home / "one").symlink_to(workspace.home / "two")
    (workspace.home / "two").symlink_to(workspace.home / "one")
    with pytest.raises(ConfigError, match="not a path"):
        workspace.path("one/x")


def test_links_within_the_roots_are_followed(workspace, tmp_path):
    (workspace.home / "link").symlink_to(tmp_path / "more")
    assert workspace.path("link/x") == tmp_path / "more" / "x"


def test_a_root_that_is_itself_a_link_is_what_it_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    workspace = Workspace.open([tmp_path / "link"])
    assert workspace.path("x") == tmp_path / "real" / "x"


def test_paths_are_shown_as_they_would_be_typed(workspace, tmp_path):
    assert workspace.shown(workspace.home / "a" / "b.wav") == os.path.join("a", "b.wav")
    assert workspace.shown(tmp_path / "more" / "x") == str(tmp_path / "more" / "x")


def test_roots_must_be_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as caught:
        Workspace.open([tmp_path / "file", tmp_path / "no", tmp_path])
    assert [str(tmp_path / name) in str(caught.value) for name in ("file", "no")] == [True, True]
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError):
        Workspace.open([])
