"""What the demo's page says fits what was made and measured."""

from pathlib import Path

import pytest

from acestep.mini.compare import Row
from acestep.mini.demo_page import Findings, make_page, number_table, share
from acestep.mini.folder import songs_of
from acestep.mini.teach import Lesson, Places, commands

ROWS = {
    "base": Row(1.5, 0.1, 0.7),
    "adapter": Row(0.3, 0.625, 0.9),
    "base, all labels": Row(1.0, 0.5, 0.8),
    "adapter, all labels": Row(0.5, 0.7, 0.95),
    "adapter, no tag": Row(0.9, 0.6, 0.9),
    "folder": Row(0.0, 0.75, 1.0),
}


@pytest.fixture
def findings(tmp_path):
    places, lesson = Places(tmp_path, tmp_path / "runs" / "cumbia"), Lesson(songs=3, seconds=4.0)
    files = {name: [Path(tmp_path, f"{name}_{n}.wav") for n in (1, 2)] for name in ROWS}
    songs = songs_of(places.songs, "cumbia", 3, 4.0)
    return Findings(places, lesson, songs, ROWS, files, commands(places, lesson), 123.0)


def test_the_share_is_of_the_bases_distance_for_the_tag():
    assert share(ROWS) == pytest.approx(0.2)


def test_the_numbers_are_a_table_in_which_the_adapter_stands_out():
    table = number_table(ROWS)
    assert table.rows[table.strong] == ("adapter", "0.30", "0.62", "0.90")
    assert [line.split()[-3:] for line in table.text().splitlines()[1:]] == [
        list(row[1:]) for row in table.rows
    ]


def test_it_says_how_far_before_and_after_and_what_to_expect(findings):
    page = make_page(findings)
    lead = " ".join(page.lead)
    for text in ("cumbia", "1.50", "0.30", "20%", "2 min 3 s", "by rule", "noise remains"):
        assert text in lead
    assert page.losses == findings.places.run / "loss.png"
    assert [line.split()[:3] for line in page.commands] == [
        ["$", "acestep", verb] for verb in ("scan", "label", "preprocess", "train", "export")
    ]


def test_clips_stand_in_pairs_and_say_what_was_asked(findings):
    tag, told, switch, heard, songs = make_page(findings).shelves
    assert [[clip.title for clip in row] for row in switch.rows] == [
        ["1, with the tag", "1, without the tag"], ["2, with the tag", "2, without the tag"],
    ]  # fmt: skip
    assert [row[1].audio for row in switch.rows] == findings.files["adapter, no tag"]
    assert all("the base and the adapter" in clip.text for row in switch.rows for clip in row)
    for shelf in (tag, told):
        assert [[clip.title for clip in row] for row in shelf.rows] == [
            ["1, without", "1, with"], ["2, without", "2, with"],
        ]  # fmt: skip
    for shelf, base in ((tag, "base"), (told, "base, all labels")):
        assert [row[0].audio for row in shelf.rows] == findings.files[base]
    second = findings.songs[1][1]
    asked = f"{second.bpm} bpm, {second.keyscale}, 4/4"
    assert all(asked in clip.text for shelf in (tag, told) for clip in shelf.rows[1])
    assert [clip.audio for clip in heard.rows[0]] == findings.files["folder"]
    assert [clip.picture for clip in heard.rows[0]] == [
        file.with_suffix(".png") for file in findings.files["folder"]
    ]
    assert [clip.audio for clip in songs.rows[0]] == [file for file, _ in findings.songs]


def test_a_song_that_came_with_labels_is_told_from_one_that_did_not(findings):
    first = findings.songs[0][0]
    first.parent.mkdir(parents=True)
    first.with_suffix(".json").touch()
    labelled, plain, _ = make_page(findings).shelves[4].rows[0]
    assert "with all labels" in labelled.text and "WAV" in labelled.text
    assert "without labels" in plain.text and "FLAC" in plain.text
