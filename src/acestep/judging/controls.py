"""What the style's numbers are worth in this folder: floors and controls that must come out right.

The songs themselves in place of the adapter's clips, the songs disguised, and the base against
itself: each says how far a number moves though the style does not.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from acestep.judging.energy import energy, unit_distances, weights
from acestep.judging.intervals import Estimate, plain
from acestep.judging.whitening import Clips, Reference, Space, fit_space

FOLDS, ROUNDS = 4, 3  # of songs that are left out together; times that they are dealt anew
FEW_SONGS, MOST_PAIRS = 8, 15  # below, pairs of songs are left out instead; as many at most
SPREAD = (10.0, 90.0)  # percentiles
STAYS = 0.15  # of the base's distance, that a disguise may move the songs
NO_FLOOR = 0.5  # of the base's distance: songs that are as far from each other as that
CHANCE = 0.05


@dataclass(frozen=True)
class Floor:
    """How far songs are from the other songs of their folder, which did not hear them.

    ``value`` is the mean over the folds, ``low`` to ``high`` their 10 % to 90 %, ``share`` the
    mean as a share of the base's distance. NaN with fewer than four songs.
    """

    value: float
    low: float
    high: float
    share: float
    folds: int

    def as_dict(self) -> dict[str, float | None]:
        """Plain values for JSON."""
        return plain(self)


@dataclass(frozen=True)
class Again:
    """The base at other seeds in the adapter's place; ``chance`` is of so much difference."""

    gain: Estimate
    base: Estimate
    chance: float
    position: Estimate

    @property
    def fine(self) -> bool:
        """Whether it comes out as no difference, as it must."""
        return self.chance >= CHANCE


@dataclass(frozen=True)
class Controls:
    """What must come out right if the numbers are to be trusted.

    ``disguises`` is how far the songs move when encoded or mixed otherwise, as a share of the
    base's distance.
    """

    floor: Floor
    again: Again | None
    disguises: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        again = self.again and {
            "gain": self.again.gain, "base": self.again.base, "p": self.again.chance,
            "position": self.again.position, "fine": self.again.fine,
        }  # fmt: skip
        return plain({"floor": self.floor, "again": again, "disguises": self.disguises})

    def rows(self) -> list[dict[str, Any]]:
        """For a table: what was tried, what is expected, what was found, whether that is fine."""
        share = self.floor.share
        rows = [_row(
            "songs of yours as if they were clips", "some against the others, left out in turn",
            "about 0 of the base's distance", f"{share:.2f}", abs(share) < NO_FLOOR,
        )] if self.floor.folds else []  # fmt: skip
        if self.again is not None:
            rows.append(_row(
                "the base against itself", "the same prompts at other seeds",
                "position about 0, no difference",
                f"position {shown(self.again.position)}, p = {self.again.chance:.2f}",
                self.again.fine,
            ))  # fmt: skip
        for kind, moved in self.disguises.items():
            rows.append(_row(
                f"your songs: {kind}", "the music is the same, so the distance should be, too",
                f"under {STAYS:.2f} of the base's distance", f"{moved:.2f}",
                moved < STAYS,
            ))  # fmt: skip
        return rows


def shown(estimate: Estimate) -> str:
    """A position or share in per cent with its interval: ``78 % [60 to 95]``."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.0f} %" if estimate.value == estimate.value else "unknown"
    return f"{100 * estimate.value:.0f} % [{100 * estimate.low:.0f} to {100 * estimate.high:.0f}]"


def _row(name: str, what: str, expected: str, found: str, fine: bool) -> dict[str, Any]:
    return {"name": name, "what": what, "expected": expected, "found": found, "fine": bool(fine)}


def find_floor(
    reference: Reference,
    sizes: Mapping[str, int],
    base: Clips,
    groups: Collection[str] | None = None,
    rounds: int = ROUNDS,
) -> Floor:
    """Fit the space without some songs and measure these, and the base, in it."""
    units, base = reference.units, base.keep(base.units)
    rows = []
    for fold in _folds(units, rounds):
        rest = reference.keep(set(units) - set(fold))
        space = fit_space(rest, sizes, groups)
        apart = reference.keep(fold).clips
        sets = [rest.clips, apart, base]
        matrix = unit_distances([space.embed(one.values) for one in sets], [s.names for s in sets])
        counts = [len(one.units) for one in sets]
        songs, held, made = weights(counts, [np.ones((1, count)) for count in counts])
        rows.append([energy(matrix, songs, held)[0], energy(matrix, songs, made)[0]])
    if not rows:
        return Floor(np.nan, np.nan, np.nan, np.nan, 0)
    found, far = np.array(rows).T
    low, high = np.percentile(found, SPREAD)
    share = found.mean() / far.mean() if far.mean() > 0 else np.nan
    return Floor(float(found.mean()), float(low), float(high), float(share), len(rows))


def shifts(reference: Reference, space: Space) -> dict[str, float]:
    """How far the songs move from themselves when disguised, by kind; 0 is not at all.

    The copies of each song against the other songs, as if they were made clips.
    """
    own = reference.clips
    found = {}
    for kind in reference.kinds:
        copies = reference.copies(kind)
        sets = [own.keep(copies.units), copies.keep(copies.units)]
        if len(copies.units) < 2:
            continue
        matrix = unit_distances([space.embed(one.values) for one in sets], [s.names for s in sets])
        found[kind] = _apart(matrix, sets[0].units, sets[1].units)
    return found


def _apart(matrix: np.ndarray, songs: tuple[str, ...], copied: tuple[str, ...]) -> float:
    """The energy distance over pairs of different songs, within both sets and between them."""
    count = len(songs)
    order = count + np.array([copied.index(song) for song in songs])
    clean, between = matrix[:count, :count], matrix[:count, order]
    moved = matrix[np.ix_(order, order)]
    sums = 2 * (between.sum() - np.trace(between)) - clean.sum() - moved.sum()
    return float(sums / (count * (count - 1)))


def _folds(units: tuple[str, ...], rounds: int) -> Iterator[Collection[str]]:
    """Which songs are left out together: two at least, so that they have a distance inside."""
    random = np.random.default_rng(0)
    if len(units) < 4:
        return
    if len(units) < FEW_SONGS:
        pairs = list(combinations(units, 2))
        chosen = random.permutation(len(pairs))[: max(MOST_PAIRS * rounds // ROUNDS, 6)]
        yield from (pairs[place] for place in chosen)
        return
    for _ in range(rounds):
        order = random.permutation(len(units))
        yield from ([units[place] for place in part] for part in np.array_split(order, FOLDS))
