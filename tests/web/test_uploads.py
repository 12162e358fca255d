"""Files that were dropped on the page."""

import numpy as np
import pytest

from acestep.data.audio import write_audio
from acestep.errors import ConfigError
from acestep.web.uploads import place, take_uploads
from acestep.web.workspace import Workspace


@pytest.fixture
def dropped(tmp_path):
    """A song, its caption, and a program that calls itself a song, outside of the root."""
    folder = tmp_path / "browser"
    tone = 0.1 * np.sin(np.arange(48000) / 20).astype(np.float32)
    write_audio(folder / "한 <i>song.wav", np.stack([tone, tone]), 48000)
    (folder / "song.caption.txt").write_text("jazz")
    (folder / "virus.mp3").write_bytes(b"\x7fELF\x00\xff" * 100)
    return folder


def test_songs_and_sidecars_are_taken_and_counted(dropped, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    workspace = Workspace.open([root])
    files = [str(dropped / "한 <i>song.wav"), str(dropped / "song.caption.txt")]
    html = take_uploads(workspace, files, "songs", "en")
    assert "2 files" in html and "problem" not in html
    taken = {path.name for path in (root / "songs").iterdir()}
    assert taken == {"한 <i>song.wav", "song.caption.txt"}
    assert "2개" in take_uploads(workspace, files, "songs", "ko")
    assert {path.name for path in (root / "songs").iterdir()} == taken


def test_if_one_is_no_song_none_is_taken(dropped, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    html = take_uploads(
        Workspace.open([root]), [str(path) for path in dropped.iterdir()], "songs", "en"
    )
    assert "virus.mp3" in html and 'role="alert"' in html
    assert not (root / "songs").exists()
    assert "outside" in take_uploads(Workspace.open([root]), [], "../..", "en")


def test_another_file_of_the_same_name_is_kept(tmp_path):
    for name, text in (("a", "one"), ("b", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(text)
    there = tmp_path / "there"
    assert place(tmp_path / "a" / "x.txt", there) == there / "x.txt"
    assert place(tmp_path / "b" / "x.txt", there) == there / "x-2.txt"
    assert place(tmp_path / "b" / "x.txt", there) == there / "x-2.txt"
    assert (there / "x.txt").read_text() == "one"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "x.txt").write_text("one")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write to"):
        place(tmp_path / "x.txt", tmp_path / "file" / "inside")
