import numpy as np
import pytest
from label_signals import RATE, cadence, chord, clicks

from acestep.labellers.key import NAMES, find_chroma, read_key
from acestep.labellers.onsets import to_mono


def key_of(sound):
    return read_key(find_chroma(to_mono(sound, RATE)))


@pytest.mark.parametrize("name", NAMES)
def test_a_cadence_is_in_its_key(name):
    tonic, mode = NAMES.index(name) % 12, name.split()[1]
    assert key_of(cadence(tonic, mode)).value == name


@pytest.mark.parametrize("cents", [-45, -20, 20, 45])
def test_instruments_may_be_out_of_tune(cents):
    found = find_chroma(to_mono(cadence(2, "major", cents), RATE))
    assert found.cents == pytest.approx(cents, abs=3)
    assert read_key(found).value == "D major"


def test_one_tone_is_one_pitch_class():
    tone = chord([69], 4.0)
    found = find_chroma(to_mono(np.stack([tone, tone]).astype(np.float32), RATE))
    shares = found.tones.sum(0) / found.tones.sum()
    assert shares.argmax() == 9 and shares[9] > 0.5


def test_the_bass_is_heard_by_itself():
    sound = chord([36], 4.0) + chord([76], 4.0)
    found = find_chroma(to_mono(np.stack([sound, sound]).astype(np.float32), RATE))
    assert found.bass.sum(0).argmax() == 0


def test_clicks_and_noise_are_in_no_key_for_sure():
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 10 * RATE))
    assert key_of(clicks(120, noise=0.01)).confidence < 0.7
    assert key_of(noise.astype(np.float32)).confidence < 0.7


@pytest.mark.parametrize("size", [0, 1, RATE])
def test_silence_has_no_key(size):
    found = key_of(np.zeros((2, size), np.float32))
    assert (found.value, found.confidence, found.runner_up) == (None, 0.0, None)
