import numpy as np
import pytest

from acestep.judging.disguise import disguised, moved, stretched

RATE = 48_000


def tones(seconds=4.0):
    """440 Hz at the left, 660 Hz at the right."""
    t = np.arange(round(seconds * RATE)) / RATE
    left, right = 0.3 * np.sin(2 * np.pi * 440 * t), 0.2 * np.sin(2 * np.pi * 660 * t)
    return np.stack([left, right]).astype(np.float32)


def pitches(audio):
    """The strongest frequency of each channel, to a tenth of a Hertz or so."""
    middle = audio[:, RATE // 2 : -RATE // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.shape[1]), 10 * RATE))
    return spectrum.argmax(1) / 10


@pytest.mark.parametrize("speed", [0.94, 1.0, 1.03])
def test_speed_changes_the_length_and_nothing_else(speed):
    audio = tones()
    result = stretched(audio, speed)
    assert result.shape == (2, round(audio.shape[1] / speed))
    np.testing.assert_allclose(pitches(result), [440, 660], atol=0.2)
    middle = result[:, RATE : 2 * RATE]
    np.testing.assert_allclose(
        np.sqrt((middle**2).mean(1)), [0.3 / 2**0.5, 0.2 / 2**0.5], rtol=0.05
    )


def test_clicks_keep_their_places():
    audio = np.zeros((2, 3 * RATE), np.float32)
    audio[:, RATE :: RATE // 2] = 0.9
    result = np.abs(stretched(audio, 1.02)[0])
    for place in (1.0, 1.5, 2.0, 2.5):
        near = round(place / 1.02 * RATE)
        around = result[near - 4800 : near + 4800]
        assert around.argmax() - 4800 == pytest.approx(0, abs=480)


@pytest.mark.parametrize("semitones", [-1.0, 2.0])
@pytest.mark.parametrize("tempo", [1.0, 1.02])
def test_pitch_and_tempo_are_moved_apart(semitones, tempo):
    result = moved(tones(), RATE, semitones, tempo)
    assert result.shape[1] == pytest.approx(4 * RATE / tempo, abs=2)
    factor = 2 ** (semitones / 12)
    np.testing.assert_allclose(pitches(result), [440 * factor, 660 * factor], atol=0.3)


def test_a_tempo_that_the_pitch_brings_along_needs_no_stretching():
    result = moved(tones(), RATE, 12, 2.0)
    np.testing.assert_allclose(pitches(result), [880, 1320], atol=0.2)


@pytest.mark.parametrize("audio", [np.zeros((2, RATE), np.float32), tones(0.05), tones()[:1]])
def test_silence_short_and_mono_sound(audio):
    result = disguised(audio, RATE, -1, 1.02, 64)
    assert len(result) == len(audio) and np.isfinite(result).all()
    assert result.shape[1] == pytest.approx(audio.shape[1] / 1.02, abs=RATE / 20)
