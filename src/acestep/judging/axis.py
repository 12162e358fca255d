"""Where clips stand on the way from the base to the songs: 0 is the base, 1 a song not yet heard.

The way is the line between the two means. A clip that helped to lay it stands too near its end, so
every song and every clip of the base is placed on a line that was laid without it (without its
prompt and seed, for a clip of an adapter); where those stand on average is what is called 1 and 0.
It sees only the mean: a set can stand at 1 and be all alike, or too varied.
"""

from dataclasses import dataclass

import numpy as np

from acestep.judging.energy import estimate, resample
from acestep.judging.intervals import Estimate

DRAWS = 300


@dataclass(frozen=True)
class Axis:
    """The line between the means of songs ``[n, d]`` and base clips ``[m, d]``: a row a unit."""

    songs: np.ndarray
    base: np.ndarray

    def places(self, points: np.ndarray, partners: np.ndarray) -> np.ndarray:
        """Positions ``[k]`` of points ``[k, d]``; ``partners`` their places in the base, or −1.

        NaN without two songs and two clips of the base, or if these cannot be told apart.
        """
        if len(self.songs) < 2 or len(self.base) < 2:
            return np.full(len(points), np.nan)
        songs, base = np.ones(len(self.songs)), np.ones(len(self.base))
        zero, one = self._ends(songs, base)
        return (self._along(points, partners, songs, base) - zero) / _length(one - zero)

    def position(self, points: np.ndarray, partners: np.ndarray, seed: int = 0) -> Estimate:
        """The mean position of points ``[k, d]`` with its interval; songs and clips are resampled.

        Points that all have partners are drawn together with them.
        """
        if not (len(self.songs) and len(self.base) and len(points)):
            return Estimate(np.nan)
        random = np.random.default_rng(seed)
        songs = resample(random, len(self.songs), DRAWS)
        base = resample(random, len(self.base), DRAWS)
        paired = len(partners) > 0 and (partners >= 0).all()
        made = base[:, partners] if paired else resample(random, len(points), DRAWS)
        draws = [self._mean(points, partners, np.ones(len(self.songs)), np.ones(len(self.base)),
                            np.ones(len(points)))]  # fmt: skip
        draws += [
            self._mean(points, partners, *each) for each in zip(songs, base, made, strict=True)
        ]
        return estimate(np.array(draws))

    def _mean(
        self, points: np.ndarray, partners: np.ndarray, songs: np.ndarray, base: np.ndarray,
        made: np.ndarray,
    ) -> float:  # fmt: skip
        if (songs > 0).sum() < 2 or (base > 0).sum() < 2 or not made.any():
            return np.nan
        zero, one = self._ends(songs, base)
        along = self._along(points, partners, songs, base)
        return (np.average(along, weights=made) - zero) / _length(one - zero)

    def _ends(self, songs: np.ndarray, base: np.ndarray) -> tuple[float, float]:
        """Where clips of the base and songs stand that did not help to lay the line."""
        apart = np.arange(len(self.base))
        zero = np.average(self._along(self.base, apart, songs, base), weights=base)
        others = _means_without(self.songs, songs)
        middle = np.average(self.base, axis=0, weights=base)
        one = np.average(_project(self.songs, others, middle[None]), weights=songs)
        return float(zero), float(one)

    def _along(
        self, points: np.ndarray, partners: np.ndarray, songs: np.ndarray, base: np.ndarray
    ) -> np.ndarray:
        """Each point on the line without its partner; 0 and 1 are the means."""
        middle = np.average(self.base, axis=0, weights=base)
        origins = np.vstack([_means_without(self.base, base), middle[None]])[partners]
        return _project(points, np.average(self.songs, axis=0, weights=songs)[None], origins)


def _means_without(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted mean of all others, for each row ``[n, d]``."""
    rest = np.maximum(weight.sum() - weight, 1e-9)[:, None]
    return (weight @ rows - weight[:, None] * rows) / rest


def _project(points: np.ndarray, ends: np.ndarray, origins: np.ndarray) -> np.ndarray:
    way = ends - origins
    return ((points - origins) * way).sum(1) / np.maximum((way**2).sum(1), 1e-12)


def _length(between: float) -> float:
    """From the base to the songs; none if they cannot be told apart."""
    return between if between > 0 else np.nan
