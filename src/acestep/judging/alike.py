"""How alike different songs of a folder are: the level that a copy has to exceed.

It differs from folder to folder. Drum loops and common chords make passages alike that nobody
copied, so excerpts as long as the clips are held against all other songs. Songs that repeat each
other are found first and left out of that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from acestep.judging.landmarks import Landmarks, Match, follow

# Above these 6 in 1000 clips of 20 s follow a song that they do not come from: measured on 314
# clips of 13 folders of game music
STRICT, TOLERANT, FALSE_ALARMS = 20.0, 35.0, 0.006
CLEAR_STRICT, CLEAR_TOLERANT, CLEARLY = 50.0, 60.0, 1.7  # a strong match; times the threshold
BRIEF, LASTING = 4.0, 6.0  # seconds: less says nothing; what a strong match covers
EXCERPTS, MOST_EXCERPTS = 4, 120  # of a song, and in all
ITSELF = 0.2  # of the score of an excerpt in its own song: what disguised copies reach
FAR_OUT, MANY = 3.0, 10  # quartile distances: Tukey's outer fence; songs, from which on it holds

Grade = Literal["strong", "look and listen", "nothing"]


@dataclass(frozen=True)
class Repeat:
    """Two sounds share a passage that should not: the match is of ``one`` in ``other``."""

    one: str
    other: str
    match: Match

    @property
    def songs(self) -> tuple[str, str]:
        """The two by name, whichever was held against the other."""
        return min(self.one, self.other), max(self.one, self.other)

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {"one": self.one, "other": self.other, **plain(self.match)}

    def sentence(self) -> str:
        """What is shared, with places."""
        return f"{passage(self.one, self.match)} follow {self.other} {place(self.match)}."


@dataclass(frozen=True)
class Folder:
    """The training songs and how alike different ones of them are.

    ``excerpts`` of ``seconds`` were held against all other songs, which makes so many ``pairs``;
    the highest scores were ``best_strict`` and ``best_tolerant``, the latter in the pair ``best``.
    In its own song an excerpt scores ``own`` a second. ``repeats`` are songs that share a passage:
    no different songs.
    """

    songs: Mapping[str, Landmarks] = field(repr=False)
    seconds: float
    excerpts: int = 0
    pairs: int = 0
    best_strict: float = 0.0
    best_tolerant: float = 0.0
    best: Repeat | None = None
    repeats: tuple[Repeat, ...] = ()
    own: float = 0.0

    @property
    def strict(self) -> float:
        """The strict score above which a clip follows a song."""
        return max(STRICT, self.best_strict)

    @property
    def tolerant(self) -> float:
        """The tolerant score above which a clip follows a song."""
        return max(TOLERANT, self.best_tolerant)

    @property
    def raised(self) -> bool:
        """Whether different songs here are more alike than is usual, so that thresholds rose."""
        return self.best_strict > STRICT or self.best_tolerant > TOLERANT

    @property
    def false_alarms(self) -> float:
        """How many clips of one that copies nothing are expected to be flagged.

        Where thresholds rose, no more than the most alike pair is known. Were the clip an excerpt
        of one more song like these, it would be one of the two in that pair this often.
        """
        each = self.excerpts / max(1, len(self.songs))
        return max(FALSE_ALARMS, 2 * self.raised / max(1.0, self.excerpts + each))

    def grade(self, match: Match) -> Grade:
        """What a match says by the folder's thresholds."""
        over = self.reached(match)
        if over <= 1 or match.seconds < BRIEF:
            return "nothing"
        # Where songs share loops, few songs tell little of how far new ones go beyond their level
        as_copies = not self.raised or match.score >= ITSELF * self.own * match.seconds
        clear = over >= CLEARLY and is_clear(match) and as_copies
        return "strong" if clear else "look and listen"

    def reached(self, match: Match) -> float:
        """A match's score over the threshold: the better of the two; above 1 it follows."""
        return max(match.strict / self.strict, match.tolerant / self.tolerant)

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it; of the songs only their number."""
        return {
            "songs": len(self.songs), "excerpts": self.excerpts, "pairs": self.pairs,
            "seconds": round(self.seconds, 3), "best_strict": round(self.best_strict, 1),
            "best_tolerant": round(self.best_tolerant, 1),
            "best": self.best.as_dict() if self.best else None,
            "repeats": [repeat.as_dict() for repeat in self.repeats],
        }  # fmt: skip


@dataclass(frozen=True)
class _Beside(Repeat):
    """An excerpt of a song beside another; ``own`` is the excerpt's score in its own song."""

    own: float = 0.0


