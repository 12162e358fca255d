"""What was found about style: the numbers, the word for them, and the sentences."""

from dataclasses import dataclass, field, replace
from typing import Any

from acestep.judging.aspects import Aspect, in_words
from acestep.judging.controls import CHANCE, Floor, shown
from acestep.judging.energy import Comparison
from acestep.judging.intervals import Estimate, plain
from acestep.judging.whitening import Within

FEW_SONGS, FEWEST_SONGS = 8, 5
ENOUGH_CLIPS, FEWEST_CLIPS = 16, 8
MUCH = 0.5  # of the base's distance: a change that a few clips can show

NEARER, MUCH_NEARER, FARTHER = "nearer than base", "much nearer than base", "farther"
UNTOLD = "cannot be told"


@dataclass(frozen=True)
class Numbers:
    """How many songs and clips there were, and how many adapters a choice is made among."""

    songs: int
    base: int
    made: int
    compared: int = 1

    @property
    def clips(self) -> int:
        """Of the side that has fewer."""
        return min(self.base, self.made)


@dataclass(frozen=True)
class Wrong:
    """How near the clips came to other music: what is ``left`` of the base's distance to it, their
    ``position``, and how much ``further`` they came on the way to the user's songs."""

    left: Estimate
    position: Estimate
    further: Estimate

    @property
    def specific(self) -> bool | None:
        """True if they came nearer to the user's songs than to the others; None if unknown."""
        if self.further.low is None or self.further.high is None:
            return None
        return True if self.further.low > 0 else False if self.further.high < 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**plain(self), "specific": self.specific, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """What it says beside the verdict."""
        told = {
            True: "It came nearer to your songs than to other music",
            False: "It came nearer to other music than to your songs",
            None: "Whether it came nearer to your songs than to other music cannot be told",
        }[self.specific]
        return f"{told}, where its clips stand at {shown(self.position)} of the way."


@dataclass(frozen=True)
class Guard:
    """Whether clips are nearer to the songs than different songs are to each other.

    ``ratio`` is the median distance to the nearest clip of a song, over that of different songs;
    ``usual`` is what 95 % of different songs exceed. ``below`` says that the whole interval of the
    distance lies under zero, where that of clips that know nothing of the songs cannot be.
    """

    ratio: float
    usual: float
    nearest: bool
    below: bool

    @property
    def alarm(self) -> bool:
        """A style score that is too good: listen for copies."""
        return self.nearest or self.below

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**plain(self), "alarm": self.alarm, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The warning, or nothing."""
        if not self.alarm:
            return ""
        return (
            "Its clips are nearer to your songs than your songs are to each other: that is a sign "
            "of copying, not of style. See what the search for copies found, and listen."
        )


@dataclass(frozen=True)
class Style:
    """What was found about one adapter at one strength.

    ``comparison`` are the distances of adapter and base to the songs, ``position`` where the clips
    stand from the base (0) to unheard songs (1), ``positions`` the same of each clip. ``word`` is
    the verdict, ``sentence`` says it, ``notes`` say what to keep in mind.
    """

    numbers: Numbers
    comparison: Comparison
    floor: Floor
    position: Estimate
    positions: tuple[float, ...]
    aspects: tuple[Aspect, ...]
    wrong: Wrong | None
    guard: Guard
    left_out: int
    within: Within
    copied: bool
    word: str = UNTOLD
    sentence: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def energy(self) -> Estimate:
        """The adapter's distance to the songs."""
        return self.comparison.made

    @property
    def p(self) -> float:
        """The chance of so much gain by mere shuffling, for as many adapters as are compared."""
        return min(1.0, self.comparison.nearer * self.numbers.compared)

    @property
    def left(self) -> Estimate:
        """What is left of the base's distance."""
        return self.comparison.left

    @property
    def nearer(self) -> bool:
        """Whether the verdict is that it came nearer."""
        return self.word in (NEARER, MUCH_NEARER)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.comparison
        return plain({
            "word": self.word, "sentence": self.sentence, "notes": self.notes,
            "energy": found.made, "base": found.base, "gain": found.gain, "left": found.left,
            "p": self.p, "p_farther": found.farther, "paired": found.paired,
            "floor": self.floor, "position": self.position, "positions": self.positions,
            "aspects": [aspect.as_dict() for aspect in self.aspects],
            "wrong": self.wrong and self.wrong.as_dict(), "guard": self.guard.as_dict(),
            "clips": self.numbers.clips, "songs": self.numbers.songs,
            "compared": self.numbers.compared, "left_out": self.left_out,
        })  # fmt: skip


def enough_for_a_word(numbers: Numbers) -> bool:
    """Whether there are enough songs and clips for a verdict at all."""
    return numbers.songs >= FEWEST_SONGS and numbers.clips >= FEWEST_CLIPS


def put_into_words(style: Style) -> Style:
    """The same with its word, sentence and notes."""
    style = replace(style, word=_word(style))
    return replace(style, sentence=_sentence(style), notes=tuple(_notes(style)))


def no_difference(clips: int) -> str:
    """The word for a difference that could not be shown."""
    return f"no difference that {clips} clips can show"


def _word(style: Style) -> str:
    numbers, gain = style.numbers, style.comparison.gain
    if not enough_for_a_word(numbers) or gain.low is None or gain.high is None:
        return UNTOLD
    level = CHANCE / numbers.compared
    few = numbers.clips < ENOUGH_CLIPS
    large = abs(gain.value) >= MUCH * style.comparison.base.value
    if style.comparison.nearer < level and gain.low > 0 and (large or not few):
        return MUCH_NEARER if few else NEARER
    if style.comparison.farther < level and gain.high < 0 and (large or not few):
        return FARTHER
    return no_difference(numbers.clips)


def _sentence(style: Style) -> str:
    numbers = style.numbers
    if style.word == UNTOLD:
        return (
            f"Whether it learned the style cannot be told from {numbers.clips} clips and "
            f"{numbers.songs} songs: it takes {FEWEST_CLIPS} clips (better {ENOUGH_CLIPS}) and "
            f"{FEWEST_SONGS} songs (better {FEW_SONGS})."
        )
    begin = {
        NEARER: "Nearer to your songs than the base",
        MUCH_NEARER: "Much nearer to your songs than the base",
        FARTHER: "Farther from your songs than the base",
    }.get(style.word, f"No difference from the base that {numbers.clips} clips can show")
    where = f": its clips stand at {shown(style.position)} of the way from it to songs of yours"
    by_chance = f" (p = {style.p:.3f} by shuffling)" if style.nearer else ""
    return " ".join([f"{begin}{where}{by_chance}.", *in_words(style.aspects)])


def _notes(style: Style) -> list[str]:
    numbers, wrong = style.numbers, style.wrong
    notes = []
    if style.nearer and wrong is not None and not wrong.specific:
        notes.append("What changed may be production or quality, not your style.")
    if FEWEST_SONGS <= numbers.songs < FEW_SONGS:
        notes.append(f"{numbers.songs} songs are few to know a style by: read this with caution.")
    if FEWEST_CLIPS <= numbers.clips < ENOUGH_CLIPS:
        notes.append(
            f"{numbers.clips} clips show large differences only; {ENOUGH_CLIPS} would show more."
        )
    if style.left_out:
        notes.append(f"{style.left_out} clips are silent or broken and were left out.")
    if style.within == "nothing" or not style.copied:
        notes.append("Differences of recording and mix were not taken out of these distances.")
    return notes
