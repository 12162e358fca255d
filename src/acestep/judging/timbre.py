"""How a clip sounds, whatever it plays: mel levels, cepstra, the shape of the spectrum."""

from functools import cache

import numpy as np
from scipy.fft import dct

from acestep.judging.spectrogram import RATE, WINDOW, Array, Spectrogram

CEPSTRA = 20  # c1 to c20; c0 is the level
FIRST, LAST = 2, 427  # bins of the spectrum's shape: 47 Hz to 10 kHz
ROLL_OFF = 0.85  # of the power lies below
CONTRAST = (100, 200, 400, 800, 1600, 3200, 8000)  # Hz, edges of six bands
SHARE = 0.2  # of a band's bins are its peaks, and as many its valleys
TINY = 1e-12


def mel_mean(clip: Spectrogram) -> np.ndarray:
    """``[40]``: mean level of each band against the mean of all: the equaliser."""
    mean = clip.mel.mean(0)
    return mean - mean.mean()


def mel_spread(clip: Spectrogram) -> np.ndarray:
    """``[40]``: how much the level of each band moves."""
    return clip.mel.std(0)


def cepstra(clip: Spectrogram) -> np.ndarray:
    """``[60]``: of 20 mel cepstra the mean, the deviation, and that of their change in 40 ms."""
    rows = dct(clip.mel, axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    return np.concatenate([rows.mean(0), rows.std(0), (rows[2:] - rows[:-2]).std(0)])


def shape(clip: Spectrogram) -> np.ndarray:
    """``[20]``: centroid, width, roll-off in octaves, flatness and six contrasts in dB.

    Mean and deviation of each over time. A contrast is how far a band's peaks stand out from its
    valleys (Jiang et al. 2002).
    """
    power = clip.mid_power[:, FIRST : LAST + 1] + TINY
    octave = np.log2(np.arange(FIRST, LAST + 1) * RATE / WINDOW).astype(np.float32)
    share = power / power.sum(1, keepdims=True)
    centroid = share @ octave
    width = np.sqrt(np.maximum(share @ octave**2 - centroid**2, 0))
    roll_off = octave[(share.cumsum(1) < ROLL_OFF).sum(1).clip(max=len(octave) - 1)]
    level = 10 * np.log10(power)
    flatness = level.mean(1) - 10 * np.log10(power.mean(1))
    rows = np.stack([centroid, width, roll_off, flatness, *_contrasts(level)])
    return np.concatenate([rows.mean(1), rows.std(1)])


def _contrasts(level: Array) -> list[Array]:
    contrasts = []
    for bins in _contrast_bins():
        band = np.sort(level[:, bins], axis=1)
        count = max(1, round(SHARE * band.shape[1]))
        contrasts.append(band[:, -count:].mean(1) - band[:, :count].mean(1))
    return contrasts


@cache
def _contrast_bins() -> list[slice]:
    edges = [round(hertz * WINDOW / RATE) - FIRST for hertz in CONTRAST]
    return [slice(low, high) for low, high in zip(edges, edges[1:], strict=False)]
