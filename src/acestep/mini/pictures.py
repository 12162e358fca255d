"""The demo's picture: what the folder, the base and the adapter sound like, and the loss curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from acestep.data.files import atomic
from acestep.events import Event
from acestep.mini.synth import RATE
from acestep.training.pictures import plot_losses

WINDOW, HOP = 4096, 1024
HIGHEST = 5000.0  # Hz; most of what the small model plays lies below
FLOOR = -60.0  # dB below the loudest point


def draw_demo(path: Path, clips: Mapping[str, np.ndarray], log: Sequence[Event]) -> None:
    """Write a PNG: a spectrogram of each titled clip (``[2, n]``, 48 kHz), and a run's losses."""
    figure = Figure(figsize=(9, 1.6 * len(clips) + 2.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(clips) + 1, 1, squeeze=False, height_ratios=[1] * len(clips) + [1.6]
    )[:, 0]
    for panel, (title, audio) in zip(axes, clips.items(), strict=False):
        panel.imshow(
            spectrogram(audio),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=FLOOR,
            vmax=0,
            extent=(0, audio.shape[1] / RATE, 0, HIGHEST / 1000),
        )
        panel.set_title(title, fontsize=9, loc="left")
        panel.set_ylabel("kHz")
    plot_losses(axes[-1], log)
    axes[-1].set_ylabel("loss")
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")


def spectrogram(audio: np.ndarray) -> np.ndarray:
    """Levels ``[bins up to HIGHEST, frames]`` of the channels' mean, dB below the loudest point."""
    mono = audio.mean(0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW)))
    heard = magnitude[:, : round(HIGHEST * WINDOW / RATE)].T
    return 20 * np.log10(heard / max(1e-9, heard.max()) + 1e-6)
