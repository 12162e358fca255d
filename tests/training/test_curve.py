"""Falling, staying, swinging: curves of known shape with known noise."""

import math

import numpy as np
import pytest

from acestep.training.curve import falling, read_curve, swings

STEPS = np.arange(400)
RNG = np.random.default_rng(0)
NOISE = 0.1 * RNG.standard_normal(400)
FALL = 0.5 + 0.5 * np.exp(-STEPS / 80)


def test_a_noisy_fall_falls_and_does_not_oscillate():
    curve = read_curve(FALL + NOISE)
    assert curve.falls and not curve.oscillates and curve.finite and curve.steps == 400
    assert curve.surprise == pytest.approx(1, abs=0.6)  # what is left is chance
    assert curve.first == pytest.approx(FALL[:80].mean(), abs=0.03)


def test_noise_alone_neither_falls_nor_oscillates():
    for seed in range(20):
        curve = read_curve(0.6 + 0.1 * np.random.default_rng(seed).standard_normal(300))
        assert not curve.falls and not curve.oscillates


def test_a_swing_larger_than_chance_oscillates():
    for period in (60, 100):
        curve = read_curve(FALL + NOISE + 0.2 * np.sin(2 * math.pi * STEPS / period))
        assert curve.oscillates


def test_nan_ends_the_curve_and_too_few_steps_are_none():
    curve = read_curve([*FALL[:100], math.nan, 0.1])
    assert not curve.finite and curve.steps == 100
    assert not read_curve([math.inf]).finite
    assert read_curve([]) is None and read_curve(FALL[:20]) is None
    assert read_curve([0.5] * 50).falls is False  # no variance at all


def test_the_falling_fit_is_that_of_scipy():
    from scipy.optimize import isotonic_regression

    for seed in range(5):
        values = np.random.default_rng(seed).standard_normal(40)
        ours, theirs = falling(values), isotonic_regression(values, increasing=False).x
        assert np.allclose(ours, theirs)


def test_held_out_losses_swing_only_where_they_go_up_and_down_again_and_again():
    assert swings([0.6, 0.5, 0.62, 0.5, 0.63, 0.5, 0.64, 0.5])
    real = [0.628, 0.586, 0.480, 0.437, 0.479, 0.434, 0.427, 0.439, 0.435, 0.439, 0.4385]
    assert not swings(real)  # a healthy run of the small model
    assert not swings([0.6, 0.5, 0.45, 0.44, 0.46, 0.5, 0.55, 0.6, 0.7])  # overfitting
    assert not swings([0.6, 0.5, 0.6]) and not swings([0.5] * 9) and not swings([math.nan] * 9)
