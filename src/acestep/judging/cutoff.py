"""Up to which frequency songs and clips have sound, and a common limit where that differs.

A low-pass that nobody foresaw outweighs style: songs without what is above 8 kHz can be further
from themselves than from another style. So where songs and clips end apart, both are heard up to
where the lower one ends, and that is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acestep.judging.intervals import plain

APART = 1.2  # times the lower one


@dataclass(frozen=True)
class CutOff:
    """The median cut-off in Hz of each set of clips; ``limit`` is None if they agree."""

    medians: dict[str, float]
    limit: float | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain(self)


def common_cut_off(cut_offs: Mapping[str, Sequence[float]]) -> CutOff:
    """Compare the medians of several sets of clips; a set of silent clips does not count."""
    medians = {
        name: float(np.median(known)) if known else float("nan")
        for name, values in cut_offs.items()
        for known in [[hertz for hertz in values if np.isfinite(hertz)]]
    }
    known = {name: hertz for name, hertz in medians.items() if np.isfinite(hertz)}
    if not known or max(known.values()) <= APART * min(known.values()):
        return CutOff(medians, None, "Songs and clips reach equally high.")
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return CutOff(
        medians,
        known[low],
        f"{low} end at {known[low] / 1000:.1f} kHz and {high} at {known[high] / 1000:.1f} kHz: all "
        f"were compared below {known[low] / 1000:.1f} kHz only.",
    )
