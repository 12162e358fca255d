"""The Dataset Builder's answers, without a browser."""

import errno
import os
import time

import pytest
from dataset_files import scanned_dataset

from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.web.builder import (
    encoder_text,
    find_song,
    keep_typed,
    lights_html,
    open_dataset,
    save_song,
    show_song,
    song_sound,
    tag_html,
)
from acestep.web.drafts import Drafts
from acestep.web.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    scanned_dataset(tmp_path)
    return Workspace.open([tmp_path])


def file_of(workspace) -> str:
    (file,) = [path.name for path in workspace.home.glob("*.json")]
    return file


def test_open_show_save(workspace):
    file = file_of(workspace)
    table, slider, told = open_dataset(workspace, file, "en")
    assert len(table["data"]) == 3 and "3 songs" in told
    fields = show_song(workspace, file, 1, "en")
    assert fields[0] == "" and song_sound(workspace, file, 1).endswith(".wav")
    typed = {"caption": "warm jazz", "bpm": "90", "lyrics": "", "instrumental": True}
    table, said = save_song(workspace, file, 1, typed, "en")
    assert "Saved" in said and table["data"][0][5] == "90"
    song = load_dataset(workspace.home / file).songs[0]
    assert (song.caption, song.bpm, song.source("caption")) == ("warm jazz", 90, "person")
    assert "warm jazz" in encoder_text(workspace, file, 1)


def test_what_cannot_be_saved_stays_a_draft_and_is_told(workspace):
    file = file_of(workspace)
    _, song = find_song(workspace, file, 2)
    drafts = Drafts(workspace, workspace.path(file))
    drafts.keep(song.id, {"bpm": "fast"})
    _, said = save_song(workspace, file, 2, {"bpm": "fast"}, "en")
    assert 'role="alert"' in said and "fast" in said
    assert drafts.of(song.id) == {"bpm": "fast"}
    shown = show_song(workspace, file, 2, "en")
    assert shown[2] == "fast" and "bpm" in shown[-2]
    save_song(workspace, file, 2, {"bpm": "80"}, "en")
    assert drafts.of(song.id) == {}


@pytest.mark.parametrize(("file", "which"), [("no.json", 1), ("", ""), (None, 99), (None, "")])
def test_what_belongs_to_no_song_is_not_saved_and_this_is_said(workspace, file, which):
    file = file_of(workspace) if file is None else file
    before = {path: path.read_bytes() for path in workspace.home.glob("*.json")}
    _, said = save_song(workspace, file, which, {"caption": "warm jazz"}, "en")
    assert 'role="alert"' in said
    assert keep_typed(workspace, file, str(which), {"caption": "warm jazz"}) == ""
    assert {path: path.read_bytes() for path in workspace.home.glob("*.json")} == before


def test_a_full_disk_is_said_while_typing(workspace, monkeypatch):
    file = file_of(workspace)
    _, song = find_song(workspace, file, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert keep_typed(workspace, file, song.id, {"caption": "warm"}) == ""
    monkeypatch.setattr(os, "fsync", full)
    for typed in ({"caption": "warm jazz"}, None):
        said = keep_typed(workspace, file, song.id, typed)
        assert 'role="alert"' in said and "No space left" in said and "Traceback" not in said
    _, said = save_song(workspace, file, 1, {"caption": "warm jazz"}, "en")
    assert "No space left" in said
    monkeypatch.undo()
    assert Drafts(workspace, workspace.path(file)).of(song.id) == {"caption": "warm"}
    assert keep_typed(workspace, file, song.id, None) == ""
    assert Drafts(workspace, workspace.path(file)).of(song.id) == {}


def test_a_tag_is_judged_as_it_is_typed(workspace):
    file = file_of(workspace)
    assert "good tag" in tag_html(workspace, "mylofi", "prepend", file, "en")
    assert "ordinary word" in tag_html(workspace, "jazz", "prepend", file, "en")
    hostile = tag_html(workspace, "<script>x", "append", file, "ko")
    assert "<script>" not in hostile and "모델이 읽는 글" in hostile


def test_lights_and_files_that_are_none(workspace):
    html = lights_html(workspace, file_of(workspace), "en")
    assert 'aria-label="too little"' in html and "songs" in html
    for wrong in ("no.json", "../x", "", "songs"):
        assert 'role="alert"' in lights_html(workspace, wrong, "en")
        assert 'role="alert"' in open_dataset(workspace, wrong, "en")[2]
        assert find_song(workspace, wrong, 1) == (None, None)
    assert find_song(workspace, file_of(workspace), 99)[1] is None


def test_two_hundred_songs_are_quick(tmp_path):
    songs = [
        Song(f"{n}.wav", f"id{n}", caption=f"song number {n}", bpm=60 + n % 100, duration=200)
        for n in range(200)
    ]
    save_dataset(Dataset(name="many", tag="zz", songs=songs), tmp_path / "d.json")
    workspace = Workspace.open([tmp_path])
    open_dataset(workspace, "d.json", "en")
    began = time.process_time()
    for number in range(1, 11):
        show_song(workspace, "d.json", number, "en")
    assert (time.process_time() - began) / 10 < 0.2
