"""How far one set of clips is from another: the energy distance, its intervals, its chances.

E = 2 · mean d(r, q) − mean d(r, r') − mean d(q, q') (Székely and Rizzo 2013), over pairs of
different songs and different generations only. Clips of one song are alike in more than style:
left in, they make everything else look far. So it has no bias; for two sets of one kind it is 0 on
average, and may be below.

Clips are first joined to units: the songs, or the generations. Each counts alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from acestep.judging.intervals import Estimate

DRAWS = 500  # of a bootstrap
SHUFFLES = 1999
INTERVAL = (5.0, 95.0)  # percentiles


@dataclass(frozen=True)
class Comparison:
    """The adapter's and the base's distance to the songs, with 90 % intervals.

    ``gain`` is base − made, ``left`` made / base. ``nearer`` and ``farther`` are the chances that a
    mere shuffle of who made which clip gives such a gain, or such a loss.
    """

    made: Estimate
    base: Estimate
    gain: Estimate
    left: Estimate
    nearer: float
    farther: float
    paired: bool


def unit_distances(points: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean distances ``[P, P]`` between all units of several sets, in their order; 0 to itself.

    ``points`` are sets ``[n, d]``, ``names`` the unit of each point. Units of one name in two sets
    are two units.
    """
    labels = [f"{place}/{name}" for place, each in enumerate(names) for name in each]
    order = list(dict.fromkeys(labels))
    places = {label: place for place, label in enumerate(order)}
    shares = np.zeros((len(order), len(labels)))
    shares[[places[label] for label in labels], np.arange(len(labels))] = 1
    shares /= shares.sum(1, keepdims=True)
    pooled = np.concatenate(points)
    matrix = shares @ cdist(pooled, pooled) @ shares.T
    np.fill_diagonal(matrix, 0)
    return matrix


def energy(matrix: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The energy distance of units weighted ``one`` ``[..., P]`` from units weighted ``other``.

    A unit drawn twice is no pair with itself. NaN where a side has fewer than two units.
    """
    between = _mean(matrix, one, other, one.sum(-1) * other.sum(-1))
    return 2 * between - _inside(matrix, one) - _inside(matrix, other)


def _inside(matrix: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return _mean(matrix, weight, weight, weight.sum(-1) ** 2 - (weight**2).sum(-1))


def _mean(matrix: np.ndarray, one: np.ndarray, other: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", one @ matrix, other) / np.where(pairs > 0, pairs, np.nan)


def compare(
    matrix: np.ndarray, songs: int, base: int, made: int, *, paired: bool, seed: int = 0
) -> Comparison:
    """Compare from the distances of so many songs, base clips and made clips, in this order.

    ``paired``: the same place among base and made clips is the same prompt and seed. Songs and
    clips are resampled for the intervals, pairs together. Who made which clip is shuffled for the
    chances: within pairs, or over all clips.
    """
    sizes = (songs, base, made)
    whole = weights(sizes, [np.ones((1, size)) for size in sizes])
    random = np.random.default_rng(seed)
    drawn = weights(sizes, _resampled(random, sizes, paired))
    one, other = (
        np.concatenate([energy(matrix, each[0], each[place]) for each in (whole, drawn)])
        for place in (1, 2)
    )
    shuffled = _shuffled(random, sizes, paired)
    chance = energy(matrix, whole[0], shuffled[0]) - energy(matrix, whole[0], shuffled[1])
    gain = one - other
    return Comparison(
        estimate(other),
        estimate(one),
        estimate(gain),
        estimate(ratio(other, one)),
        _share(chance >= gain[0] - 1e-12),
        _share(chance <= gain[0] + 1e-12),
        paired,
    )


def estimate(draws: np.ndarray) -> Estimate:
    """The first number is the estimate, the others are its bootstrap draws."""
    known = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(draws[0]) or len(known) < len(draws) / 2:
        return Estimate(float(draws[0]))
    low, high = np.percentile(known, INTERVAL)
    return Estimate(float(draws[0]), float(low), float(high))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A ratio of distances; NaN where the lower one is not above zero."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def weights(sizes: Sequence[int], parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Weights ``[B, size]`` of each set as weights ``[B, P]`` of all units."""
    starts = np.cumsum([0, *sizes])
    rows = []
    for start, part in zip(starts, parts, strict=False):
        row = np.zeros((len(part), starts[-1]))
        row[:, start : start + part.shape[1]] = part
        rows.append(row)
    return rows


def resample(random: np.random.Generator, size: int, draws: int = DRAWS) -> np.ndarray:
    """How often each of ``size`` units is drawn ``[draws, size]``."""
    return random.multinomial(size, np.full(size, 1 / size), draws).astype(float)


def _resampled(random: np.random.Generator, sizes: Sequence[int], paired: bool) -> list[np.ndarray]:
    songs, base, made = (resample(random, size) for size in sizes)
    return [songs, base, base if paired else made]


def _shuffled(
    random: np.random.Generator, sizes: Sequence[int], paired: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[shuffles, P]`` of what counts as the base's and as the adapter's."""
    songs, base, made = sizes
    if paired:
        swap = random.random((SHUFFLES, base)) < 0.5
        first = np.concatenate([~swap, swap], axis=1)
    else:
        order = random.random((SHUFFLES, base + made)).argsort(1)
        first = order < base
    none = np.zeros((SHUFFLES, songs))
    return (
        np.concatenate([none, first], axis=1).astype(float),
        np.concatenate([none, ~first], axis=1).astype(float),
    )


def _share(extreme: np.ndarray) -> float:
    """A permutation's p-value; what was seen is one of the permutations."""
    return float((extreme.sum() + 1) / (len(extreme) + 1))
