"""How a clip moves: its rhythm, and how fast the levels of its bands go up and down."""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.ndimage import uniform_filter1d

from acestep.judging.spectrogram import FRAMES, Array, Spectrogram

LAGS, LAG_BINS, PULSE_BINS = (0.14, 3.0), 16, slice(3, 16)  # seconds; of a beat and its multiples
SMOOTH = FRAMES  # frames: the second over which a mean is taken off
FIRST_BAND, BANDS_EACH, PARTS = 2, 6, 6  # the mel bands of each of six parts of the spectrum
SPEEDS = (0.3, 1, 2, 4, 8, 16, 25)  # Hz, edges of the bands of modulation
TINY = 1e-6


def rhythm(clip: Spectrogram) -> np.ndarray:
    """``[20]``: where onsets repeat, how clearly, how many there are, how strong and uneven.

    The autocorrelation of onset strength in 16 bins of lag from 0.14 to 3 s, its peak over the lags
    of beats, log onsets a second, log strength, deviation over mean.
    """
    rise = np.maximum(0, np.diff(clip.mel, axis=0)).mean(1)
    onset = np.maximum(0, rise - uniform_filter1d(rise, SMOOTH))
    lags = _lagged(_autocorrelation(onset))
    inner = onset[1:-1]
    peaks = (inner > onset[:-2]) & (inner >= onset[2:]) & (inner > onset.mean())
    mean = onset.mean() + TINY
    rate = peaks.sum() * FRAMES / len(onset)
    others = [lags[PULSE_BINS].max(), np.log(rate + 0.1), np.log(mean), onset.std() / mean]
    return np.concatenate([lags, others])


def modulation(clip: Spectrogram) -> np.ndarray:
    """``[36]``: log power at six speeds, 0.3 to 25 Hz, of six bands' levels."""
    bands = clip.mel[:, FIRST_BAND : FIRST_BAND + BANDS_EACH * PARTS]
    envelope = bands.reshape(len(bands), PARTS, BANDS_EACH).mean(2)
    shaped = (envelope - envelope.mean(0)) * np.hanning(len(envelope))[:, None]
    density = np.abs(rfft(shaped, axis=0)) ** 2 / len(envelope)
    hertz = rfftfreq(len(envelope), 1 / FRAMES)
    rows = []
    for low, high in zip(SPEEDS, SPEEDS[1:], strict=False):
        inside = (hertz >= low) & (hertz <= high if high == SPEEDS[-1] else hertz < high)
        rows.append(density[inside].mean(0) if inside.any() else np.zeros(PARTS))
    return np.log10(np.stack(rows, axis=1).ravel() + TINY)


def _autocorrelation(curve: Array) -> np.ndarray:
    """Correlation at each lag ``[frames]``, each over as many products as it has; 1 at lag 0."""
    centred = curve - curve.mean()
    size = next_fast_len(2 * len(curve))
    raw = irfft(np.abs(rfft(centred, size)) ** 2, size)[: len(curve)]
    unbiased = raw / np.arange(len(curve), 0, -1)
    return unbiased / max(unbiased[0], TINY**2)


def _lagged(correlation: np.ndarray) -> np.ndarray:
    """Its maximum in each bin of lag ``[16]``; 0 for lags that a short clip lacks."""
    edges = np.round(np.geomspace(*LAGS, LAG_BINS + 1) * FRAMES).astype(int)
    longest = 2 * len(correlation) // 3  # beyond, few products are left
    found = np.zeros(LAG_BINS)
    for number, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        part = correlation[low : min(max(high, low + 1), longest)]
        found[number] = part.max(initial=-1) if part.size else 0
    return found
