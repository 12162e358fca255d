"""Pitch and tempo: measured on tones and clicks of known pitch and place."""

import builtins

import numpy as np
import pytest
from sound_files import tone

from acestep.data.audio import RATE
from acestep.data.stretch import load_stretch, stretched
from acestep.errors import ConfigError

pytest.importorskip("python_stretch")


def pitch_of(samples):
    """The frequency of a sine, by a parabola over the logarithm of its spectrum's peak."""
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples))))
    at = int(spectrum.argmax())
    before, top, after = spectrum[at - 1 : at + 2]
    shift = 0.5 * (before - after) / (before - 2 * top + after)
    return (at + shift) * RATE / (4 * len(samples))


@pytest.mark.parametrize(("cents", "speed"), [(20, 1.0), (-30, 1.0), (0, 1.03), (13, 0.97)])
def test_pitch_and_length_are_what_was_asked_for(cents, speed):
    audio = tone(3.0, pitch=440.0)
    moved = stretched(audio, cents, speed)
    assert moved.dtype == np.float32 and moved.shape[0] == 2
    assert moved.shape[1] == pytest.approx(audio.shape[1] / speed, abs=2)
    for channel, pitch in ((0, 440.0), (1, 880.0)):
        heard = pitch_of(moved[channel, 12_000:-12_000])
        assert 1200 * np.log2(heard / pitch) == pytest.approx(cents, abs=0.1)
    assert np.sqrt((moved**2).mean()) == pytest.approx(np.sqrt((audio**2).mean()), rel=0.05)


@pytest.mark.parametrize("speed", [0.97, 1.03])
def test_events_stay_where_the_new_tempo_puts_them(speed):
    places = np.arange(1, 8) * 24_000
    audio = np.zeros((2, 8 * 24_000), np.float32)
    burst = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 200)
    for place in places:
        audio[:, place : place + 2000] += 0.3 * burst.astype(np.float32)
    moved = np.abs(stretched(audio, 25, speed)[0])
    for place in places:
        there = round(place / speed)
        loud = np.flatnonzero(moved[there - 9000 : there + 9000] > 0.3)[0] - 9000
        assert abs(loud) < 240  # 5 ms


def test_the_same_comes_out_every_time_and_nothing_asked_is_nothing_done():
    audio = tone(1.0)
    np.testing.assert_array_equal(stretched(audio, 20, 1.02), stretched(audio, 20, 1.02))
    np.testing.assert_array_equal(stretched(audio), audio)


def test_a_missing_package_is_said_with_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("python_stretch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="python-stretch") as caught:
        load_stretch()
    assert "acestep-studio[augment]" in caught.value.hint
