"""Labels written beside songs, and read back as what they were."""

import json
import os
import sys
from pathlib import Path

import pytest
from sound_files import make_song

from acestep.data.sidecar_files import sidecar_texts, write_sidecars
from acestep.data.sidecars import Sidecars, fill
from acestep.data.song import Dataset, Song

LABELS = {"caption": "warm jazz", "lyrics": "[Verse 1]\n사랑해", "bpm": 85, "keyscale": "A minor",
          "timesignature": "4", "language": "ko", "genre": "jazz", "title": "Blue"}  # fmt: skip
SOURCES = {"caption": "draft", "lyrics": "person", "bpm": "analysis", "keyscale": "person",
           "timesignature": "lm", "language": "sidecar", "genre": "tag",
           "title": "tag"}  # fmt: skip


@pytest.fixture
def dataset(tmp_path):
    make_song(tmp_path / "songs/a.wav", 0.1)
    song = Song("songs/a.wav", id="a", **LABELS, sources=dict(SOURCES))
    return Dataset(tmp_path / "dataset.json", tag="myjazz", songs=[song])


def written(dataset: Dataset, **knobs) -> str:
    return "\n".join(f"{said.about}: {said.message}" for said in write_sidecars(dataset, **knobs))


def listing(dataset: Dataset) -> list[str]:
    return sorted(os.listdir(dataset.folder / "songs"))


def read_back(dataset: Dataset) -> Song:
    file = dataset.folder / "songs/a.wav"
    song = Song("songs/a.wav", id="a")
    found, notices = Sidecars([], [file]).labels(file)
    assert notices == []
    fill(song, found)
    return song


def test_the_official_files_are_written(dataset):
    assert "3 sidecars written: a.caption.txt, a.json, a.lyrics.txt" in written(dataset)
    folder = dataset.folder / "songs"
    assert (folder / "a.caption.txt").read_text(encoding="utf-8") == "warm jazz\n"
    assert (folder / "a.lyrics.txt").read_text(encoding="utf-8") == "[Verse 1]\n사랑해\n"
    record = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    official = {"bpm": 85, "keyscale": "A minor", "timesignature": "4", "language": "ko"}
    assert {key: record[key] for key in official} == official
    assert "caption" not in record and "lyrics" not in record
    before = {name: (folder / name).stat().st_mtime_ns for name in listing(dataset)}
    assert "0 sidecars" in written(dataset)
    assert before == {name: (folder / name).stat().st_mtime_ns for name in listing(dataset)}


def test_what_is_read_back_has_its_values_and_its_sources(dataset):
    written(dataset)
    song = read_back(dataset)
    assert {name: vars(song)[name] for name in LABELS} == LABELS and not song.instrumental
    trusted = {
        name: "sidecar" if source == "person" else source for name, source in SOURCES.items()
    }
    assert {name: song.sources[name] for name in SOURCES} == trusted


def test_what_a_person_changes_in_a_file_is_the_persons(dataset):
    written(dataset)
    folder = dataset.folder / "songs"
    (folder / "a.caption.txt").write_text("cold jazz", encoding="utf-8")
    record = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    (folder / "a.json").write_text(json.dumps(record | {"bpm": 170, "mine": 1}), encoding="utf-8")
    song = read_back(dataset)
    assert (song.caption, song.source("caption")) == ("cold jazz", "sidecar")
    assert (song.bpm, song.source("bpm")) == (170, "sidecar")
    assert song.source("timesignature") == "lm"
    said = written(dataset)
    assert "a.caption.txt says something else and is left" in said and "a.json says" in said
    assert "0 sidecars" in said and (folder / "a.caption.txt").read_text() == "cold jazz"
    assert "2 sidecars" in written(dataset, overwrite=LABELS)
    assert (folder / "a.caption.txt").read_text() == "warm jazz\n"
    assert (folder / "a.caption.txt.bak").read_text() == "cold jazz"
    assert json.loads((folder / "a.json.bak").read_text())["bpm"] == 170
    now = json.loads((folder / "a.json").read_text())
    assert (now["bpm"], now["mine"]) == (85, 1)


