"""Whether clips of different prompts and seeds differ from each other, or are one piece again.

The distance to the nearest other clip shows it best: it shrinks as soon as some clips are alike,
where the mean distance hardly moves until all are. It is told in units of the median distance
between different songs, and depends on how many there are to choose the nearest from, so the songs
and the base are measured with as many clips.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from acestep.judging.alike import Repeat

FEWEST = 4  # clips, and songs
DRAWS = 200  # of as many songs as there are clips
NEAR = 0.01  # of the pairs of different songs are nearer
COLLAPSED, NARROW = 0.6, 0.8  # of the songs' nearest distance; collapsed clips are also
BASE = 0.8  # of the base's nearer than this
LOW = 0.05  # of the draws of songs are narrower than a usual set of clips
TOLD = 5  # repeats

Grade = Literal["collapsed", "narrow", "usual", "too few"]


@dataclass(frozen=True)
class Beside:
    """One measure of the clips, of the songs, and of the base's clips; None where unknown."""

    made: float | None = None
    folder: float | None = None
    base: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Rounded for a report."""
        return {name: value and round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Diversity:
    """How much clips differ.

    ``ratio`` is the median distance to the nearest other clip over the median distance between
    different songs; ``near`` the share of pairs that are nearer to each other than 99 % of pairs
    of different songs. ``repeats`` are clips that share a passage with another one.
    """

    clips: int
    songs: int
    grade: Grade
    ratio: Beside = Beside()
    near: Beside = Beside()
    repeats: tuple[Repeat, ...] = ()

    @property
    def verdict(self) -> str:
        """All of it in one sentence."""
        if self.grade == "too few":
            return (
                f"Whether clips differ cannot be told from {self.clips} clips and {self.songs} "
                f"songs: {FEWEST} of each are the least."
            )
        words = {
            "collapsed": "are one piece again and again, whatever the prompt and the seed",
            "narrow": "are more alike than the songs are",
            "usual": "differ from each other as the songs do",
        }
        base = "" if self.ratio.base is None else f", the base's {self.ratio.base:.2f}"
        return (
            f"The {self.clips} clips {words[self.grade]}: the nearest other one lies "
            f"{self.ratio.made:.2f} of a usual distance away, the songs' {self.ratio.folder:.2f}"
            f"{base}."
        )

    def sentences(self) -> list[str]:
        """The verdict, and passages that come again in other clips."""
        lines = [self.verdict, *(repeat.sentence() for repeat in self.repeats[:TOLD])]
        if more := len(self.repeats[TOLD:]):
            lines.append(f"{more} more pairs of clips share a passage.")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "verdict": self.verdict,
            "grade": self.grade,
            "clips": self.clips,
            "songs": self.songs,
            "ratio": self.ratio.as_dict(),
            "near": self.near.as_dict(),
            "sentences": self.sentences(),
            "repeats": [repeat.as_dict() for repeat in self.repeats],
        }


def judge_diversity(
    made: np.ndarray,
    folder: np.ndarray,
    songs: Sequence[str],
    base: np.ndarray | None = None,
    repeats: Sequence[Repeat] = (),
) -> Diversity:
    """How much the clips ``made`` ``[m, d]`` differ, by any features, a row a clip.

    ``folder`` ``[k, d]`` are clips of the ``songs`` named, several of one song or not; ``base``
    ``[b, d]`` the base's clips for the same prompts. Rows that are not finite are left out.
    """
    fine = np.isfinite(folder).all(1)
    names = np.array(songs, object)[fine]
    made, folder = made[np.isfinite(made).all(1)], folder[fine]
    base = None if base is None else base[np.isfinite(base).all(1)]
    different = len(set(names))
    few = Diversity(len(made), different, "too few", repeats=tuple(repeats))
    if len(made) < FEWEST or different < FEWEST:
        return few
    far = _distances(folder)
    apart = far[names[:, None] != names[None]]
    usual, level = float(np.median(apart)), float(np.quantile(apart, NEAR))
    if usual <= 0:
        return few
    use_base = base if base is not None and len(base) >= FEWEST else None
    count = min(len(made), different, len(made if use_base is None else use_base))
    own = _nearest(far, names, count) / usual
    ratio = Beside(
        _median_nearest(made, count) / usual,
        float(np.median(own)),
        None if use_base is None else _median_nearest(use_base, count) / usual,
    )
    near = Beside(_near(made, level), NEAR, None if use_base is None else _near(use_base, level))
    grade = _grade(ratio, float(np.quantile(own, LOW)))
    return Diversity(len(made), different, grade, ratio, near, tuple(repeats))


def _grade(ratio: Beside, low: float) -> Grade:
    assert ratio.made is not None and ratio.folder is not None
    less_than_base = ratio.base is None or ratio.made < BASE * ratio.base
    if ratio.made < COLLAPSED * ratio.folder and less_than_base:
        return "collapsed"
    return "narrow" if ratio.made < min(low, NARROW * ratio.folder) else "usual"


def _median_nearest(rows: np.ndarray, count: int) -> float:
    return float(np.median(_nearest(_distances(rows), np.arange(len(rows)), count)))


def _distances(rows: np.ndarray) -> np.ndarray:
    """Euclidean distances ``[n, n]``, exactly 0 between equal rows."""
    from scipy.spatial.distance import cdist

    return cdist(rows, rows)


def _near(rows: np.ndarray, level: float) -> float:
    """The share of pairs that are nearer than ``level``."""
    return float((_distances(rows)[np.triu_indices(len(rows), 1)] < level).mean())


def _nearest(distances: np.ndarray, names: np.ndarray, count: int) -> np.ndarray:
    """The median distance to the nearest other one, in draws of ``count`` of different names."""
    random = np.random.default_rng(0)
    groups = [np.flatnonzero(names == name) for name in dict.fromkeys(names)]
    found = np.empty(DRAWS)
    for number in range(DRAWS):
        chosen = random.choice(len(groups), count, replace=False)
        rows = np.array([random.choice(groups[group]) for group in chosen])
        drawn = distances[np.ix_(rows, rows)]
        np.fill_diagonal(drawn, np.inf)
        found[number] = np.median(drawn.min(1))
    return found
