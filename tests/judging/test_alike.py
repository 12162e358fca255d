import json
from dataclasses import replace

import numpy as np
import pytest
from check_sounds import music

from acestep.data.audio import RATE, mp3_round_trip
from acestep.judging.alike import FALSE_ALARMS, Folder, clock, learn_folder, passage, place
from acestep.judging.disguise import moved
from acestep.judging.landmarks import Landmarks, Match, find_landmarks
from acestep.mini.corpus import TESTS, compose_round, render

SECONDS = 20.0


def song(seed, seconds=SECONDS, style="folk"):
    return render(compose_round(TESTS + 42_000 + seed, seconds, style))


def marks_of(songs):
    return {name: find_landmarks(audio, RATE) for name, audio in songs.items()}


@pytest.fixture(scope="module")
def songs():
    """Tunes of one sound, without chords or loops in common."""
    return {f"tune {seed}": music(SECONDS, seed) for seed in range(20, 26)}


@pytest.fixture(scope="module")
def folder(songs):
    return learn_folder(marks_of(songs), 10.0)


def test_different_songs_are_not_alike(folder):
    assert folder.excerpts == 6 * 2 and folder.pairs == 12 * 5 and folder.repeats == ()
    assert 0 < folder.best_tolerant < 35 and 0 < folder.best_strict < 25
    assert folder.tolerant == 35 and folder.strict == max(20, folder.best_strict)
    assert folder.best.match.tolerant == folder.best_tolerant


def test_a_song_that_is_there_twice_is_found_and_spoils_no_threshold(songs, folder):
    copy = mp3_round_trip(moved(songs["tune 21"][:, 4 * RATE :], RATE, 1, 0.97), RATE, 64)
    doubled = learn_folder(marks_of({**songs, "again": copy}), 10.0)
    assert [repeat.songs for repeat in doubled.repeats] == [("again", "tune 21")]
    assert doubled.tolerant == pytest.approx(folder.tolerant, abs=10)
    assert doubled.best.songs != ("again", "tune 21")
    assert "s of" in doubled.repeats[0].sentence() and "semitone" in doubled.repeats[0].sentence()


def test_a_passage_in_two_songs_is_told_with_its_places(songs):
    other = songs["tune 22"].copy()
    other[:, 10 * RATE : 20 * RATE] = songs["tune 23"][:, 4 * RATE : 14 * RATE]
    found = learn_folder(marks_of({**songs, "tune 22": other}), 10.0)
    assert [repeat.songs for repeat in found.repeats] == [("tune 22", "tune 23")]
    match, one = found.repeats[0].match, found.repeats[0].one
    shift = -6 if one == "tune 22" else 6
    assert match.at - match.start == pytest.approx(shift, abs=0.2)


def test_songs_that_share_their_drums_and_chords_raise_the_threshold():
    """Eight songs of a style that is played by rule; no pair of them stands out for its own."""
    alike = learn_folder(marks_of({str(seed): song(seed) for seed in range(8)}), 10.0)
    assert alike.raised and alike.tolerant > 45
    assert alike.tolerant == alike.best_tolerant
    assert alike.false_alarms == pytest.approx(2 / 18)


def test_grades():
    folder = Folder({}, 20.0, 40, 200, 24.0, 40.0)
    expected = {
        (24, 40, 20): "nothing",  # what different songs reach is nothing
        (25, 0, 20): "look and listen",
        (0, 41, 4): "look and listen",
        (0, 300, 3.5): "nothing",
        (0, 300, 5.5): "look and listen",
        (0, 69, 6): "strong",
        (0, 65, 20): "look and listen",
        (51, 0, 8): "strong",
    }
    for (strict, tolerant, seconds), grade in expected.items():
        assert folder.grade(Match(strict, tolerant, seconds)) == grade
    assert folder.reached(Match(48, 20, 9)) == 2


def test_where_songs_are_alike_a_strong_match_reaches_what_copies_do():
    alike = Folder({}, 20.0, 40, 200, 24.0, 40.0, own=100.0)
    assert alike.grade(Match(0, 199, 10)) == "look and listen"
    assert alike.grade(Match(0, 201, 10)) == "strong"
    assert replace(alike, best_strict=15, best_tolerant=30).grade(Match(0, 80, 10)) == "strong"


def test_expected_false_alarms():
    songs = {str(number): find_landmarks(np.zeros((2, RATE)), RATE) for number in range(7)}
    assert Folder(songs, 10.0, 7, 42, 20.0, 35.0).false_alarms == FALSE_ALARMS == 0.006
    assert Folder(songs, 10.0, 7, 42, 20.0, 36.0).false_alarms == 2 / 8
    assert Folder(songs, 10.0, 28, 42, 21.0, 35.0).false_alarms == 2 / 32


def test_songs_of_any_length_and_number():
    assert learn_folder({}, 10.0).pairs == 0
    one = learn_folder({"a": find_landmarks(music(12, 1), RATE)}, 30.0)
    assert (one.excerpts, one.pairs, one.best) == (1, 0, None) and one.tolerant == 35
    silent = {name: find_landmarks(np.zeros((2, 20 * RATE)), RATE) for name in "ab"}
    assert learn_folder(silent, 10.0).best_tolerant == 0
    short = {name: find_landmarks(music(0.5, 1), RATE) for name in "ab"}
    assert learn_folder(short, 10.0).repeats == ()


def test_many_songs_are_tried_by_a_part_of_them():
    few = find_landmarks(music(6, 1), RATE)
    nothing = Landmarks(200.0, *[np.zeros(0, np.int32)] * 4, np.zeros_like(few.starts))
    folder = learn_folder({str(number): nothing for number in range(200)}, 10.0)
    assert folder.excerpts == 120 and folder.pairs == 120 * 199


def test_what_is_kept_is_plain(folder):
    kept = json.loads(json.dumps(folder.as_dict()))
    assert kept["songs"] == 6 and kept["best"]["one"].startswith("tune")
    assert kept["repeats"] == []


def test_places_are_told_in_minutes():
    assert [clock(seconds) for seconds in (0, 9.6, 59.6, 61, 600)] == [
        "0:00", "0:10", "1:00", "1:01", "10:00",
    ]  # fmt: skip
    match = Match(0, 88, 12.0, 8, 20, 45, -1.02, 1.02)
    assert passage("sample 3", match) == "12 s of sample 3 (0:08–0:20)"
    assert place(match) == "from 0:45, 1 semitone lower, at 1.02 times its tempo"
    assert place(Match(0, 88, 12, 8, 20, 45, 2.0)) == "from 0:45, 2 semitones higher"
    assert place(Match(0, 88, 12, 8, 20, 45, 0.2)) == "from 0:45"
