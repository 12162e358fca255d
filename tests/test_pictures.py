"""Spectrograms are right, and are written as PNG files."""

import numpy as np

from acestep.data.audio import RATE
from acestep.pictures import HIGHEST, HOP, WINDOW, draw_spectrogram, spectrogram


def sine(frequency: float, seconds: float = 1.0) -> np.ndarray:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_a_sine_is_one_bright_line_at_its_frequency():
    levels = spectrogram(sine(1000.0))
    assert levels.shape == (round(HIGHEST * WINDOW / RATE), (RATE - WINDOW) // HOP + 1)
    assert set(levels.argmax(0)) == {round(1000 * WINDOW / RATE)}
    assert levels.max() <= 1e-3 and levels[300:].max() < -60


def test_silence_can_be_drawn(tmp_path):
    assert np.isfinite(spectrogram(np.zeros((2, RATE), np.float32))).all()
    draw_spectrogram(tmp_path / "silence.png", np.zeros((2, RATE), np.float32))
    assert (tmp_path / "silence.png").read_bytes().startswith(b"\x89PNG")


def test_clips_of_any_length_make_pictures_of_one_size(tmp_path):
    heads = []
    for seconds in (0.5, 2.0):
        draw_spectrogram(tmp_path / "clip.png", sine(500.0, seconds))
        heads.append((tmp_path / "clip.png").read_bytes()[:24])
    assert heads[0] == heads[1] and heads[0].startswith(b"\x89PNG")
