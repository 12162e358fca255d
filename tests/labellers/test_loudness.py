"""Against the numbers of BS.1770, EBU Tech 3341 and 3342."""

import numpy as np
import pytest

from acestep.labellers.loudness import k_weighting, measure_loudness, true_peak

RATE = 48_000


def sine(hertz, seconds, decibels, rate=RATE, phase=0.0):
    time = np.arange(round(seconds * rate)) / rate
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * time + phase)
    return np.stack([wave, wave]).astype(np.float32)


def test_the_filters_are_the_tables_of_the_standard():
    table = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285]
        + [1, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621],
    ]  # fmt: skip
    np.testing.assert_allclose(k_weighting(RATE), table, atol=1e-12)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("decibels", [-23.0, -33.0])
def test_a_stereo_tone_is_as_loud_as_its_level(decibels, rate):
    """EBU Tech 3341, cases 1 and 2: within 0.1 LU."""
    found = measure_loudness(sine(1000, 5, decibels, rate), rate)
    assert found.integrated == pytest.approx(decibels, abs=0.1)


def test_what_is_far_quieter_than_the_rest_does_not_count():
    """EBU Tech 3341, case 3: −36, −23, −36 dB for 10, 60 and 10 s are −23 LUFS."""
    parts = [sine(1000, seconds, level) for seconds, level in ((10, -36), (60, -23), (10, -36))]
    found = measure_loudness(np.concatenate(parts, 1), RATE)
    assert found.integrated == pytest.approx(-23, abs=0.1)


def test_one_side_alone_is_three_lu_quieter():
    one = sine(997, 5, 0)
    one[1] = 0
    assert measure_loudness(one, RATE).integrated == pytest.approx(-3.01, abs=0.05)


def test_the_range_is_that_of_slow_changes():
    """EBU Tech 3342, case 1: 20 s at −20 and 20 s at −30 dB are 10 LU."""
    sound = np.concatenate([sine(1000, 20, -20), sine(1000, 20, -30)], 1)
    assert measure_loudness(sound, RATE).range == pytest.approx(10, abs=1)


def test_between_samples_a_wave_can_be_higher():
    """EBU Tech 3341, case 16: a quarter of the rate, 45° off: samples 3 dB below the wave."""
    wave = sine(RATE / 4, 1, -6, phase=np.pi / 4)
    wave *= np.minimum(1, np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 4800)
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-9, abs=0.1)
    assert true_peak(wave.astype(np.float32)) == pytest.approx(-6, abs=0.2)


def test_a_peak_is_found_wherever_it_is():
    sound = sine(440, 3, -20)
    sound[1, 100_000] = -0.9
    assert true_peak(sound) == pytest.approx(20 * np.log10(0.9), abs=0.3)


@pytest.mark.parametrize(
    "sound", [np.zeros((2, 96_000)), np.full((2, 300), 1e-9), np.zeros((2, 1))]
)
def test_silence_and_little_have_no_loudness(sound):
    found = measure_loudness(sound.astype(np.float32), RATE)
    assert found.integrated is None and found.range is None


def test_silence_has_no_peak():
    assert true_peak(np.zeros((2, 1000), np.float32)) is None
    assert true_peak(np.full((2, 1), 0.5, np.float32)) == pytest.approx(-6.02, abs=1)
