"""How a song sounds on the whole, in ten numbers, and how far two songs are apart."""

from dataclasses import astuple, dataclass

import numpy as np

from acestep.checking.sound import FRAMES, band_weights

EDGES = np.array([25.0, 150.0, 400.0, 1000.0, 2500.0, 6000.0, 16000.0])  # Hz
SILENT = 1e-4  # of the loudest frame's power
# Standard deviations over 130 pieces of the music of free games, from orchestra to techno
SPREAD = np.array([5.8, 3.0, 4.3, 5.5, 7.5, 10.9, 0.92, 1.07, 0.10, 1.8])
CLOSEST = 0.2  # of a spread; songs that agree still better are not told apart by it
MOST = 6.0  # deviations that one number counts


@dataclass(frozen=True)
class Timbre:
    """``band1`` to ``band6``: dB of the share of power in 25–150–400–1000–2500–6000–16000 Hz.

    ``centroid`` is log2 of the mean frequency in Hz; ``flatness`` log10 of how much a spectrum is
    like noise; ``attack`` how much louder, in octaves of energy, bands become from one frame to the
    next; ``dynamics`` the deviation of the frames' level in dB.
    """

    band1: float
    band2: float
    band3: float
    band4: float
    band5: float
    band6: float
    centroid: float
    flatness: float
    attack: float
    dynamics: float


def hear(power: np.ndarray) -> Timbre:
    """The timbre of spectra ``[frames, bins]``; medians over the frames that are not silent."""
    loudness = power.sum(1)
    power = power[loudness > SILENT * max(float(loudness.max()), 1e-20)]
    if len(power) == 0:
        return Timbre(*([0.0] * 10))
    total = power.sum(1) + 1e-20
    bands = power @ band_weights(power.shape[1], EDGES)
    shares = 10 * np.log10(bands.mean(0) / total.mean() + 1e-9)
    centroid = power @ (np.arange(power.shape[1]) * FRAMES) / total
    middle = power[:, 2:328] + 1e-12 * total[:, None]
    flatness = np.exp(np.log(middle).mean(1)) / middle.mean(1)
    levels = np.log2(bands + 1e-6 * total.mean())
    attack = np.maximum(np.diff(levels, axis=0), 0).mean() if len(levels) > 1 else 0.0
    numbers = [
        *shares,
        np.log2(1 + np.median(centroid)),
        np.log10(np.median(flatness) + 1e-9),
        attack,
        (10 * np.log10(total)).std(),
    ]
    return Timbre(*map(float, numbers))


def distances(timbres: list[Timbre]) -> np.ndarray:
    """How far each song is from all others, in deviations of those: 1 is ordinary, 3 is far.

    The root of the mean over the ten numbers; where the others agree, a smaller difference counts.
    """
    points = np.array([astuple(timbre) for timbre in timbres]) / SPREAD
    far = np.zeros(len(points))
    for index, point in enumerate(points):
        others = np.delete(points, index, axis=0)
        middle = np.median(others, axis=0)
        deviation = 1.48 * np.median(np.abs(others - middle), axis=0)
        apart = np.abs(point - middle) / np.maximum(CLOSEST, deviation)
        far[index] = np.sqrt(np.square(np.minimum(apart, MOST)).mean())
    return far