def test_what_we_wrote_follows_the_labels_without_a_backup(dataset):
    written(dataset)
    dataset.songs[0].give("caption", "late jazz", "lm")
    dataset.songs[0].give("bpm", 86, "analysis")
    assert "2 sidecars" in written(dataset)
    assert read_back(dataset).caption == "late jazz" and read_back(dataset).bpm == 86
    assert listing(dataset) == ["a.caption.txt", "a.json", "a.lyrics.txt", "a.wav"]


def test_a_persons_json_is_not_even_completed_unless_told(dataset):
    mine = dataset.folder / "songs/A.JSON"
    mine.write_text('{"bpm": 85, "energy": 3}', encoding="utf-8")
    assert "A.JSON says something else" in written(dataset)
    assert mine.read_text() == '{"bpm": 85, "energy": 3}'
    written(dataset, overwrite=LABELS)
    assert json.loads(mine.read_text())["energy"] == 3 and "a.json" not in listing(dataset)
    assert json.loads(mine.read_text())["keyscale"] == "A minor"


def test_nothing_is_written_for_what_is_not_known(dataset):
    assert sidecar_texts(Song("b.wav")) == {}
    assert list(sidecar_texts(Song("b.wav", caption="x"))) == [".caption.txt", ".json"]
    instrumental = sidecar_texts(Song("b.wav", instrumental=True, language="unknown"))
    assert instrumental[".lyrics.txt"] == "[Instrumental]\n"
    assert "language" not in json.loads(instrumental[".json"])
    dataset.songs = [Song("songs/missing.wav", caption="x"), Song("songs/a.wav")]
    assert "0 sidecars" in written(dataset) and listing(dataset) == ["a.wav"]


def test_songs_that_would_share_their_sidecars_have_none(dataset):
    make_song(dataset.folder / "songs/A.flac", 0.1)
    dataset.songs.append(Song("songs/A.flac", caption="other"))
    said = written(dataset)
    assert "another song beside it" in said and listing(dataset) == ["A.flac", "a.wav"]


def test_a_dataset_that_is_called_like_a_song_stays_a_dataset(dataset):
    make_song(dataset.folder / "dataset.wav", 0.1)
    dataset.songs[0].audio_path = "dataset.wav"
    other = '{"samples": [{"audio_path": "x.wav"}]}'
    for path in (dataset.folder / "dataset.json", dataset.folder / "songs/a.json"):
        path.write_text(other, encoding="utf-8")
    dataset.songs.append(Song("songs/a.wav", bpm=3, caption="x"))
    said = written(dataset, overwrite=LABELS)
    assert "dataset.json is a dataset" in said and "a.json is a dataset" in said
    assert (dataset.folder / "dataset.json").read_text() == other
    assert (dataset.folder / "songs/a.json").read_text() == other


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1]", b"{", b"\0", b"[" * 10**5])
def test_files_that_are_something_else_are_left_alone(dataset, content):
    for ending in (".caption.txt", ".lyrics.txt", ".json"):
        Path(dataset.folder, "songs", "a" + ending).write_bytes(content)
    said = written(dataset)
    assert "0 sidecars" in said or not content
    for ending in (".caption.txt", ".lyrics.txt", ".json"):
        assert Path(dataset.folder, "songs", "a" + ending).read_bytes() == content
    assert "3 sidecars" in written(dataset, overwrite=LABELS)
    assert Path(dataset.folder, "songs", "a.json.bak").read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_link_is_replaced_and_what_it_leads_to_is_not(dataset):
    outside = dataset.folder / "outside.txt"
    outside.write_text("mine")
    (dataset.folder / "songs/a.caption.txt").symlink_to(outside)
    written(dataset, overwrite=LABELS)
    assert outside.read_text() == "mine"
    assert (dataset.folder / "songs/a.caption.txt").read_text() == "warm jazz\n"


def test_a_name_that_is_too_long_is_said_and_the_others_are_written(dataset):
    long = "b" * 250
    make_song(dataset.folder / f"songs/{long}.wav", 0.1)
    dataset.songs.insert(0, Song(f"songs/{long}.wav", caption="x"))
    said = written(dataset)
    assert "cannot be written" in said and "4 sidecars" in said
