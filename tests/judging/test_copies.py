import json
from dataclasses import replace

import numpy as np
import pytest

from acestep.data.audio import RATE
from acestep.judging.alike import learn_folder
from acestep.judging.copies import (
    Copying,
    look_for_copies,
    plant_copy,
    planted_songs,
    repeats_across,
)
from acestep.judging.disguise import disguised
from acestep.judging.landmarks import find_landmarks
from acestep.mini.corpus import TESTS, compose_round, render

STYLE, SONGS, SECONDS, CLIP = "rock", 8, 20.0, 10.0


def played(seed, seconds=SECONDS, style=STYLE):
    return render(compose_round(TESTS + 43_000 + seed, seconds, style))


@pytest.fixture(scope="module")
def songs():
    return {f"{STYLE} {number}.wav": played(number) for number in range(SONGS)}


@pytest.fixture(scope="module")
def folder(songs):
    return learn_folder({n: find_landmarks(song, RATE) for n, song in songs.items()}, CLIP)


@pytest.fixture(scope="module")
def planted(songs, folder):
    return tuple(plant_copy(name, songs[name], RATE, folder) for name in planted_songs(folder))


def looked(folder, audio, name="clip"):
    return look_for_copies(name, find_landmarks(audio, RATE), folder)


def limited(audio):
    return np.tanh(3 * audio)


def tilted(audio):
    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(audio.shape[1], 1 / RATE).clip(60, 10_000)
    return np.fft.irfft(spectrum * 10 ** (3 * np.log2(hertz / 800) / 20), audio.shape[1])


def noisy(audio):
    noise = np.random.default_rng(0).standard_normal(audio.shape)
    return audio + noise * np.sqrt((audio**2).mean() / 10)


