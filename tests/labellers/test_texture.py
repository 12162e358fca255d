import numpy as np
import pytest
from label_signals import RATE, cadence, clicks

from acestep.labellers.onsets import find_onsets, to_mono
from acestep.labellers.texture import describe


def texture(sound):
    return describe(find_onsets(to_mono(np.asarray(sound, np.float32), RATE)))


@pytest.mark.parametrize("hertz", [250, 1000, 4000])
def test_a_tone_is_as_bright_as_it_is_high(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE)
    assert texture([tone, tone]).brightness == pytest.approx(hertz, rel=0.1)


def test_white_noise_has_its_centroid_in_the_middle():
    noise = np.random.default_rng(0).standard_normal((2, 4 * RATE))
    assert texture(noise).brightness == pytest.approx(5750, rel=0.05)


@pytest.mark.parametrize("bpm", [60, 150, 240])
def test_onsets_are_counted(bpm):
    assert texture(clicks(bpm, 20.0)).onset_density == pytest.approx(bpm / 60, abs=0.25)


def test_clicks_are_percussion_and_chords_are_not():
    assert texture(clicks(120, 10.0)).percussive > 0.8
    assert texture(cadence(0, "major")).percussive < 0.3


@pytest.mark.parametrize("size", [0, 1, RATE])
def test_silence_has_no_brightness(size):
    found = texture(np.zeros((2, size)))
    assert (found.brightness, found.onset_density, found.percussive) == (None, 0.0, 0.0)
