"""Clipping: flat tops in the waveform, and what is left of them after gain and encoding.

A clipped wave runs into its ceiling and along it: neighbouring samples that are equal, at the peak,
with a corner before or behind them. That survives turning down. A lossy encoder bends the tops;
then many more samples lie at the old ceiling than just below it.
"""

import numpy as np

AT_PEAK = 0.9995  # of the highest sample
CORNER = 0.002  # of the highest sample; a slow sine at its turning point has none
BINS = 100  # of the histogram, from silence to the peak
UPPER = 0.4  # of the peak; ceilings are sought above
WIDE = 5  # bins that are compared, with as many below them
MANY = 1e-4  # of all samples; fewer above a level say nothing


def flat_share(audio: np.ndarray) -> float:
    """The share of samples of ``[c, n]`` that repeat the one before them at the peak."""
    flat = sum(_flat_samples(channel) for channel in audio)
    return flat / audio.size if audio.size else 0.0


def ceiling(audio: np.ndarray) -> float:
    """How many times more samples lie at the fullest level near the top than just below it.

    Below 1 for a wave whose levels become rarer towards the peak, as those of music do.
    """
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0:
        return 0.0
    counts, _ = np.histogram(np.abs(audio), BINS, (0, peak))
    sums = np.convolve(counts, np.ones(WIDE), "valid")
    lower, upper = sums[:-WIDE], sums[WIDE:]
    levels = np.arange(WIDE, WIDE + len(upper)) >= UPPER * BINS
    enough = levels & (upper > MANY * audio.size)
    return float((upper[enough] / np.maximum(lower[enough], 1)).max(initial=0.0))


def _flat_samples(channel: np.ndarray) -> int:
    peak = float(np.abs(channel).max(initial=0.0))
    if peak == 0:
        return 0
    equal = np.flatnonzero((channel[1:] == channel[:-1]) & (np.abs(channel[1:]) >= AT_PEAK * peak))
    if len(equal) == 0:
        return 0
    breaks = np.flatnonzero(np.diff(equal) > 1)
    first = equal[np.concatenate([[0], breaks + 1])]
    last = equal[np.concatenate([breaks, [len(equal) - 1]])] + 1
    before = np.abs(channel[first] - channel[np.maximum(first - 1, 0)])
    behind = np.abs(channel[last] - channel[np.minimum(last + 1, len(channel) - 1)])
    corners = np.maximum(before, behind) > CORNER * peak
    return int((last - first)[corners].sum())
