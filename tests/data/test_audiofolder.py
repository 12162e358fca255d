"""A folder with the audio and its metadata, as Hugging Face's datasets load it."""

import json
import os
import sys

import pytest
from sound_files import make_song

from acestep.data.audiofolder import save_audiofolder
from acestep.data.song import Dataset, Song, load_dataset
from acestep.errors import DatasetError
from acestep.events import Skipped


@pytest.fixture
def dataset(tmp_path):
    names = ("songs/a.wav", "songs/sub/A.wav", "songs/b.flac", "songs/.hidden.wav")
    for name in names:
        make_song(tmp_path / name, 0.1)
    songs = [Song(name, id=str(number), bpm=90 + number) for number, name in enumerate(names)]
    return Dataset(tmp_path / "d.json", name="x", tag="myjazz", songs=songs)


def save(dataset, folder, **knobs) -> list[Skipped]:
    return [e for e in save_audiofolder(dataset, folder, **knobs) if isinstance(e, Skipped)]


def test_the_folder_holds_the_audio_and_a_line_for_each_song(dataset, tmp_path):
    assert save(dataset, tmp_path / "out/set") == []
    folder = tmp_path / "out/set"
    names = ["a.wav", "A-2.wav", "b.flac", "hidden.wav"]
    assert sorted(os.listdir(folder)) == sorted([*names, "metadata.jsonl"])
    assert (folder / "a.wav").read_bytes() == (tmp_path / "songs/a.wav").read_bytes()
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["file_name"] for row in rows] == names
    assert [list(row)[0] for row in rows] == ["file_name"] * 4
    # the columns have one type each, or the loader of the library stops
    kinds = [{key: type(value) for key, value in row.items()} for row in rows]
    assert kinds == [kinds[0]] * 4 and not {dict, list} & set(kinds[0].values())
    loaded = load_dataset(folder)
    assert [song.bpm for song in loaded.songs] == [90, 91, 92, 93] and loaded.tag == "myjazz"
    assert all(loaded.resolve(song).is_file() for song in loaded.songs)


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_audio_can_be_linked_to(dataset, tmp_path):
    for song in ("songs/a.wav", "songs/b.flac"):
        (tmp_path / song).chmod(0o444)
    save(dataset, tmp_path / "set", link=True)
    assert (tmp_path / "set/a.wav").readlink() == (tmp_path / "songs/a.wav").resolve()
    assert load_dataset(tmp_path / "set").songs[0].bpm == 90


def test_what_is_missing_or_no_audio_is_left_out(dataset, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    outside = tmp_path.parent / "outside.pem"
    outside.write_text("secret")
    dataset.songs[1:] = [Song("gone.wav"), Song("secret.txt"), Song("../outside.pem")]
    said = save(dataset, tmp_path / "set")
    assert [s.what for s in said] == ["gone.wav", "secret.txt", "outside.pem"]
    assert sorted(os.listdir(tmp_path / "set")) == ["a.wav", "metadata.jsonl"]


def test_a_folder_that_is_there_is_never_touched(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    save(dataset, tmp_path / "empty")
    assert (tmp_path / "empty/a.wav").is_file()
    before = sorted(os.listdir(tmp_path))
    (tmp_path / "file").write_text("x")
    for taken in ("empty", "songs", "file", "file/x"):
        with pytest.raises(DatasetError, match="is there already|cannot be written"):
            save(dataset, tmp_path / taken)
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "file"])


def test_without_any_audio_there_is_no_folder(dataset, tmp_path):
    dataset.songs = [Song("gone.wav")]
    with pytest.raises(DatasetError, match="no audio"):
        save(dataset, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert sorted(os.listdir(tmp_path)) == ["songs"]
