"""Spectrograms of clips, for people to look at."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from acestep.data.audio import RATE
from acestep.data.files import atomic

WINDOW, HOP = 4096, 512
HIGHEST = 5000.0  # Hz; most of what is played, as notes and their first harmonics, lies below
FLOOR = -60.0  # dB below the loudest point
INK = "#868686"  # of axes and their labels: legible on light and on dark ground


def draw_spectrogram(path: Path, audio: np.ndarray) -> None:
    """Write a PNG of a clip (``[2, n]``, 48 kHz): seconds to the right, kHz upwards."""
    figure = Figure(figsize=(7, 2.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(
        spectrogram(audio),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=FLOOR,
        vmax=0,
        extent=(0, audio.shape[1] / RATE, 0, HIGHEST / 1000),
    )
    axes.set_xlabel("seconds", color=INK)
    axes.set_ylabel("kHz", color=INK)
    axes.tick_params(color=INK, labelcolor=INK)
    axes.spines[:].set_color(INK)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", transparent=True)


def spectrogram(audio: np.ndarray) -> np.ndarray:
    """Levels ``[bins up to HIGHEST, frames]`` of the channels' mean, dB below the loudest point."""
    mono = audio.mean(0)
    mono = np.pad(mono, (0, max(0, WINDOW - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW)))
    heard = magnitude[:, : round(HIGHEST * WINDOW / RATE)].T
    return 20 * np.log10(heard / max(1e-9, heard.max()) + 1e-6)
