"""What the features of a clip are read from: its level taken out, middle and side, spectra.

Nothing here depends on how loud a clip is: every clip has the same RMS.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from acestep.data.audio import SILENCE, resampled

Array = NDArray[np.float32]

RATE = 24_000  # Hz
LEVEL = 0.1  # RMS over both channels
SHORTEST = 1.0  # seconds of a clip that has features
WINDOW, HOP = 1024, 480
FRAMES = RATE // HOP  # a second: 50
BANDS, LOWEST, HIGHEST = 40, 40.0, 10_000.0  # mel bands, Hz
RANGE = 80.0  # dB under the loudest; what is softer counts as that


@dataclass(frozen=True)
class Spectrogram:
    """A clip of one level at 24 kHz.

    ``left``, ``right``, ``middle`` ``[n]``; ``mid_power``, ``side_power`` ``[frames, 513]`` at 50
    frames a second; ``mel`` ``[frames, 40]`` in dB.
    """

    left: Array
    right: Array
    mid_power: Array
    side_power: Array
    mel: Array

    @property
    def middle(self) -> Array:
        return np.asarray((self.left + self.right) / 2, np.float32)


def see(audio: np.ndarray, rate: float, *, limit: float | None = None) -> Spectrogram | None:
    """A clip ``[c, n]`` or ``[n]``; ``limit`` takes away what is above so many Hz.

    None for a clip without features: silent, shorter than a second, or not finite.
    """
    frames = np.atleast_2d(np.asarray(audio, np.float32))[:2]
    if frames.shape[1] < SHORTEST * rate or not np.isfinite(frames).all():
        return None
    if np.abs(frames).max() <= SILENCE:
        return None
    sound = resampled(frames, rate, RATE) if rate != RATE else frames
    if limit is not None and limit < RATE / 2:
        sound = low_passed(sound, RATE, limit)
    sound = sound * np.float32(LEVEL / np.sqrt(np.mean(sound**2, dtype=np.float64)))
    left, right = sound[0], sound[-1]
    mid, side = power((left + right) / 2), power((left - right) / 2)
    return Spectrogram(left, right, mid, side, decibels(mid @ mel_filters()))


def power(sound: Array, window: int = WINDOW, hop: int = HOP) -> Array:
    """Power ``[frames, bins]`` of Hann windows, the first at the beginning."""
    padded = np.pad(sound, (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    spectra = rfft(frames * np.hanning(window).astype(np.float32), axis=1)
    return np.square(spectra.real) + np.square(spectra.imag)


def decibels(power_: Array) -> Array:
    """Levels in dB, none more than 80 dB under the highest."""
    level = 10 * np.log10(power_ + 1e-12)
    return np.maximum(level, level.max() - RANGE)


def low_passed(sound: np.ndarray, rate: float, limit: float) -> Array:
    """``[c, n]`` without what is above ``limit`` Hz."""
    spectrum = np.fft.rfft(sound)
    spectrum[:, np.fft.rfftfreq(sound.shape[1], 1 / rate) > limit] = 0
    return np.fft.irfft(spectrum, sound.shape[1]).astype(np.float32)


@cache
def mel_filters() -> Array:
    """``[513, 40]``: triangles even in mel (O'Shaughnessy 1987), each of sum 1."""
    low, high = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    filters = [
        np.interp(bins, edges[band : band + 3], [0, 1, 0], left=0, right=0) for band in range(BANDS)
    ]
    return np.array([row / row.sum() for row in filters], np.float32).T
