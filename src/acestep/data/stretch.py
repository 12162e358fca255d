"""Pitch and tempo of a recording, a little up or down.

Pitch is moved by resampling, which is exact and leaves no artefact, and the tempo that this changes
is put right by Signalsmith Stretch (the package ``python-stretch``, MIT, the extra ``augment``).
"""

from typing import Any

import numpy as np

from acestep.data.audio import RATE, resampled
from acestep.errors import ConfigError


def stretched(audio: np.ndarray, cents: float = 0.0, speed: float = 1.0) -> np.ndarray:
    """Audio ``(2, samples)`` at 48 kHz, ``cents`` higher and ``speed`` times as fast.

    The result has ``samples / speed`` samples, give or take one, and the same ones on every run.
    Raises ``ConfigError`` if the package is missing.
    """
    ratio = 2 ** (cents / 1200)
    moved = resampled(audio, RATE * ratio, RATE) if cents else audio
    if speed == ratio:
        return moved
    stretch = load_stretch()(0)  # a seed: the same result on every run
    stretch.preset(len(moved), RATE)
    stretch.setTimeFactor(speed / ratio)
    return np.asarray(stretch.process(np.ascontiguousarray(moved, np.float32)), np.float32)


def load_stretch() -> Any:
    """The class that stretches. Raises ``ConfigError`` that says what to install."""
    try:
        from python_stretch.Signalsmith import Stretch
    except ImportError as error:
        raise ConfigError(
            [f"--signal: changing pitch or tempo needs the package python-stretch: {error}"],
            hint="pip install 'acestep-studio[augment]', or use --pitch 0 --tempo 0",
        ) from error
    return Stretch