def learn_folder(songs: Mapping[str, Landmarks], seconds: float) -> Folder:
    """How alike different songs are, over excerpts of ``seconds``: the length of the clips.

    Repeats are songs whose match is too good for different ones: clear, and as good as that of a
    disguised copy or far out among all matches.
    """
    seconds = min(seconds, max((song.seconds for song in songs.values()), default=seconds))
    excerpts = list(_excerpts(songs, seconds))
    beside = [row for name, start in excerpts for row in _beside(songs, name, start, seconds)]
    fence = _fence([row.match.score for row in beside]) if len(songs) >= MANY else np.inf
    repeats: dict[tuple[str, str], Repeat] = {}
    for row in sorted(beside, key=lambda row: -row.match.score):
        level = min(ITSELF * row.own, fence)
        if is_clear(row.match, BRIEF) and row.match.score >= level:
            repeats.setdefault(row.songs, row)
    different = [row for row in beside if row.songs not in repeats]
    best = max(different, key=lambda row: row.match.tolerant, default=None)
    return Folder(
        songs, seconds, len(excerpts), len(different),
        max((row.match.strict for row in different), default=0.0),
        best.match.tolerant if best else 0.0, best, tuple(repeats.values()),
        float(np.median([row.own for row in beside])) / seconds if beside else 0.0,
    )  # fmt: skip


def _fence(scores: list[float]) -> float:
    """Tukey's outer fence of the scores' logarithms: wide where all songs are somewhat alike."""
    low, high = np.quantile(np.log(np.maximum(scores, 1.0)), [0.25, 0.75])
    return float(np.exp(high + FAR_OUT * (high - low)))


def is_clear(match: Match, lasting: float = LASTING) -> bool:
    """Whether a match would be strong in a folder of songs that are not alike."""
    scores = match.strict >= CLEAR_STRICT or match.tolerant >= CLEAR_TOLERANT
    return scores and match.seconds >= lasting


def clock(seconds: float) -> str:
    """``m:ss``."""
    whole = int(seconds + 0.5)
    return f"{whole // 60}:{whole % 60:02d}"


def passage(name: str, match: Match) -> str:
    """So many seconds of what, and where in it."""
    return f"{match.seconds:.0f} s of {name} ({clock(match.start)}–{clock(match.end)})"


def place(match: Match) -> str:
    """Where in the song, and how it was moved."""
    steps = round(match.semitones)
    moved = [f"{abs(steps)} semitone{'s' * (abs(steps) > 1)} {'higher' if steps > 0 else 'lower'}"]
    moved = moved if steps else []
    moved += [f"at {match.tempo:.2f} times its tempo"] if abs(match.tempo - 1) > 0.005 else []
    return ", ".join([f"from {clock(match.at)}", *moved])


def plain(match: Match) -> dict[str, float]:
    """A match as JSON has it."""
    return {name: round(float(value), 2) for name, value in asdict(match).items()}


def _excerpts(songs: Mapping[str, Landmarks], seconds: float) -> Iterator[tuple[str, float]]:
    """Songs and where an excerpt of them begins: side by side, spread over the songs."""
    names = list(songs)
    each = min(EXCERPTS, max(1, MOST_EXCERPTS // max(1, len(names))))
    for number in range(min(len(names), MOST_EXCERPTS)):
        name = names[number * len(names) // min(len(names), MOST_EXCERPTS)]
        room = max(0.0, songs[name].seconds - seconds)
        count = max(1, min(each, int(songs[name].seconds / seconds)))
        for index in range(count):
            yield name, room * (index + 0.5) / count if count == 1 else room * index / (count - 1)


def _beside(
    songs: Mapping[str, Landmarks], name: str, start: float, seconds: float
) -> Iterator[_Beside]:
    excerpt = songs[name].cut(start, seconds)
    own = follow(excerpt, songs[name]).score
    for other, marks in songs.items():
        if other != name:
            match = follow(excerpt, marks)
            match = replace(match, start=match.start + start, end=match.end + start)
            yield _Beside(name, other, match, own)
