"""The same judgement from the model's own latents: what it hears, with no feature of ours.

Of each channel the mean, the deviation, and the deviation of its change from frame to frame: 192
numbers for the 64 channels of ACE-Step 1.5, at 25 frames a second.
"""

from collections.abc import Mapping

import numpy as np

from acestep.judging.spectrogram import Array
from acestep.model.flow import FRAMES_PER_SECOND

SHORTEST = 1.0  # seconds


def groups(channels: int) -> Mapping[str, int]:
    """How many numbers each of the three groups has."""
    return {"mean": channels, "spread": channels, "change": channels}


def feel(latents: np.ndarray) -> Array:
    """The features ``[3 C]`` of latents ``[T, C]``; NaN if shorter than a second or not finite."""
    rows = np.asarray(latents, np.float64)
    if len(rows) < SHORTEST * FRAMES_PER_SECOND or not np.isfinite(rows).all():
        return np.full(3 * rows.shape[1], np.nan, np.float32)
    groups = [rows.mean(0), rows.std(0), np.diff(rows, axis=0).std(0)]
    return np.concatenate(groups).astype(np.float32)