DISGUISES = {
    "limiter": limited,
    "tilt": tilted,
    "noise": noisy,
    "MP3": lambda audio: disguised(audio, RATE, 0, 1.0, 64),
    "lower": lambda audio: disguised(audio, RATE, -2, 1.0, 64),
    "faster": lambda audio: disguised(audio, RATE, 0, 1.03, 64),
    "all": lambda audio: disguised(tilted(audio), RATE, -1, 1.02, 64),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_excerpt_is_found_at_its_place(songs, folder, disguise):
    excerpt = songs["rock 5.wav"][:, 4 * RATE : 14 * RATE]
    found = looked(folder, DISGUISES[disguise](excerpt))
    assert found.grade in ("strong", "look and listen")
    best = found.matches[0]
    assert best.other == "rock 5.wav" and best.match.seconds >= 6
    assert best.match.at - best.match.start * best.match.tempo == pytest.approx(4, abs=0.5)


def test_six_seconds_of_a_song_in_a_clip_of_another_style(songs, folder):
    clip = played(1, CLIP, "ambient")
    clip[:, 2 * RATE : 8 * RATE] = songs["rock 2.wav"][:, 5 * RATE : 11 * RATE]
    found = looked(folder, clip).matches[0]
    assert found.grade != "nothing" and found.other == "rock 2.wav"
    assert found.match.start == pytest.approx(2, abs=1) and found.match.end < 9
    assert found.match.at - found.match.start == pytest.approx(3, abs=0.3)


def test_new_songs_of_the_style_are_no_copies(folder):
    """Same grooves, same instruments, same progressions; the threshold knows it."""
    found = [looked(folder, played(100 + number, CLIP)) for number in range(10)]
    flagged = [one for one in found if one.grade != "nothing"]
    assert not any(one.grade == "strong" for one in flagged)
    assert len(flagged) <= 10 * folder.false_alarms + 2
    silent = looked(folder, np.zeros((2, 10 * RATE)))
    assert silent.grade == "nothing" and silent.strict == 0
    assert "No passage of clip follows a song (strict 0, tolerant 0;" in silent.sentences(folder)[0]


def test_planted_copies_are_found_and_others_would_not_do(songs, folder, planted):
    assert [one.song for one in planted] == ["rock 1.wav", "rock 4.wav", "rock 6.wav"]
    assert all(one.found for one in planted) and planted[0].at == 5
    strangers = plant_copy("rock 1.wav", songs["rock 3.wav"], RATE, folder)
    assert not strangers.found  # the right song must be named
    assert not plant_copy("rock 1.wav", np.zeros((2, RATE)), RATE, folder).found


def test_a_report_names_the_passage(songs, folder, planted):
    copy = disguised(songs["rock 5.wav"][:, 4 * RATE : 14 * RATE], RATE, -1, 1.02, 64)
    others = [looked(folder, played(7, CLIP, "ambient"), "clip 1")]
    copying = Copying(folder, (*others, looked(folder, copy, "clip 2")), planted)
    assert copying.works and copying.strong + copying.doubtful == 1
    verdict, sentence, *rest = copying.sentences()
    assert verdict.startswith("1 of 2 clips") and "would be flagged by mistake" in verdict
    assert "s of clip 2 (0:0" in sentence and "follow rock 5.wav from 0:04" in sentence
    assert "1 semitone lower, at 1.02 times its tempo" in sentence
    assert "more alike than 99 % of pairs of different songs here" in sentence
    assert any("Planted copies found: 3 of 3" in line for line in rest)


def test_under_a_hundred_pairs_their_number_is_told(songs, folder, planted):
    few = replace(folder, pairs=56)
    text = looked(few, songs["rock 5.wav"][:, 4 * RATE : 14 * RATE]).sentences(few)[0]
    assert "more alike than any of the 56 pairs of different songs here" in text


def test_a_detector_that_misses_what_was_planted_says_so(folder, planted):
    missed = replace(planted[0], found=False)
    copying = Copying(folder, (looked(folder, np.zeros((2, RATE))),), (missed, *planted[1:]))
    assert not copying.works and "Copies cannot be told here" in copying.verdict
    assert any(
        line.startswith("The detector did not work here: it missed a copy planted from rock 1.wav")
        for line in copying.sentences()
    )
    unplanted = Copying(folder, copying.looked)
    assert not unplanted.works and "No copy was planted" in " ".join(unplanted.sentences())


def test_clips_that_follow_nothing_prove_no_originality(folder, planted):
    silent = looked(folder, np.zeros((2, RATE)))
    copying = Copying(folder, (silent, silent), planted, (silent,))
    assert "None of 2 clips follows a training song" in copying.verdict
    assert "no proof of originality" in copying.verdict
    assert any("Of 1 clip of the base model" in line for line in copying.sentences())
    assert "there are no clips" in Copying(folder).verdict


def test_everything_is_kept_as_plain_values(songs, folder, planted):
    clip = looked(folder, songs["rock 0.wav"][:, : 10 * RATE], "a 'b' <script>")
    kept = json.loads(json.dumps(Copying(folder, (clip,), planted, (clip,)).as_dict()))
    assert kept["clips"][0]["matches"][0]["song"] == "rock 0.wav"
    assert kept["clips"][0]["clip"] == "a 'b' <script>" and kept["strong"] == 1
    assert [one["found"] for one in kept["planted"]] == [True] * 3 and kept["works"]
    assert kept["thresholds"] == {
        "strict": round(folder.strict, 1), "tolerant": round(folder.tolerant, 1), "seconds": 4.0,
    }  # fmt: skip


def test_the_same_music_at_two_seeds_is_a_repeat(folder):
    one, other = played(200, CLIP), played(201, CLIP, "ambient")
    again = disguised(one, RATE, 0, 1.0, 128)
    clips = {"a": one, "b": other, "c": again}
    marks = {name: find_landmarks(audio, RATE) for name, audio in clips.items()}
    assert [repeat.songs for repeat in repeats_across(marks, folder)] == [("a", "c")]
    assert repeats_across({}, folder) == ()


def test_without_songs_nothing_is_found():
    nothing = learn_folder({}, CLIP)
    found = looked(nothing, played(1, 6.0))
    assert found.grade == "nothing" and found.matches == ()
    assert planted_songs(nothing) == () and "no songs" in Copying(nothing, (found,)).verdict
