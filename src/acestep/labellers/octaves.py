"""Songs of one dataset inform each other: a tempo that is an octave off stands out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATIOS = (2.0, 0.5)
FEWEST = 4  # songs with a tempo; fewer have no usual range
FAR, NEARER = 0.5, 0.35  # octaves: from the usual tempo, and by how much the other one is nearer
TIGHT = 0.25  # octaves; where songs spread more, none is odd


@dataclass(frozen=True)
class OctaveOutlier:
    """Song number ``index`` has ``bpm``; the others' usual tempo speaks for ``other``."""

    index: int
    bpm: float
    other: float
    usual: float


def octave_outliers(bpms: Sequence[float | None]) -> list[OctaveOutlier]:
    """Which songs' octave makes them the odd ones out, and what the other octave would be.

    A song is flagged if its tempo is more than half an octave from the median of the other songs,
    its half or double is clearly nearer, and the others agree within
    a quarter of an octave. Songs without a tempo (None) are passed over. It is advice: a
    ballad among dance tracks may well be one.
    """
    known = {index: float(bpm) for index, bpm in enumerate(bpms) if bpm}
    if len(known) < FEWEST:
        return []
    found = []
    for index, bpm in known.items():
        others = np.log2([other for place, other in known.items() if place != index])
        usual = float(np.median(others))
        spread = float(np.median(np.abs(others - usual)))
        distance = abs(np.log2(bpm) - usual)
        ratio = min(RATIOS, key=lambda ratio: abs(np.log2(bpm * ratio) - usual))
        better = distance - abs(np.log2(bpm * ratio) - usual)
        if spread <= TIGHT and distance > FAR and better > NEARER:
            found.append(OctaveOutlier(index, bpm, round(bpm * ratio, 2), round(2**usual, 2)))
    return found
