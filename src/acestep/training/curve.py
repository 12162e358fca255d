"""What a loss curve does: falls, stays, swings. Numbers only; advice is made of them elsewhere.

The loss of a step depends on the time and noise that it drew, so a curve is read in blocks of
steps, and what two blocks differ is held against what chance does to a block.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BLOCKS = 20
LEAST_BLOCKS, LEAST_STEPS = 6, 4  # blocks of a curve, steps of a block
SURPRISE = 4.0  # variances of chance: more is no chance
SWING = 0.05  # of the loss
RISES = 0.75  # of the range, the sum of all rises of held-out loss
FALL = 0.02  # of the loss; less is none


@dataclass(frozen=True)
class Curve:
    """``first`` and ``last`` are the mean loss of the first and last fifth, ``error`` the standard
    error of their difference; ``swing`` is the deviation of blocks from a curve that only falls, as
    a share of the loss, and ``surprise`` its variance over that of chance."""

    steps: int
    first: float
    last: float
    error: float
    swing: float
    surprise: float
    finite: bool

    @property
    def falls(self) -> bool:
        """Whether the loss fell by more than chance and more than a fiftieth."""
        drop = self.first - self.last
        return drop > max(3 * self.error, FALL * self.first)

    @property
    def oscillates(self) -> bool:
        """Whether blocks leave a falling curve by much more than chance."""
        return self.surprise > SURPRISE and self.swing > SWING


def read_curve(losses: Sequence[float]) -> Curve | None:
    """The curve of training losses, one a step. None with fewer than 24 of them, if all are finite.

    After the first NaN or Inf nothing is looked at.
    """
    numbers = np.asarray(losses, dtype=float)
    bad = np.flatnonzero(~np.isfinite(numbers))
    sound = numbers[: bad[0]] if bad.size else numbers
    if len(sound) < LEAST_BLOCKS * LEAST_STEPS:
        return Curve(len(sound), 0, 0, 0, 0, 0, finite=False) if bad.size else None
    blocks = np.array_split(sound, min(BLOCKS, len(sound) // LEAST_STEPS))
    means = np.array([block.mean() for block in blocks])
    chance = np.array([block.var(ddof=1) / len(block) for block in blocks])
    away = means - falling(means)
    fifth = max(LEAST_STEPS, len(sound) // 5)
    head, tail = sound[:fifth], sound[-fifth:]
    error = math.sqrt((head.var(ddof=1) + tail.var(ddof=1)) / fifth)
    return Curve(
        steps=len(sound),
        first=float(head.mean()),
        last=float(tail.mean()),
        error=error,
        swing=float(away.std() / max(means.mean(), 1e-12)),
        surprise=float(away.var() / max(chance.mean(), 1e-12)),
        finite=not bad.size,
    )


def falling(values: np.ndarray) -> np.ndarray:
    """The nearest curve in squares that never rises (pool adjacent violators)."""
    pools: list[list[float]] = []  # mean, count
    for value in values:
        pools.append([float(value), 1.0])
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            mean, count = pools.pop()
            before, many = pools[-1]
            pools[-1] = [(before * many + mean * count) / (many + count), many + count]
    return np.concatenate([np.full(round(count), mean) for mean, count in pools])


def swings(held_out: Sequence[float]) -> bool:
    """Whether held-out losses, which chance leaves alone, go up as well as down again and again.

    Rises add up to most of the range, every third step is a turn, and the mean rise is no trifle. A
    curve that falls and then rises once is overfitting, not this.
    """
    if len(held_out) < LEAST_BLOCKS or not all(map(math.isfinite, held_out)):
        return False
    steps = [after - before for before, after in pairwise(held_out)]
    rises = [step for step in steps if step > 0]
    turns = sum(one * other < 0 for one, other in pairwise(steps))
    width = max(held_out) - min(held_out)
    enough = turns >= len(steps) / 3 and sum(rises) > RISES * width
    return enough and sum(rises) / max(1, len(rises)) > SWING / 2 * held_out[0]
