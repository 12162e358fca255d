import numpy as np
import pytest
from style_folders import RATE

from acestep.judging.mix import dynamics, stereo
from acestep.judging.spectrogram import see


def noise(seed, seconds=4.0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_stereo_from_mono_to_out_of_phase():
    one, other = noise(0), noise(1)
    mono, wide, apart = (
        stereo(see(np.stack(pair), RATE)) for pair in ((one, one), (one, other), (one, -one))
    )
    assert mono == pytest.approx([-40] * 4 + [1], abs=1e-3)
    assert wide == pytest.approx([0] * 4 + [0], abs=0.6)
    assert apart == pytest.approx([10] * 4 + [-1], abs=1e-3)


def test_a_lopsided_clip():
    assert stereo(see(np.stack([noise(0), 0 * noise(0)]), RATE)) == pytest.approx([0] * 5, abs=0.01)


def test_levels_of_something_even_and_of_something_that_comes_and_goes():
    time = np.arange(4 * RATE) / RATE
    even = dynamics(see(np.sin(2 * np.pi * 1000 * time), RATE))
    assert even[:3] == pytest.approx([0, 0, 0], abs=0.05)
    assert even[3] == pytest.approx(10 * np.log10(2), abs=0.1)  # peak over RMS of a sine
    assert even[4] == 0
    gated = dynamics(see(np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.5), RATE))
    assert gated[1] > 60 and gated[4] == pytest.approx(0.5, abs=0.05)
    assert gated[3] == pytest.approx(10 * np.log10(4), abs=0.1)
