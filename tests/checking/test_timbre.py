from dataclasses import astuple

import numpy as np
import pytest
from check_sounds import RATE, music
from scipy.signal import butter, sosfilt

from acestep.checking.sound import mono, spectra
from acestep.checking.timbre import distances, hear


def heard(audio):
    return hear(spectra(mono(audio), RATE))


def test_bands_centroid_and_flatness_of_a_sine():
    sine = 0.5 * np.sin(2 * np.pi * 700 * np.arange(RATE) / RATE).astype(np.float32)[None]
    timbre = heard(sine)
    assert timbre.band3 == pytest.approx(0, abs=0.01) and timbre.band5 < -80
    assert timbre.centroid == pytest.approx(np.log2(701), abs=0.01)
    assert timbre.flatness < -5 and timbre.dynamics == pytest.approx(0, abs=0.01)


def test_white_noise_is_flat_and_its_bands_are_as_wide_as_they_are():
    noise = np.random.default_rng(0).standard_normal((1, 4 * RATE)).astype(np.float32) / 4
    timbre = heard(noise)
    # The geometric over the arithmetic mean of exponential values is exp(-0.5772)
    assert timbre.flatness == pytest.approx(-0.5772 / np.log(10), abs=0.02)
    assert timbre.band6 == pytest.approx(10 * np.log10(10_000 / 24_000), abs=0.1)
    assert timbre.centroid == pytest.approx(np.log2(12_000), abs=0.02)


def test_it_does_not_hear_the_level():
    one, other = heard(music(4)), heard(0.1 * music(4))
    np.testing.assert_allclose(astuple(one), astuple(other), atol=1e-3)


def test_the_odd_one_lies_far_from_the_others():
    dull = sosfilt(butter(6, 500, fs=RATE, output="sos"), music(4, 7), axis=1)
    timbres = [heard(music(4, seed)) for seed in range(7)] + [heard(dull)]
    far = distances(timbres)
    assert far[7] > 3 and far[7] > 2 * np.median(far)
    assert far[:7].max() < 3


def test_nothing_has_a_timbre_too():
    for audio in (np.zeros((2, 100), np.float32), np.zeros((2, RATE), np.float32)):
        assert np.isfinite(astuple(heard(audio))).all()
    assert np.isfinite(distances([heard(music(1))] * 4)).all()
