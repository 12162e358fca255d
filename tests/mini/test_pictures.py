"""The demo's picture is a PNG with a panel for each clip, and its spectrograms are right."""

import numpy as np

from acestep.events import Step
from acestep.mini.pictures import HIGHEST, HOP, WINDOW, draw_demo, spectrogram
from acestep.mini.synth import RATE


def sine(frequency: float, seconds: float = 1.0) -> np.ndarray:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_a_sine_is_one_bright_line_at_its_frequency():
    levels = spectrogram(sine(1000.0))
    assert levels.shape == (round(HIGHEST * WINDOW / RATE), (RATE - WINDOW) // HOP + 1)
    assert set(levels.argmax(0)) == {round(1000 * WINDOW / RATE)}
    assert levels.max() <= 1e-3 and levels[300:].max() < -60


def test_silence_can_be_drawn():
    assert np.isfinite(spectrogram(np.zeros((2, RATE), np.float32))).all()


def test_every_clip_adds_a_panel_to_the_png(tmp_path):
    log = [Step(step, 1, 1 / step, 1e-3, 1.0) for step in range(1, 20)]
    heights = []
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        draw_demo(path, {f"clip {n}": sine(500.0 * (n + 1)) for n in range(count)}, log)
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        heights.append(int.from_bytes(head[20:24], "big"))
    assert heights[1] > heights[0]
