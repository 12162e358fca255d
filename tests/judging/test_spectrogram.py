import numpy as np
import pytest
from scipy.signal import spectrogram
from style_folders import RATE, music

from acestep.judging.spectrogram import RATE as OWN
from acestep.judging.spectrogram import decibels, low_passed, mel_filters, power, see


def tone(hertz, seconds=2.0, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def test_power_is_that_of_scipy():
    sound = np.random.default_rng(0).standard_normal(OWN).astype(np.float32)
    _, _, other = spectrogram(
        sound, OWN, np.hanning(1024), 1024, 544, detrend=False, mode="complex", scaling="spectrum"
    )
    scale = np.hanning(1024).sum()
    assert power(sound)[: other.shape[1]] == pytest.approx(
        np.abs(other.T * scale) ** 2, rel=1e-3, abs=1e-3
    )


def test_the_level_of_a_clip_does_not_count():
    audio = music("rock", 0)
    loud, soft = see(audio, RATE), see(audio * 0.03, RATE)
    assert np.sqrt(np.mean(np.stack([soft.left, soft.right]) ** 2)) == pytest.approx(0.1, rel=1e-4)
    assert soft.mel == pytest.approx(loud.mel, abs=1e-3)


@pytest.mark.parametrize("broken", ["silent", "nan", "short", "empty"])
def test_what_has_no_features(broken):
    audio = music("rock", 0).copy()
    if broken == "nan":
        audio[0, 7] = np.nan
    audio = {"silent": audio * 0, "short": audio[:, : RATE // 2], "empty": audio[:, :0]}.get(
        broken, audio
    )
    assert see(audio, RATE) is None


def test_a_mono_clip_has_no_side():
    clip = see(tone(440), RATE)
    assert clip.side_power.max() == 0 and clip.left == pytest.approx(clip.right)
    assert clip.middle == pytest.approx(clip.left)


def test_a_tone_is_in_its_band():
    filters = mel_filters()
    assert filters.shape == (513, 40) and filters.sum(0) == pytest.approx(np.ones(40), rel=1e-5)
    centres = filters.argmax(0) * OWN / 1024
    clip = see(tone(1000), RATE)
    assert abs(centres[clip.mel.mean(0).argmax()] - 1000) < 60
    assert clip.mel.max() - clip.mel.min() <= 80.001


def test_levels_end_80_db_down():
    assert decibels(np.array([[1.0, 1e-3, 1e-20]])) == pytest.approx(
        np.array([[0, -30, -80]]), abs=1e-6
    )


def test_a_low_pass_takes_what_is_above():
    both = (tone(500) + tone(5000))[None]
    assert low_passed(both, RATE, 2000)[0, 500:-500] == pytest.approx(tone(500)[500:-500], abs=1e-3)
    limited = see(both, RATE, limit=2000)
    assert limited.mel[:, 30:].max() < limited.mel.max() - 60
