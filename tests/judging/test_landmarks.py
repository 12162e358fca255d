import numpy as np
import pytest
from check_sounds import music, write_mp3
from scipy.stats import poisson

from acestep.data.audio import RATE, read_audio
from acestep.errors import AudioError
from acestep.judging import landmarks
from acestep.judging.disguise import moved
from acestep.judging.landmarks import find_landmarks, follow, semitones

SECONDS = 30.0


@pytest.fixture(scope="module")
def song():
    return music(SECONDS, 1)


@pytest.fixture(scope="module")
def marks(song):
    return find_landmarks(song, RATE)


def test_they_are_fourteen_peaks_a_second_at_most_with_eight_pairs_each(marks):
    anchors = len(set(zip(marks.times.tolist(), marks.pitches.tolist(), strict=True)))
    assert 5 * SECONDS < anchors <= 14 * SECONDS
    assert len(marks) <= 8 * anchors
    assert marks.gaps.min() >= 2 and marks.gaps.max() <= 60 and np.abs(marks.leaps).max() <= 30
    assert marks.seconds == SECONDS and marks.times.max() < SECONDS * 12_000 / 512


def test_a_tone_and_its_octave_lie_36_bands_apart():
    t = np.arange(4 * RATE) / RATE
    swell = np.sin(np.pi * t) ** 2  # once a second
    found = [find_landmarks(swell * np.sin(2 * np.pi * hertz * t), RATE) for hertz in (440, 880)]
    low, high = (int(np.bincount(one.pitches).argmax()) for one in found)
    assert high - low == 36 and low == pytest.approx(36 * np.log2(440 / 147), abs=1)


def test_an_excerpt_is_found_at_its_place(song, marks):
    match = follow(find_landmarks(0.3 * song[:, 7 * RATE : 17 * RATE], RATE), marks)
    assert match.strict > 100 and match.tolerant > 100
    assert match.at - match.start == pytest.approx(7, abs=0.05)
    assert match.seconds == pytest.approx(10, abs=1) and match.end - match.start > 9
    assert match.semitones == pytest.approx(0, abs=0.1) and match.tempo == 1


def test_a_cut_of_landmarks_is_what_the_cut_sound_has(song, marks):
    match = follow(marks.cut(7, 10), marks)
    assert match.at - match.start == pytest.approx(7, abs=0.05) and match.seconds >= 9
    assert marks.cut(25, 10).seconds == 5 and len(marks.cut(40, 10)) == 0


@pytest.mark.parametrize(
    ("steps", "tempo"), [(1, 1.0), (-2, 1.0), (0, 1.04), (0, 0.96), (-1, 1.02), (3, 0.94)]
)
def test_pitch_and_tempo_of_a_copy_are_told(song, marks, steps, tempo):
    copy = moved(song[:, 5 * RATE : 17 * RATE], RATE, steps, tempo)
    match = follow(find_landmarks(copy, RATE), marks)
    assert match.tolerant > 60
    assert match.semitones == pytest.approx(steps, abs=0.35)
    assert match.tempo == pytest.approx(tempo, abs=0.021)
    assert match.at - match.start * tempo == pytest.approx(5, abs=0.5)
    assert steps == 0 or match.strict < 20


def test_no_more_than_three_semitones_are_looked_for(song, marks):
    """A fifth higher, partials fall on other partials: some of it is found, at a wrong pitch."""
    copy = find_landmarks(moved(song, RATE, 7, 1.0), RATE)
    match, own = follow(copy, marks), follow(copy, copy)
    assert abs(match.semitones) < 3.4 and match.score < 0.05 * own.score


def test_other_tunes_of_the_same_sound_score_little(marks):
    scores = [follow(find_landmarks(music(10, seed), RATE), marks) for seed in range(2, 7)]
    assert max(score.score for score in scores) < 30


def test_only_what_was_copied_is_covered(song, marks):
    clip = music(20, 9).copy()
    clip[:, 8 * RATE : 14 * RATE] = song[:, 20 * RATE : 26 * RATE]
    match = follow(find_landmarks(clip, RATE), marks)
    assert match.seconds == pytest.approx(6.5, abs=1.5)
    assert match.start <= 8.5 and match.end >= 13.5
    assert match.at - match.start == pytest.approx(12, abs=0.1)


def test_mono_another_rate_and_an_mp3_are_the_same(song, marks, tmp_path):
    copy = read_audio(write_mp3(tmp_path / "a b's 🎵.mp3", song[:, ::2], RATE // 2, 0.8))
    match = follow(find_landmarks(copy[0], RATE), marks)
    assert match.strict > 50 and match.seconds > 20


def test_the_score_is_that_of_the_poisson_distribution():
    for count, mean in ((3, 0.5), (40, 2.0), (100, 8.0)):
        expected = -poisson.logsf(count - 1, mean) / np.log(10)
        assert landmarks._unlikely(count, mean) == pytest.approx(expected, rel=1e-6)
    scores = [landmarks._unlikely(count, 1.0) for count in range(150, 180)]
    assert scores[0] < 290 < scores[-1]  # no step where the double ends
    assert np.diff(scores).min() > 2 and np.diff(scores).max() < 2.3
    assert landmarks._unlikely(5000, 1.0) > 10_000


@pytest.mark.parametrize(
    "audio",
    [np.zeros((2, 5 * RATE)), np.zeros((2, 0)), np.ones((2, RATE)), music(0.05), np.full(9, 0.5)],
)
def test_silence_and_short_sounds_follow_nothing(audio, marks):
    found = find_landmarks(audio, RATE)
    assert len(found) == 0 or audio.shape[-1] > RATE // 2
    for match in (follow(found, marks), follow(marks, found)):
        assert match.score < 5 and match.seconds < 1


def test_sounds_that_are_not_finite_are_refused():
    with pytest.raises(AudioError, match="NaN"):
        find_landmarks(np.full((2, RATE), np.nan), RATE)


def test_semitones_of_a_tone():
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    levels = semitones(tone[None], RATE, 5)
    assert levels.shape == (pytest.approx(10, abs=1), 72)
    assert (levels[2:-2].argmax(1) == 33).all()  # A4 above C2
