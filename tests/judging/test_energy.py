import numpy as np
import pytest
from scipy.stats import energy_distance, kstest
from style_folders import cluster

from acestep.judging.energy import (
    compare,
    energy,
    estimate,
    ratio,
    resample,
    unit_distances,
    weights,
)
from acestep.judging.whitening import Clips


def whole(*counts):
    return weights(counts, [np.ones((1, count)) for count in counts])


def one_by_one(songs, made, song_names, made_names):
    """The definition, pair by pair."""

    def mean(one, other, names, others, inside):
        by_unit = {}
        for row, name in zip(one, names, strict=True):
            for column, second in zip(other, others, strict=True):
                if not inside or name != second:
                    by_unit.setdefault((name, second), []).append(np.linalg.norm(row - column))
        return np.mean([np.mean(each) for each in by_unit.values()])

    return (
        2 * mean(songs, made, song_names, made_names, False)
        - mean(songs, songs, song_names, song_names, True)
        - mean(made, made, made_names, made_names, True)
    )


def test_against_the_definition():
    songs, made = cluster(0, 5, 3), cluster(1, 6, 2, at=0.5, name="made")
    matrix = unit_distances([songs.values, made.values], [songs.names, made.names])
    expected = one_by_one(songs.values, made.values, songs.names, made.names)
    assert energy(matrix, *whole(5, 6))[0] == pytest.approx(expected, abs=1e-4)


def test_against_scipy_in_one_dimension():
    """SciPy's is the root of the biased one, in which each clip is a pair with itself."""
    random = np.random.default_rng(0)
    one, other = random.standard_normal(500), random.standard_normal(500) + 1.5
    names = [[f"{place}" for place in range(500)]] * 2
    matrix = unit_distances([one[:, None], other[:, None]], names)
    assert energy(matrix, *whole(500, 500))[0] == pytest.approx(
        energy_distance(one, other) ** 2, abs=0.02
    )


def test_no_bias_where_pairs_of_one_song_are_left_out_and_a_bias_where_not():
    free, bound = [], []
    for seed in range(150):
        songs, made = cluster(seed, 6, 4), cluster(1000 + seed, 8, 1, name="made")
        matrix = unit_distances([songs.values, made.values], [songs.names, made.names])
        free.append(energy(matrix, *whole(6, 8))[0])
        apart = [f"{place}" for place in range(24)]
        matrix = unit_distances([songs.values, made.values], [apart, made.names])
        bound.append(energy(matrix, *whole(24, 8))[0])
    error = np.std(free) / np.sqrt(len(free))
    assert abs(np.mean(free)) < 2 * error
    assert np.mean(bound) > 5 * error


def test_a_song_with_many_clips_counts_as_one_song():
    few = cluster(0, 4, 1)
    names = (*few.names, *[few.names[0]] * 20)
    values = np.concatenate([few.values, np.repeat(few.values[:1], 20, axis=0)])
    made = cluster(1, 5, 1, name="made")
    plain, long = (
        energy(unit_distances([rows, made.values], [some, made.names]), *whole(4, 5))[0]
        for rows, some in ((few.values, few.names), (values, names))
    )
    assert long == pytest.approx(plain)


def test_units_of_one_name_in_two_sets_are_two():
    one, other = np.zeros((2, 1)), np.ones((2, 1))
    matrix = unit_distances([one, other], [["a", "b"], ["a", "b"]])
    assert matrix.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert energy(matrix, *whole(2, 2))[0] == 2


def test_fewer_than_two_units_have_no_distance():
    matrix = unit_distances([np.zeros((1, 1)), np.ones((3, 1))], [["a"], ["x", "y", "z"]])
    assert np.isnan(energy(matrix, *whole(1, 3))[0])


def test_a_song_drawn_twice_is_no_pair_with_itself():
    """So the mean over resamples is the estimate, without the usual loss of one n-th."""
    songs, made = cluster(2, 6, 1), cluster(3, 8, 1, name="made")
    matrix = unit_distances([songs.values, made.values], [songs.names, made.names])
    random = np.random.default_rng(0)
    drawn = weights((6, 8), [resample(random, size, 20_000) for size in (6, 8)])
    found = energy(matrix, *drawn)
    assert np.nanmean(found) == pytest.approx(energy(matrix, *whole(6, 8))[0], abs=0.02)


def compared(seed, gap=0.0, paired=False, count=12):
    songs = cluster(seed, 8, 2, at=gap)
    base = cluster(5000 + seed, count, 1, name="made")
    made = cluster(7000 + seed, count, 1, name="made")
    if paired:  # what base and adapter share: the prompt
        prompt = cluster(9000 + seed, count, 1, name="made").values
        base, made = (Clips(prompt + 0.3 * one.values, one.names) for one in (base, made))
    sets = [songs.values, base.values, made.values + gap]
    matrix = unit_distances(sets, [songs.names, base.names, base.names])
    return compare(matrix, 8, count, count, paired=paired)


@pytest.mark.parametrize("paired", [False, True])
def test_chances_are_even_where_there_is_no_difference(paired):
    found = np.array([compared(seed, paired=paired).nearer for seed in range(120)])
    assert kstest(found, "uniform").pvalue > 0.01
    assert (found < 0.05).mean() <= 0.11  # 5 % and three standard errors


def test_a_difference_is_found_and_its_sign():
    found = compared(0, gap=2.0)
    assert found.nearer < 0.01 < found.farther
    assert found.gain.low > 0 and found.left.high < 0.5
    assert found.made.value < found.base.value
    assert found.gain.value == pytest.approx(found.base.value - found.made.value)


def test_pairs_show_smaller_differences_than_strangers():
    """A shift that each clip of a pair makes is clear though the clips differ much."""
    nearer = {False: [], True: []}
    for seed in range(12):
        songs, base = cluster(seed, 8, 2, at=2.0), cluster(100 + seed, 12, 1, name="made")
        sets = [songs.values, base.values, base.values + 0.25]
        matrix = unit_distances(sets, [songs.names, base.names, base.names])
        for paired in nearer:
            nearer[paired].append(compare(matrix, 8, 12, 12, paired=paired).nearer)
    assert np.mean(nearer[True]) < 0.3 * np.mean(nearer[False])


def test_the_same_clips_are_no_difference():
    songs, base = cluster(0, 8, 2, at=1.0), cluster(1, 10, 1, name="made")
    sets = [songs.values, base.values, base.values]
    matrix = unit_distances(sets, [songs.names, base.names, base.names])
    found = compare(matrix, 8, 10, 10, paired=True)
    assert (found.nearer, found.farther) == (1.0, 1.0)
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx((0, 0, 0))


def test_intervals_hold_the_truth():
    """Of 90 % intervals: 0 is the true distance of two sets of one kind."""
    held = [found.made.low <= 0 <= found.made.high for found in map(compared, range(40))]
    assert 0.8 <= np.mean(held) <= 1.0


def test_estimates_without_enough_draws():
    assert estimate(np.array([1.0, np.nan, np.nan, 2.0])).low is None
    assert np.isnan(estimate(np.array([np.nan, 1.0, 2.0])).value)
    assert np.isnan(ratio(np.array([1.0]), np.array([-1.0]))[0])
