"""Whether generated clips replay passages of the training songs, with places and controls.

Every clip is held against every song, and a match counts if it exceeds what different songs of the
folder reach (:mod:`acestep.judging.alike`). A detector that finds nothing proves nothing, so
copies are planted that it must find.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from acestep.judging.alike import (
    BRIEF,
    Folder,
    Grade,
    Repeat,
    clock,
    learn_folder,
    passage,
    place,
    plain,
)
from acestep.judging.disguise import disguised
from acestep.judging.landmarks import Landmarks, find_landmarks, follow

__all__ = [
    "Copying", "Folder", "Found", "Looked", "Planted", "Repeat", "learn_folder", "look_for_copies",
    "plant_copy", "planted_songs", "repeats_across",
]  # fmt: skip

ENOUGH = 100  # pairs that "more alike than 99 %" needs
PLANTED = 3  # songs
SEMITONES, TEMPO, KBIT = -1.0, 1.02, 64  # how a planted copy is disguised
MISSES = (
    "Of copies that were played anew this test misses one in five, of those in another key too "
    "three in ten; under four seconds it says nothing."
)
NEAR, IN_TUNE, IN_TIME = 2.0, 0.5, 0.03  # seconds, semitones, tempo: what finding it allows


@dataclass(frozen=True)
class Found(Repeat):
    """A clip that follows a song, or is more like it than any other."""

    grade: Grade = "nothing"

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {"song": self.other, "grade": self.grade, **plain(self.match)}


@dataclass(frozen=True)
class Looked:
    """A clip beside every song: the songs that it follows, else the one that it is most like.

    ``strict`` and ``tolerant`` are the highest scores over the songs.
    """

    clip: str
    grade: Grade = "nothing"
    matches: tuple[Found, ...] = ()
    strict: float = 0.0
    tolerant: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "clip": self.clip, "grade": self.grade, "strict": round(self.strict, 1),
            "tolerant": round(self.tolerant, 1),
            "matches": [found.as_dict() for found in self.matches],
        }  # fmt: skip

    def sentences(self, folder: Folder) -> list[str]:
        """What it follows, a sentence each; what it reached where it follows nothing."""
        if self.grade == "nothing":
            return [
                f"No passage of {self.clip} follows a song (strict {self.strict:.0f}, tolerant "
                f"{self.tolerant:.0f}; {_reach(folder)})."
            ]
        return [_follows(found, folder) for found in self.matches]


@dataclass(frozen=True)
class Planted:
    """A copy that was made to be found: what lies at ``at`` seconds in ``song``, disguised."""

    song: str
    at: float
    found: bool
    looked: Looked

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "song": self.song, "at": round(self.at, 3), "found": self.found,
            "grade": self.looked.grade, "strict": round(self.looked.strict, 1),
            "tolerant": round(self.looked.tolerant, 1),
        }  # fmt: skip


@dataclass(frozen=True)
class Copying:
    """All clips beside all songs, with the controls that say what it is worth.

    ``base`` are clips of the base model, which never heard the songs.
    """

    folder: Folder
    looked: tuple[Looked, ...] = ()
    planted: tuple[Planted, ...] = ()
    base: tuple[Looked, ...] = ()

    @property
    def works(self) -> bool:
        """Whether every planted copy was found; False where none was planted."""
        return bool(self.planted) and all(planted.found for planted in self.planted)

    @property
    def strong(self) -> int:
        """How many clips follow a song clearly."""
        return _count(self.looked, "strong")

    @property
    def doubtful(self) -> int:
        """How many more somebody should listen to."""
        return _count(self.looked, "look and listen")

    @property
    def expected(self) -> float:
        """How many of so many clips would be flagged if none copied anything."""
        return self.folder.false_alarms * len(self.looked)

    @property
    def verdict(self) -> str:
        """All of it in a sentence or two."""
        number = len(self.looked)
        if not number or not self.folder.songs:
            return "Nothing was looked for: there are no clips, or no songs."
        words = []
        if self.strong:
            words.append(f"{self.strong} of {_of(number)} clearly replay a training song")
        if self.doubtful:
            words.append(f"{self.doubtful} of {_of(number)} may follow one")
        if words:
            mistakes = f"{_about(self.expected)} would be flagged by mistake"
            rarely = ", hardly ever clearly" if self.strong else ""
            return (
                f"{'; '.join(words)}. Were there no copies, {mistakes}{rarely}. Listen to each "
                "beside the song."
            )
        if not self.works:
            return "Copies cannot be told here: the detector missed copies that were planted."
        return (
            f"None of {_of(number)} follows a training song more than different songs of this "
            "folder follow each other. This is no proof of originality."
        )

    def sentences(self) -> list[str]:
        """The verdict, what each flagged clip follows, and how far all this can be trusted."""
        flagged = [looked for looked in self.looked if looked.grade != "nothing"]
        flagged.sort(key=lambda looked: -max(looked.strict, looked.tolerant))
        lines = [line for looked in flagged for line in looked.sentences(self.folder)]
        return [self.verdict, *lines, *_trust(self)]

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "verdict": self.verdict, "works": self.works, "strong": self.strong,
            "doubtful": self.doubtful, "expected_false_alarms": round(self.expected, 3),
            "thresholds": {
                "strict": round(self.folder.strict, 1),
                "tolerant": round(self.folder.tolerant, 1), "seconds": BRIEF,
            },
            "sentences": self.sentences(), "folder": self.folder.as_dict(),
            "clips": [looked.as_dict() for looked in self.looked],
            "planted": [planted.as_dict() for planted in self.planted],
            "base": [looked.as_dict() for looked in self.base],
        }  # fmt: skip


def look_for_copies(name: str, clip: Landmarks, folder: Folder) -> Looked:
    """Hold a clip against every song."""
    matches = [(song, follow(clip, marks)) for song, marks in folder.songs.items()]
    if not matches:
        return Looked(name)
    found = [Found(name, song, match, folder.grade(match)) for song, match in matches]
    # Songs that a clip follows come first, then by what the clip reaches of the thresholds
    found.sort(key=lambda one: (one.grade == "nothing", -folder.reached(one.match)))
    follows = tuple(one for one in found if one.grade != "nothing")
    grades = {one.grade for one in follows}
    grade: Grade = "strong" if "strong" in grades else "look and listen" if grades else "nothing"
    return Looked(
        name, grade, follows or (found[0],), max(match.strict for _, match in matches),
        max(match.tolerant for _, match in matches),
    )  # fmt: skip


def planted_songs(folder: Folder) -> tuple[str, ...]:
    """The songs from which copies are planted: a few, spread over the folder."""
    names = [name for name, marks in folder.songs.items() if len(marks)] or list(folder.songs)
    count = min(PLANTED, len(names))
    return tuple(names[(2 * number + 1) * len(names) // (2 * count)] for number in range(count))


def plant_copy(name: str, audio: np.ndarray, rate: int, folder: Folder) -> Planted:
    """Whether an excerpt of the song ``name``, disguised, is found at its place.

    ``audio`` is the whole song ``[c, n]``. The excerpt is as long as the clips and comes from the
    middle; it is a semitone lower, 2 % faster, and went through an MP3 of 64 kbit/s.
    """
    audio = np.atleast_2d(audio)
    length = min(audio.shape[1], round(folder.seconds * rate))
    first = (audio.shape[1] - length) // 2
    copy = disguised(audio[:, first : first + length], rate, SEMITONES, TEMPO, KBIT)
    looked = look_for_copies(f"planted copy of {name}", find_landmarks(copy, rate), folder)
    found = any(_is_right(one, name, first / rate) for one in looked.matches)
    return Planted(name, first / rate, found, looked)


def repeats_across(clips: Mapping[str, Landmarks], folder: Folder) -> tuple[Repeat, ...]:
    """Pairs of clips that share a passage by the folder's thresholds, the most alike first."""
    pairs = [
        Repeat(one, other, follow(clips[one], clips[other]))
        for one, other in combinations(clips, 2)
    ]
    repeats = [pair for pair in pairs if folder.grade(pair.match) != "nothing"]
    return tuple(sorted(repeats, key=lambda pair: -pair.match.score))


