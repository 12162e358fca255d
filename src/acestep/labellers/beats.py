"""Candidate tempi, and where the beats would be at each of them.

Candidates come from the autocorrelation of the onset strength over windows of 14 s, summed at one
to four beats; their halves, doubles, thirds and the like are candidates too. For each, beats are
placed by dynamic programming (Ellis, "Beat tracking by dynamic programming", 2007): strong onsets
are worth taking, and distances that differ from the period cost the square of their log ratio.
"""

import numpy as np

from acestep.labellers.onsets import FRAMES, Array, Onsets

SLOWEST, FASTEST = 40.0, 220.0  # beats a minute
WINDOW = 1400  # frames
PEAKS = 4
RELATIVES = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)
SAME = 0.04  # log ratio below which two tempi are one
TIGHTNESS = 100.0
NARROWEST, WIDEST = 0.7, 1.4  # of the period, between two beats


def autocorrelation(curve: Array, longest: int) -> np.ndarray:
    """Autocorrelation at lags ``0 … longest`` frames, averaged over windows, 1 at lag 0."""
    from scipy.fft import irfft, rfft

    count = max(1, -(-(len(curve) - WINDOW) // (WINDOW // 2)) + 1)
    padded = np.pad(curve, (0, max(0, (count - 1) * (WINDOW // 2) + WINDOW - len(curve))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: WINDOW // 2]
    power = (np.abs(rfft(windows - windows.mean(1, keepdims=True), 2 * WINDOW)) ** 2).sum(0)
    correlation = irfft(power)[: longest + 1]
    unbiased = correlation * WINDOW / (WINDOW - np.arange(longest + 1))
    return unbiased / (unbiased[0] + 1e-9)


def repetition(onsets: Onsets) -> np.ndarray:
    """How the onset strength repeats, at lags up to four of the slowest beats, in frames."""
    longest = round(4 * 60 / SLOWEST * FRAMES)
    curves = [onsets.total, *onsets.regions]
    return np.mean([autocorrelation(curve, longest) for curve in curves], axis=0)


def candidates(onsets: Onsets) -> np.ndarray:
    """Tempi worth trying, in bpm: the best of a comb over the autocorrelation, and relatives."""
    if len(onsets.total) < 2 * FRAMES or not onsets.total.any():
        return np.array([])
    correlation = repetition(onsets)
    tempi = SLOWEST * 2 ** np.arange(0, np.log2(FASTEST / SLOWEST), 0.01)
    periods = 60 * FRAMES / tempi
    comb = sum(at(correlation, number * periods) for number in (1, 2, 3, 4))
    score = comb - 0.6 * np.log2(tempi / 115) ** 2
    best = _peaks(tempi, score)
    family = [tempo * ratio for tempo in best for ratio in RELATIVES]
    chosen: list[float] = []
    for tempo in family:
        if SLOWEST <= tempo <= FASTEST and all(
            abs(np.log(tempo / other)) > SAME for other in chosen
        ):
            chosen.append(tempo)
    return np.array(chosen)


def at(curve: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A curve between its frames."""
    return np.interp(where, np.arange(len(curve)), curve)


def track(strength: Array, bpm: float) -> np.ndarray:
    """Beats in seconds at about a tempo.

    The best sum up to frame ``t`` depends on frames at least ``NARROWEST`` periods earlier, so as
    many frames are decided at once.
    """
    from scipy.ndimage import gaussian_filter1d

    period = 60 * FRAMES / bpm
    lags = np.arange(int(NARROWEST * period), int(WIDEST * period) + 2)
    cost = TIGHTNESS * np.log(lags / period) ** 2
    local = gaussian_filter1d(strength, max(1.0, period / 32))
    local = local / (local.std() + 1e-9)
    reach, step = int(lags[-1]), int(lags[0])
    best = np.concatenate([np.zeros(reach), local.astype(np.float64)])
    before = np.full(len(best), -1)
    index = np.arange(step)[:, None] - lags[None]
    for first in range(reach, len(best), step):
        rows = index[: min(step, len(best) - first)] + first
        total = best[rows] - cost
        choice = total.argmax(1)
        ahead = np.arange(len(rows))
        gain = total[ahead, choice]
        best[first : first + len(rows)] += np.maximum(gain, 0)
        before[first : first + len(rows)] = np.where(gain > 0, rows[ahead, choice], -1)
    last = len(best) - 1 - int(np.argmax(best[: -int(period) - 1 : -1]))
    beats = []
    while last >= reach:
        beats.append(last - reach)
        last = before[last]
    return np.array(beats[::-1]) / FRAMES


def mean_bpm(beats: np.ndarray) -> float:
    """Tempo from the mean distance of beats, leaving out gaps and slips (over 20 % off)."""
    distances = np.diff(beats)
    usual = np.median(distances)
    return float(60 / distances[np.abs(distances / usual - 1) < 0.2].mean())


def _peaks(tempi: np.ndarray, score: np.ndarray) -> list[float]:
    """The tempi of the highest local maxima, at least 8 % apart."""
    inner = np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] > score[2:])) + 1
    found: list[float] = []
    for index in inner[np.argsort(-score[inner])]:
        if all(abs(np.log(tempi[index] / other)) > 0.08 for other in found):
            found.append(float(tempi[index]))
        if len(found) == PEAKS:
            break
    return found
