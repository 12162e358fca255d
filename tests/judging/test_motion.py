import numpy as np
import pytest
from style_folders import RATE

from acestep.judging.motion import LAG_BINS, LAGS, modulation, rhythm
from acestep.judging.spectrogram import see

EDGES = np.geomspace(*LAGS, LAG_BINS + 1)


def noise(seconds=10.0):
    return np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)


def clicks(period, seconds=10.0):
    """Short bursts of noise, so many seconds apart."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (noise(seconds) * np.exp(-((time % period) / 0.02))).astype(np.float32)


def bin_of(lag):
    return int(np.searchsorted(EDGES, lag, side="right")) - 1


@pytest.mark.parametrize("period", [0.4, 0.5, 0.8])
def test_onsets_repeat_at_their_period(period):
    found = rhythm(see(clicks(period), RATE))
    assert found.shape == (20,)
    assert found[bin_of(period)] > 0.8
    between = bin_of(period * 0.7)
    assert found[between] < 0.3
    assert found[16] > 0.8  # the clearest beat
    assert np.exp(found[17]) == pytest.approx(1 / period + 0.1, rel=0.1)  # onsets a second


def test_noise_has_no_beat_and_a_drone_no_onsets():
    assert rhythm(see(noise(), RATE))[3:17].max() < 0.4
    drone = np.sin(2 * np.pi * 220 * np.arange(5 * RATE) / RATE)
    assert np.isfinite(rhythm(see(drone, RATE))).all()
    assert rhythm(see(drone, RATE))[18] < rhythm(see(noise(), RATE))[18]


@pytest.mark.parametrize(("speed", "place"), [(0.6, 0), (3.0, 2), (6.0, 3), (12.0, 4)])
def test_power_is_at_the_speed_of_the_tremolo(speed, place):
    time = np.arange(10 * RATE) / RATE
    moved = noise() * (1 + 0.9 * np.sin(2 * np.pi * speed * time))
    found = modulation(see(moved, RATE)).reshape(6, 6)  # part of the spectrum, speed
    assert (found.argmax(1) == place).all()


def test_a_short_clip_lacks_long_lags():
    found = rhythm(see(clicks(0.25, 1.0), RATE))
    assert np.isfinite(found).all() and (found[bin_of(0.8) : 16] == 0).all()
    assert np.isfinite(modulation(see(clicks(0.25, 1.0), RATE))).all()
