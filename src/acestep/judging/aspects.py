"""What of the style is there: timbre, rhythm, movement, harmony; and, set apart, production."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acestep.judging.controls import Floor
from acestep.judging.energy import Comparison
from acestep.judging.features import PRODUCTION
from acestep.judging.intervals import Estimate, plain

CHANCE = 0.05
THERE = 0.25  # of the base's distance, beyond the floor: half of the clips in style leave as much
MOST_FLOOR = 0.5  # of the base's distance

WORDS = ("there", "nearer", "not yet", "farther", "no different in the base", "not known")


@dataclass(frozen=True)
class Aspect:
    """One aspect: distances of adapter and base, and what is ``left`` of the base's.

    ``word`` is one of :data:`WORDS`. ``production`` is a matter of recording and mix, not of what
    is played.
    """

    name: str
    made: Estimate
    base: Estimate
    left: Estimate
    chance: float
    floor: Floor
    word: str

    @property
    def production(self) -> bool:
        return self.name in PRODUCTION

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain({
            "name": self.name, "word": self.word, "production": self.production,
            "energy": self.made, "base": self.base, "left": self.left, "p": self.chance,
            "floor": self.floor,
        })  # fmt: skip


def judge_aspect(name: str, found: Comparison, floor: Floor, *, enough: bool = True) -> Aspect:
    """Put a comparison into a word; ``enough`` says whether there are clips and songs for one."""
    word = _word(found, floor) if enough else "not known"
    return Aspect(name, found.made, found.base, found.left, found.nearer, floor, word)


def in_words(aspects: Sequence[Aspect]) -> list[str]:
    """“Timbre and harmony are there; rhythm is not there yet.” and the same for production."""
    played = _told([aspect for aspect in aspects if not aspect.production])
    mixed = _told([aspect for aspect in aspects if aspect.production])
    told = [f"{played[:1].upper()}{played[1:]}." if played else ""]
    return list(filter(None, [*told, f"Production: {mixed}." if mixed else ""]))


def _word(found: Comparison, floor: Floor) -> str:
    if found.nearer < CHANCE and _above(found.gain.low):
        share = min(max(floor.share, 0.0), MOST_FLOOR) if floor.folds else 0.0
        return "there" if found.made.value <= (THERE + share) * found.base.value else "nearer"
    if found.farther < CHANCE and _above(found.gain.high, below=True):
        return "farther"
    return "not yet" if _above(found.base.low) else "no different in the base"


def _above(end: float | None, *, below: bool = False) -> bool:
    return end is not None and (end < 0 if below else end > 0)


def _told(aspects: Sequence[Aspect]) -> str:
    """Aspects of one word together, best first."""
    phrases = {
        "there": ("is there", "are there"),
        "nearer": ("is nearer", "are nearer"),
        "not yet": ("is not there yet", "are not there yet"),
        "farther": ("is farther than the base", "are farther than the base"),
        "no different in the base": ("is no different in the base", "are no different in the base"),
        "not known": ("is not known", "are not known"),
    }
    parts = []
    for word, (one, several) in phrases.items():
        names = [aspect.name for aspect in aspects if aspect.word == word]
        if names:
            listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names)
            parts.append(f"{listed} {several if len(names) > 1 else one}")
    return "; ".join(parts)
