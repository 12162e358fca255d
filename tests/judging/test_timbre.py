import numpy as np
import pytest
from scipy.fft import idct
from style_folders import RATE, music

from acestep.judging.spectrogram import see
from acestep.judging.timbre import cepstra, mel_mean, mel_spread, shape


def noise(seconds=4.0):
    return np.random.default_rng(0).standard_normal((2, round(seconds * RATE))).astype(np.float32)


def tone(hertz):
    return np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE).astype(np.float32)


def test_levels_of_bands():
    clip = see(music("rock", 1), RATE)
    assert mel_mean(clip).sum() == pytest.approx(0, abs=1e-3)
    assert mel_spread(clip) == pytest.approx(clip.mel.std(0))


def test_cepstra_hold_the_shape_of_the_mean_spectrum():
    clip = see(music("rock", 1), RATE)
    found = cepstra(clip)
    assert found.shape == (60,)
    padded = np.zeros(40)
    padded[1:21] = found[:20]
    smooth = idct(padded, norm="ortho")
    assert np.corrcoef(smooth, mel_mean(clip))[0, 1] > 0.98


def test_a_tone_has_its_centroid_and_no_width():
    found = shape(see(tone(1000), RATE))
    assert found.shape == (20,)
    assert found[0] == pytest.approx(np.log2(1000), abs=0.02)
    assert found[1] < 0.1 and found[2] == pytest.approx(np.log2(1000), abs=0.05)


def test_noise_is_flat_and_without_contrast():
    even, pitched = shape(see(noise(), RATE)), shape(see(tone(1000), RATE))
    # The mean of log power of noise is Euler's constant in nepers under the log of its mean
    assert even[3] == pytest.approx(-10 * np.log10(np.e) * np.euler_gamma, abs=0.2)
    assert pitched[3] < -30
    assert pitched[4 + 3] > even[4 + 3] + 20  # the band of 800 to 1600 Hz


def test_what_does_not_move_has_no_deviation():
    assert shape(see(tone(440), RATE))[10:13].max() < 0.01
    assert cepstra(see(tone(440), RATE))[20:].max() < 1
