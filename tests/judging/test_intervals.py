"""The interval of a mean: against its closed form, and how often it holds the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from acestep.judging.intervals import Estimate, bootstrap_mean, expanded_tail


@pytest.mark.parametrize("size", [30, 200])
def test_of_many_normal_values_it_is_students_interval(size):
    values = np.random.default_rng(size).normal(3, 2, size)
    found = bootstrap_mean([values], resamples=20_000)
    expected = stats.t.interval(0.9, size - 1, values.mean(), stats.sem(values))
    assert found.value == pytest.approx(values.mean())
    width = expected[1] - expected[0]
    assert found.low == pytest.approx(expected[0], abs=0.04 * width)
    assert found.high == pytest.approx(expected[1], abs=0.04 * width)


@pytest.mark.parametrize(("size", "least"), [(4, 0.82), (8, 0.86), (20, 0.87)])
def test_ninety_in_a_hundred_hold_the_truth_also_with_few_songs(size, least):
    random = np.random.default_rng(5)
    held = []
    for _ in range(1000):
        found = bootstrap_mean([random.normal(size=size)], resamples=500)
        held.append(found.low <= 0 <= found.high)
    assert least <= np.mean(held) <= 0.94


def test_the_tails_are_those_of_the_paper():
    n = 20
    assert expanded_tail(n - 1) == pytest.approx(
        stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.95, n - 1))
    )
    assert expanded_tail(10**6) == pytest.approx(0.05, abs=1e-4)


def test_values_of_groups_are_resampled_within_them():
    """Songs that differ widely, each alike throughout: other passages would say the same."""
    apart = [[0.0, 0.01, 0.02, 0.01], [10.0, 10.01, 10.02, 10.01]]
    found = bootstrap_mean(apart)
    assert found.value == pytest.approx(5.01)
    assert found.high - found.low < 0.03
    together = bootstrap_mean([sum(apart, [])])
    assert together.high - together.low > 5


def test_the_same_values_give_the_same_interval():
    assert bootstrap_mean([[1, 2, 3, 4]]) == bootstrap_mean([[1, 2, 3, 4]])


@pytest.mark.parametrize("groups", [[[1.0]], [[1.0], [2.0]], [[1.0, math.nan]], [[1.0, math.inf]]])
def test_too_little_or_nonsense_gives_no_interval(groups):
    found = bootstrap_mean(groups)
    assert (found.low, found.high) == (None, None)


def test_nothing_at_all():
    assert math.isnan(bootstrap_mean([]).value) and math.isnan(bootstrap_mean([[]]).value)
    assert bootstrap_mean([[], [1.0, 3.0]]).value == 2
    assert Estimate(math.nan).as_dict() == {"value": None, "low": None, "high": None}


def test_a_share_of_something():
    assert Estimate(-1.0, -2.0, None).over(4) == Estimate(-0.25, -0.5, None)
