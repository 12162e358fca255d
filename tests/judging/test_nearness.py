"""Relative distances of several sets of clips: right on clusters that were made, and paired."""

import numpy as np
import pytest

from acestep.judging.nearness import missing_gains, relative_distances

D = 12


def songs(rng, count=8, each=3, spread=0.7):
    """Excerpts around a centre of each song; songs around 0."""
    centres = rng.normal(0, 1, (count, D))
    rows = np.repeat(centres, each, axis=0) + rng.normal(0, spread, (count * each, D))
    return rows, [f"song {n}" for n in range(count) for _ in range(each)]


def made(rng, shift, count=16):
    """Clips of other songs, moved away."""
    return rng.normal(0, np.sqrt(1 + 0.49), (count, D)) + shift


def test_base_is_one_and_other_clips_of_the_same_songs_about_nothing():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        rows, names = songs(rng)
        base = made(rng, 1.5)
        both = relative_distances(rows, names, base, {"base": base, "same": made(rng, 0)}, draws=2)
        assert both["base"][0] == 1
        found.append(both["same"][0])
    assert abs(np.mean(found)) < 2 * np.std(found) / np.sqrt(20) + 0.02
    assert np.std(found) < 0.2


def test_excerpts_of_one_song_are_not_held_against_each_other():
    """With same-song pairs in, the songs would seem tighter and any clip farther away."""
    rng = np.random.default_rng(1)
    apart, together = [], []
    for _ in range(20):
        rows, names = songs(rng, spread=0.3)
        base, clips = made(rng, 1.5), made(rng, 0)
        for into, called in ((apart, names), (together, [str(n) for n in range(len(names))])):
            score = relative_distances(rows, called, base, {"x": clips}, draws=1)["x"][0]
            into.append(score)
    assert np.mean(together) > np.mean(apart) + 0.05


def test_draws_are_shared():
    """Two sets that hardly differ: their difference is known far better than either."""
    rng = np.random.default_rng(2)
    rows, names = songs(rng)
    base, clips = made(rng, 1.5), made(rng, 0.8)
    found = relative_distances(rows, names, base, {"a": clips, "b": clips + 0.02})
    assert np.std(found["b"] - found["a"]) < np.std(found["a"]) / 5
    assert found["b"][0] > found["a"][0]


def test_half_of_the_clips_in_style_leaves_a_quarter_of_the_distance():
    """Energy distance of a mixture of share p: (1 - p)^2 (metric theory)."""
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(30):
        rows, names = songs(rng, count=20)
        base = made(rng, 1.5, 32)
        mixed = np.concatenate([made(rng, 1.5, 32)[:16], made(rng, 0, 16)])
        shares.append(relative_distances(rows, names, base, {"x": mixed}, draws=1)["x"][0])
    assert np.mean(shares) == pytest.approx(0.25, abs=0.05)


def test_rows_that_are_not_finite_are_left_out():
    rng = np.random.default_rng(4)
    rows, names = songs(rng)
    base, clips = made(rng, 1.5), made(rng, 0.5)
    clips[3] = base[3] = np.nan
    rows[0] = np.nan
    score = relative_distances(rows, names, base, {"x": clips}, draws=20)["x"]
    assert np.isfinite(score[0])
    rest = relative_distances(
        rows[1:], names[1:], np.delete(base, 3, 0), {"x": np.delete(clips, 3, 0)}, draws=1
    )["x"][0]
    assert score[0] == pytest.approx(rest)


def test_nothing_to_compare_gives_no_number():
    rng = np.random.default_rng(5)
    rows, names = songs(rng)
    for base, held in ((np.full((4, D), np.nan), rows), (made(rng, 1), np.full_like(rows, np.nan))):
        found = relative_distances(held, names, base, {"x": made(rng, 0, len(base))}, draws=3)
        assert np.isnan(found["x"]).all()


def test_missing_gains_are_shares_of_the_best_gain():
    early = {"a": -0.1, "b": -0.2}
    best = {"a": -0.3, "b": -0.3}
    late = {"a": 0.2, "b": 0.1}
    found = missing_gains({"early": early, "best": best, "late": late}, draws=50)
    assert [found[name][0] for name in found] == pytest.approx([0.5, 0, 1.5])
    assert found["best"].shape == (51,) and (found["best"] == 0).all()
    assert found["early"][1:].min() >= 1 / 3 - 1e-9 and found["early"][1:].max() <= 2 / 3 + 1e-9


def test_where_nothing_gains_nothing_is_missing():
    found = missing_gains({"one": {"a": 0.2}, "other": {"a": 0.1}}, draws=3)
    assert all((draws == 0).all() for draws in found.values())
    assert missing_gains({"one": {"a": 1.0}, "other": {"b": 1.0}}) == {}
