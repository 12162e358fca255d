"""Datasets as tables: every field comes back, and no cell is a formula."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.data.tables import csv_rows
from acestep.data.writing import dataset_text, layout_of

SONGS = [
    Song("a.wav", id="a", caption='=1+1, "quoted"; warm', genre="-jazz", title="'=x", bpm=85,
         lyrics='[Verse 1]\n사랑해, "baby"\n\nla', keyscale="Bb major", timesignature="4",
         language="ko", duration=184.2, sources={"bpm": "analysis", "caption": "lm"},
         evidence={"bpm": {"value": 85, "confidence": 0.5, "runner_up": 170}},
         extra={"mine": [1, {"x": None}]}),
    Song("b.flac", id="b", instrumental=True, sources={"instrumental": "person"}),
    Song("sub/c.mp3", id="c", caption="@home", tag="other", prompt_override="genre"),
]  # fmt: skip


def dataset(tmp_path) -> Dataset:
    songs = [Song(**{k: v for k, v in vars(song).items() if k != "origin"}) for song in SONGS]
    return Dataset(tmp_path / "d.json", tag="myjazz", songs=songs)


@pytest.mark.parametrize("name", ["songs.csv", "SONGS.CSV", "metadata.jsonl"])
def test_everything_comes_back_from_a_table(tmp_path, name):
    before = dataset(tmp_path)
    save_dataset(before, tmp_path / name)
    after = load_dataset(tmp_path / name)
    assert after.tag == "myjazz" and [after.tag_of(song) for song in after.songs][2] == "other"
    for old, new in zip(before.songs, after.songs, strict=True):
        signed = {label: source for label, source in new.sources.items() if label in old.sources}
        assert signed == old.sources
        new.sources = old.sources
        assert new == old
    save_dataset(load_dataset(tmp_path / name), tmp_path / name)
    once = (tmp_path / name).read_bytes()
    save_dataset(load_dataset(tmp_path / name), tmp_path / name)
    assert (tmp_path / name).read_bytes() == once


def test_a_table_becomes_a_dataset_again(tmp_path):
    save_dataset(dataset(tmp_path), tmp_path / "songs.csv")
    save_dataset(load_dataset(tmp_path / "songs.csv"), tmp_path / "again.json")
    sample = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["samples"][0]
    assert sample["caption"] == 'myjazz, =1+1, "quoted"; warm' and sample["bpm"] == 85
    assert sample["mine"] == [1, {"x": None}] and sample["timesignature"] == 4


def test_a_label_changed_in_a_table_is_a_persons(tmp_path):
    save_dataset(dataset(tmp_path), tmp_path / "songs.csv")
    text = (tmp_path / "songs.csv").read_text(encoding="utf-8")
    (tmp_path / "songs.csv").write_text(text.replace(",85,", ",170,"), encoding="utf-8")
    song = load_dataset(tmp_path / "songs.csv").songs[0]
    assert (song.bpm, song.source("bpm"), song.source("caption")) == (170, "person", "lm")


@given(st.text(max_size=30))
@example("\t")
@example("'-'")
def test_no_cell_begins_like_a_formula_and_any_text_comes_back(text):
    songs = [Song("a.wav", id="a", genre=text, title="=" + text)]
    content = dataset_text(Dataset(songs=songs), ["a.wav"], "csv")
    (row,) = csv.DictReader(io.StringIO(content))
    assert row["genre"][:1] not in tuple("=+-@\t\r") and row["title"][0] == "'"
    ((_, back),) = csv_rows(content)
    plain = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    assert back["genre"].strip() == plain.strip()
    assert row["file"] == "a.wav"


def test_the_ending_of_a_file_decides_about_tables():
    assert layout_of(Path("a.CSV"), "guide") == "csv"
    assert layout_of(Path("x/metadata.jsonl"), "list") == "jsonl"
    assert layout_of(Path("a.json"), "original") == "original"
    assert layout_of(Path("a.json"), "csv") == "guide"