def _is_right(found: Found, song: str, at: float) -> bool:
    """Whether a match is that of the planted copy."""
    match = found.match
    return (
        found.grade != "nothing" and found.other == song
        and abs(match.at - at - match.start * TEMPO) < NEAR
        and abs(match.semitones - SEMITONES) < IN_TUNE and abs(match.tempo - TEMPO) < IN_TIME
    )  # fmt: skip


def _follows(found: Found, folder: Folder) -> str:
    """What a clip follows, and how much more alike that is than different songs are."""
    more = "99 % of pairs" if folder.pairs >= ENOUGH else f"any of the {folder.pairs} pairs"
    than = f", more alike than {more} of different songs here" if folder.pairs else ""
    sure = "" if found.grade == "strong" else " perhaps"
    return (
        f"{passage(found.one, found.match)}{sure} follow {found.other} {place(found.match)}"
        f"{than} (score {found.match.score:.0f}; {_reach(folder)})."
    )


def _reach(folder: Folder) -> str:
    """What different songs reach, beside which a score can be read."""
    if not folder.pairs:
        return f"{folder.strict:.0f} and {folder.tolerant:.0f} would be flagged"
    return (
        f"different songs here reach {folder.best_strict:.0f} and {folder.best_tolerant:.0f}, "
        f"from {folder.strict:.0f} and {folder.tolerant:.0f} on it is flagged"
    )


def _trust(copying: Copying) -> list[str]:
    """How far a result can be trusted: planted copies, the base, repeats, what is missed."""
    folder, lines = copying.folder, []
    missed = [planted for planted in copying.planted if not planted.found]
    for planted in missed:
        lines.append(
            f"The detector did not work here: it missed a copy planted from {planted.song} at "
            f"{clock(planted.at)} (strict {planted.looked.strict:.0f}, tolerant "
            f"{planted.looked.tolerant:.0f}; {_reach(folder)})."
        )
    if found := len(copying.planted) - len(missed):
        lines.append(
            f"Planted copies found: {found} of {len(copying.planted)} (a semitone lower, 2 % "
            "faster, through MP3)."
        )
    if not copying.planted:
        lines.append("No copy was planted, so nothing shows that the detector works here.")
    if copying.base:
        flagged = len(copying.base) - _count(copying.base, "nothing")
        lines.append(
            f"Of {_of(len(copying.base))} of the base model, which never heard the songs, "
            f"{flagged} were flagged."
        )
    lines += [f"Songs of the folder repeat each other: {one.sentence()}" for one in folder.repeats]
    if folder.best and folder.raised:
        lines.append(f"The most alike different songs: {folder.best.sentence()}")
    return [*lines, MISSES]


def _count(looked: tuple[Looked, ...], grade: Grade) -> int:
    return sum(one.grade == grade for one in looked)


def _of(number: int) -> str:
    return "1 clip" if number == 1 else f"{number} clips"


def _about(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 0.05 else "hardly any"
