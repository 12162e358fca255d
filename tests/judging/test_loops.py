import numpy as np
import pytest
from check_sounds import music

from acestep.data.audio import RATE, mp3_round_trip
from acestep.judging.loops import Loop, judge_loops, loop_excerpts, measure_loop
from acestep.mini.corpus import TESTS, compose_round, render

SECONDS = 20.0


def looped(audio, period, seconds=SECONDS, start=3.0):
    first, length = round(start * RATE), round(period * RATE)
    turns = int(np.ceil(seconds / period))
    return np.tile(audio[:, first : first + length], (1, turns))[:, : round(seconds * RATE)]


@pytest.fixture(scope="module")
def songs():
    seeds = range(TESTS + 41_000, TESTS + 41_006)
    return [render(compose_round(seed, SECONDS, "folk")) for seed in seeds]


@pytest.fixture(scope="module")
def usual(songs):
    return [measure_loop(song, RATE) for song in songs]


@pytest.mark.parametrize("period", [1.7, 2.0, 3.05, 4.0, 6.4])
def test_the_period_of_a_loop_is_exact(songs, period):
    loop = measure_loop(mp3_round_trip(looped(songs[0], period), RATE, 64), RATE)
    assert loop.period == pytest.approx(period, abs=0.03)
    assert loop.lag_correlation > 0.9 and loop.repeat_share > 0.9


def test_tunes_that_never_return_are_no_loops():
    loop = measure_loop(music(SECONDS, 3), RATE)
    assert loop.lag_correlation < 0.5 and loop.self_match < 0.15 and loop.repeat_share < 0.2


def test_loops_are_told_from_songs_by_the_songs(songs, usual):
    clips = {f"loop {n}": measure_loop(looped(song, 2.0), RATE) for n, song in enumerate(songs)}
    clips["a song"] = usual[0]
    judged = judge_loops(clips, usual[1:])
    grades = {one.clip: one.grade for one in judged.clips}
    assert grades.pop("a song") != "loop"
    assert list(grades.values()).count("loop") >= 5 and "usual" not in grades.values()
    assert judged.loops >= 5 and "are loops" in judged.verdict
    sentence = judged.sentences()[1]
    assert sentence.startswith("loop 0 is a loop of 2.0 s, more than 100 % of the songs' excerpts")
    assert judged.as_dict()["folder"]["excerpts"] == 5


def test_songs_that_loop_make_loops_usual():
    folder = [Loop(value, value / 2, 0.5, 2.0) for value in np.linspace(0.9, 0.98, 20)]
    clips = {"a": Loop(0.95, 0.4, 0.5, 2.0), "b": Loop(0.99, 0.4, 0.5, 2.0)}
    assert [one.grade for one in judge_loops(clips, folder).clips] == ["usual", "loop"]


def test_repetition_beyond_the_songs_is_much_even_if_it_is_no_loop():
    folder = [Loop(value, 0.1, 0.2, 3.0) for value in np.linspace(0.3, 0.5, 20)]
    judged = judge_loops({"a": Loop(0.6, 0.1, 0.2, 3.0)}, folder)
    assert judged.clips[0].grade == "much repetition" and judged.clips[0].percentile == 1
    assert "1 of 1 clips repeat themselves more" in judged.verdict


def test_without_songs_only_the_fixed_levels_count():
    clips = {"a": Loop(0.99, 0.8, 1.0, 2.0), "b": Loop(0.8, 0.4, 0.9, 2.0)}
    judged = judge_loops(clips, [])
    assert [one.grade for one in judged.clips] == ["loop", "usual"]
    assert judged.clips[0].percentile is None and "too few songs" in judged.verdict
    assert judge_loops({}, []).as_dict()["folder"]["lag_correlation"] is None


@pytest.mark.parametrize("audio", [np.zeros((2, 10 * RATE), np.float32), music(3.0), music(0.02)])
def test_silence_and_short_clips_do_not_repeat(audio):
    assert measure_loop(audio, RATE) == Loop()


def test_silence_inside_a_clip_is_no_repetition():
    clip = np.pad(music(8, 4), ((0, 0), (0, 12 * RATE)))
    loop = measure_loop(clip, RATE)
    assert loop.lag_correlation < 0.6 and loop.repeat_share < 0.2


def test_excerpts_of_a_song_are_as_long_as_the_clips(songs, usual):
    assert len(loop_excerpts(songs[0], RATE, 6.0)) == 3
    assert loop_excerpts(songs[0], RATE, 60.0) == [usual[0]]
