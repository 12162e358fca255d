import numpy as np
import pytest

from acestep.judging.alike import Repeat
from acestep.judging.diversity import judge_diversity
from acestep.judging.features import hear
from acestep.judging.landmarks import Match
from acestep.mini.corpus import RATE, TESTS, compose_round, render

SONGS, DIMENSIONS = 12, 30


@pytest.fixture
def random():
    return np.random.default_rng(5)


def folder(random, songs=SONGS, each=3):
    """Clips of songs: a point for each song, and clips a third as far around it."""
    points = random.standard_normal((songs, 1, DIMENSIONS))
    clips = points + 0.3 * random.standard_normal((songs, each, DIMENSIONS))
    return clips.reshape(-1, DIMENSIONS), [f"song {n}" for n in range(songs) for _ in range(each)]


def clips_of(random, pieces, count=8):
    """So many clips of so many pieces, as alike as clips of one song."""
    points = random.standard_normal((pieces, DIMENSIONS))
    chosen = points[np.arange(count) % pieces]
    return chosen + 0.3 * random.standard_normal((count, DIMENSIONS))


def test_clips_as_different_as_songs_are_usual(random):
    judged = judge_diversity(clips_of(random, 8), *folder(random), clips_of(random, 8))
    assert judged.grade == "usual"
    assert judged.ratio.made == pytest.approx(judged.ratio.folder, rel=0.2)
    assert judged.near.made <= 0.1 and judged.near.folder == 0.01


def test_the_ratio_falls_with_the_number_of_pieces(random):
    songs, base = folder(random), clips_of(random, 8)
    found = [judge_diversity(clips_of(random, pieces), *songs, base) for pieces in (8, 4, 2, 1)]
    ratios = [judged.ratio.made for judged in found]
    assert ratios == sorted(ratios, reverse=True) and ratios[0] > 1.4 * ratios[-1]
    assert [judged.near.made for judged in found[1:]] == sorted(
        judged.near.made for judged in found[1:]
    )
    assert found[-1].grade == "collapsed" and found[-1].near.made > 0.9
    assert "one piece again and again" in found[-1].verdict


def test_a_base_that_is_as_narrow_is_no_fault_of_the_adapter(random):
    songs, narrow = folder(random), clips_of(random, 1)
    judged = judge_diversity(narrow, *songs, clips_of(random, 1))
    assert judged.grade == "narrow" and "more alike than the songs" in judged.verdict
    assert judge_diversity(narrow, *songs).grade == "collapsed"


def test_songs_are_drawn_as_many_as_there_are_clips(random):
    """More songs to choose from are nearer ones: that must not make four clips look diverse."""
    many = folder(random, songs=60, each=1)
    few, more = (judge_diversity(clips_of(random, n, n), *many) for n in (4, 40))
    assert few.ratio.folder > more.ratio.folder + 0.05
    assert few.grade == more.grade == "usual"


def test_identical_clips_are_collapsed(random):
    judged = judge_diversity(np.ones((6, DIMENSIONS)), *folder(random))
    assert judged.grade == "collapsed" and judged.ratio.made == 0 and judged.near.made == 1


def test_rows_without_features_are_left_out(random):
    clips, songs = clips_of(random, 8), folder(random)
    with_holes = np.concatenate([clips, np.full((3, DIMENSIONS), np.nan)])
    assert judge_diversity(with_holes, *songs) == judge_diversity(clips, *songs)
    nothing = judge_diversity(np.full((8, DIMENSIONS), np.nan), *songs)
    assert nothing.grade == "too few" and "0 clips" in nothing.verdict


@pytest.mark.parametrize(("clips", "songs"), [(3, 12), (8, 3), (0, 12), (8, 0), (8, 1)])
def test_too_few_of_either_tell_nothing(random, clips, songs):
    judged = judge_diversity(clips_of(random, 8)[:clips], *folder(random, songs))
    assert judged.grade == "too few"
    assert judged.as_dict()["ratio"] == {"made": None, "folder": None, "base": None}


def test_songs_that_are_all_one_tell_nothing(random):
    judged = judge_diversity(clips_of(random, 8), np.ones((6, DIMENSIONS)), list("abcdef"))
    assert judged.grade == "too few"


def test_repeats_are_told_with_their_places(random):
    repeats = [Repeat(f"clip {n}", "clip 9", Match(60, 80, 7.0, 1, 8, 3)) for n in range(7)]
    judged = judge_diversity(clips_of(random, 8), *folder(random), repeats=repeats)
    assert judged.sentences()[1] == "7 s of clip 0 (0:01–0:08) follow clip 9 from 0:03."
    assert judged.sentences()[-1] == "2 more pairs of clips share a passage."
    assert len(judged.as_dict()["repeats"]) == 7


def test_it_holds_on_music():
    """Eight clips of eight songs, of two, and of one, all in one style."""

    def heard(seeds, start=0.0):
        first = round(start * RATE)
        songs = [render(compose_round(seed, start + 4.0, "folk")) for seed in seeds]
        return np.stack([hear(song[:, first:], RATE) for song in songs])

    songs = heard(range(TESTS + 1, TESTS + 9))
    spread = np.maximum(songs.std(0), 1e-6)
    names = [str(number) for number in range(8)]
    grades = []
    for pieces in (8, 2):
        seeds = [TESTS + 20 + number % pieces for number in range(8)]
        made = np.concatenate([heard(seeds[:4]), heard(seeds[4:], start=2.0)])
        grades.append(judge_diversity(made / spread, songs / spread, names).ratio.made)
    assert grades[1] < 0.7 * grades[0]
