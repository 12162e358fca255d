"""Which recordings hold the same music: a fingerprint of our own, and where two of them agree.

After Haitsma and Kalker (ISMIR 2002), with fewer bits over longer windows: 16 bits a step say in
which of 17 bands energy rises faster than in the next one. They do not change with the level, and
little with encoding; windows of a second make up for a shift by a part of a step, and bits that are
nearly undecided stay open and are not compared.
"""

from dataclasses import dataclass

import numpy as np

from acestep.checking.sound import magnitudes

RATE = 8000  # Hz, at which it listens
WINDOW, HOP = 8192, 800  # samples: a second, 10 steps a second
STEPS = RATE // HOP
BANDS = 17
LOWEST, HIGHEST = 300.0, 3400.0  # Hz; what every encoder keeps
APART = 10  # steps between what is compared: a second
SAME = 0.2  # share of bits that differ, below which it is the same music
SHORTEST = 12.0  # seconds that two songs must have in common
BRIEF, NEARLY = 3.0, 0.8  # of songs shorter than that: seconds, and share of the shorter one
DOUBTFUL = 0.1  # share of bits that are left open: those that the least noise would turn
SILENT = 1e-10  # of the loudest step's power


@dataclass(frozen=True)
class Match:
    """What two songs share: ``errors`` is the share of bits that differ over ``seconds``, where
    the second song's time is the first's plus ``shift`` (seconds)."""

    errors: float
    seconds: float
    shift: float


def fingerprint(samples: np.ndarray, rate: int) -> np.ndarray:
    """The signs ``[steps, 16]`` of ``[n]``: int8 ±1, 0 for an open bit and in silence.

    What is shorter than 2 s has no steps.
    """
    from scipy.signal import resample_poly

    divisor = int(np.gcd(rate, RATE))
    sound = resample_poly(samples, RATE // divisor, rate // divisor).astype(np.float32)
    if len(sound) < WINDOW + APART * HOP:
        return np.zeros((0, BANDS - 1), np.int8)
    edges = np.rint(np.geomspace(LOWEST, HIGHEST, BANDS + 1) * WINDOW / RATE).astype(int)
    pieces = [
        np.add.reduceat(np.square(piece), edges, axis=1)[:, :-1]
        for piece in magnitudes(sound, WINDOW, HOP)
    ]
    energy = np.concatenate(pieces, dtype=float)
    heard = energy.sum(1) > SILENT * energy.sum(1).max()
    levels = np.log(energy + 1e-20)
    rise = np.diff(levels[APART:] - levels[:-APART], axis=1)
    signs = np.sign(rise).astype(np.int8)
    signs[np.abs(rise) < np.quantile(np.abs(rise), DOUBTFUL)] = 0
    signs[~(heard[APART:] & heard[:-APART])] = 0
    return signs


def best_match(one: np.ndarray, other: np.ndarray) -> Match | None:
    """Where two fingerprints agree best, over all shifts by which they overlap long enough.

    A song that is no longer than that has to lie within the other one nearly as a whole.
    """
    shorter = min(len(one), len(other))
    least = round(min(SHORTEST * STEPS, NEARLY * shorter))
    if least < BRIEF * STEPS:
        return None
    size = 1 << (len(one) + len(other) - 1).bit_length()
    agree = _correlate(one, other, size)
    bits = np.maximum(_correlate(np.abs(one), np.abs(other), size), 1)
    both = np.rint(_correlate(_heard(one), _heard(other), size))
    errors = np.where(both >= least, (1 - agree / bits) / 2, 1.0)
    best = int(errors.argmin())
    if both[best] < least:
        return None
    shift = best if best < len(other) else best - size
    return Match(max(0.0, float(errors[best])), float(both[best] / STEPS), shift / STEPS)


def _heard(signs: np.ndarray) -> np.ndarray:
    """``[steps, 1]``: 1 where there is sound."""
    return np.abs(signs).max(1, keepdims=True)


def _correlate(one: np.ndarray, other: np.ndarray, size: int) -> np.ndarray:
    """``Σ one[t] · other[t + shift]`` at index ``shift`` (negative ones from the end)."""
    first, second = (np.fft.rfft(s.astype(np.float32), size, axis=0) for s in (one, other))
    product = np.conj(first) * second
    return np.fft.irfft(product.sum(1), size)
