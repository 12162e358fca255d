"""Versions of a dataset file: kept by every save, and gone back to."""

import json
import os
import sys
from pathlib import Path

import pytest

from acestep.data.history import (
    KEPT,
    difference,
    go_back,
    history_folder,
    keep_version,
    versions,
)
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.errors import DatasetError


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "d.json"


def save(path: Path, bpm: int, **knobs) -> None:
    save_dataset(Dataset(path, songs=[Song("a.wav", id="a", bpm=bpm)]), path, **knobs)


def bpm(path: Path) -> int | None:
    return load_dataset(path).songs[0].bpm


def test_the_first_save_has_no_version_before_it(path):
    save(path, 60)
    assert os.listdir(path.parent) == ["d.json"] and versions(path) == []
    with pytest.raises(DatasetError, match="has 0 earlier versions"):
        go_back(path)
    assert bpm(path) == 60


def test_undo_goes_back_step_by_step_and_forward_again(path):
    for tempo in (60, 70, 80):
        save(path, tempo)
    seen = []
    for steps in (1, 1, -1, -1, 2, -2):
        go_back(path, steps)
        seen.append(bpm(path))
    assert seen == [70, 60, 70, 80, 60, 80]
    for steps in (3, -1):
        with pytest.raises(DatasetError, match="2 earlier versions, and 0 that were undone"):
            go_back(path, steps)
    assert bpm(path) == 80


def test_a_save_after_an_undo_loses_nothing(path):
    for tempo in (60, 70, 80):
        save(path, tempo)
    go_back(path, 2)
    save(path, 90)
    order = []
    for _ in range(3):
        go_back(path)
        order.append(bpm(path))
    assert order == [60, 80, 70]
    go_back(path, -3)
    assert bpm(path) == 90


def test_the_last_twenty_are_kept_and_all_can_be_gone_back_to(path):
    for tempo in range(60, 100):
        save(path, tempo)
    assert len(versions(path)) == KEPT + 1
    go_back(path, KEPT)
    assert bpm(path) == 99 - KEPT
    go_back(path, -KEPT)
    assert bpm(path) == 99
    names = sorted(os.listdir(history_folder(path)))
    assert len(names) == KEPT + 1 and all(name.endswith(".json") for name in names)


def test_saving_the_same_again_makes_no_version(path):
    save(path, 60)
    save(path, 60)
    save(path, 60)
    assert len(versions(path)) == 1
    save(path, 70)
    assert [version.steps for version in versions(path)] == [1]


def test_what_is_saved_on_the_way_makes_no_version(path):
    save(path, 60)
    save(path, 70)
    for tempo in (71, 72, 73):
        save(path, tempo, version=False)
    go_back(path)
    assert bpm(path) == 60
    go_back(path, -1)
    assert bpm(path) == 73


@pytest.mark.parametrize("broken", [b"", b"{", b"\xff", b"null", b'{"samples": 3}'])
def test_what_was_changed_by_hand_is_kept_even_if_it_is_broken(path, broken):
    save(path, 60)
    path.write_bytes(broken)
    save(path, 70)
    go_back(path)
    assert path.read_bytes() == broken
    path.write_bytes(broken + b" ")
    go_back(path)
    assert bpm(path) == 70
    go_back(path, -1)
    assert path.read_bytes() == broken + b" "
    assert isinstance(difference(versions(path)[0].path, path), str)


def test_a_file_that_was_deleted_comes_back(path):
    save(path, 60)
    save(path, 70)
    path.unlink()
    keep_version(path)
    go_back(path)
    assert bpm(path) == 60


def test_versions_know_when_they_were_saved(path):
    save(path, 60)
    os.utime(path, (1000, 1000))
    save(path, 70)
    (version,) = versions(path)
    assert (version.when, version.steps) == (1000, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_the_history_lies_beside_the_file_not_beside_a_link(path):
    (path.parent / "real").mkdir()
    save(path.parent / "real/d.json", 60)
    path.symlink_to(path.parent / "real/d.json")
    save(path, 70)
    assert (path.parent / "real/d.json.history").is_dir() and path.is_symlink()
    go_back(path)
    assert bpm(path) == 60 and path.is_symlink()


def test_other_files_in_the_folder_are_left_alone(path):
    save(path, 60)
    save(path, 70)
    (history_folder(path) / "notes.txt").write_text("mine")
    for tempo in range(71, 99):
        save(path, tempo)
    assert (history_folder(path) / "notes.txt").read_text() == "mine"


def test_a_history_that_cannot_be_written_stops_the_save(path):
    save(path, 60)
    history_folder(path).write_text("a file")
    with pytest.raises(DatasetError, match="history cannot be written"):
        save(path, 70)
    with pytest.raises(DatasetError, match="history cannot be"):
        go_back(path)
    assert bpm(path) == 60


def test_differences_are_said_in_a_few_words(tmp_path):
    before, after = tmp_path / "a", tmp_path / "b"
    songs = [{"id": name, "bpm": 60, "sources": {}} for name in "abc"]
    before.write_text(json.dumps({"activation_tag": "x", "samples": songs}))
    changed = [{**song, "bpm": 120, "sources": {"bpm": "person"}} for song in songs[:2]]
    after.write_text(json.dumps({"activation_tag": "y", "samples": [*changed, {"id": "d"}]}))
    assert difference(before, after) == "2 songs: bpm; 1 added; 1 gone; activation_tag"
    assert difference(before, before) == ""
    songs[2]["sources"] = {"bpm": "person"}
    before.write_text(json.dumps({"activation_tag": "y", "samples": [*changed, songs[2]]}))
    after.write_text(json.dumps({"activation_tag": "y", "samples": songs}))
    assert difference(before, after) == "2 songs: bpm"
    before.write_text(json.dumps(songs))
    after.write_text("broken")
    assert difference(before, before) == "" and difference(before, after) == "3 gone"
