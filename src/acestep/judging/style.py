"""Did it learn the style: the judge that knows the songs and the base, and what it finds.

The songs and the base are learnt once (:func:`learn_style`); then each checkpoint and strength is
judged by its clips. All are arrays of features: of the sound (:mod:`acestep.judging.features`), or
of the model's latents (:mod:`acestep.judging.latents`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from acestep.errors import RunError
from acestep.judging.aspects import judge_aspect
from acestep.judging.axis import Axis
from acestep.judging.controls import Again, Controls, Floor, find_floor, shifts
from acestep.judging.energy import Comparison, compare, unit_distances
from acestep.judging.features import ASPECTS, SIZES
from acestep.judging.intervals import Estimate, bootstrap_mean
from acestep.judging.verdict import Guard, Numbers, Style, Wrong, enough_for_a_word, put_into_words
from acestep.judging.whitening import Clips, Reference, Space, fit_space, unit_means

SHARED = 2 / 3  # of the names, so that clips are judged as pairs
NEAR = 5.0  # percentile of different songs' nearest clips
NO_WORD = Estimate(np.nan)


@dataclass(frozen=True)
class StyleJudge:
    """Knows the songs, the base's clips and, if there is one, another folder of songs.

    ``space`` is where distances are taken; ``aspects`` are spaces of some of the features.
    """

    reference: Reference = field(repr=False)
    base: Clips = field(repr=False)
    space: Space = field(repr=False)
    floor: Floor
    aspects: Mapping[str, tuple[Space, Floor]] = field(repr=False)
    again: Clips | None = field(default=None, repr=False)
    other: "StyleJudge | None" = field(default=None, repr=False)

    def judge(self, made: Clips, compared: int = 1) -> Style:
        """Judge the clips of one adapter at one strength.

        Clips that have the names of the base's are judged as pairs of one prompt and seed.
        ``compared`` is among how many checkpoints and strengths a choice is made: each is given
        that much less chance to seem better by luck.
        """
        ours, theirs, paired = self._sides(made)
        numbers = Numbers(len(self.reference.units), len(theirs.units), len(made.units), compared)
        enough = enough_for_a_word(numbers)
        found = self._compare(self.space, ours, theirs, paired)
        style = Style(
            numbers=numbers,
            comparison=found,
            floor=self.floor,
            position=self._position(ours, theirs, paired),
            positions=tuple(map(float, self.positions(made))),
            aspects=tuple(
                judge_aspect(name, self._compare(space, ours, theirs, paired), floor, enough=enough)
                for name, (space, floor) in self.aspects.items()
            ),
            wrong=self._wrong(ours, theirs, paired),
            guard=self._guard(made, found),
            left_out=int((~made.sound).sum()),
            within=self.space.within,
            copied=bool(self.reference.kinds),
        )
        return put_into_words(style)

    def positions(self, made: Clips) -> np.ndarray:
        """Where each clip stands ``[n]``: 0 as the base, 1 as songs of the user's; NaN if silent.

        A clip that has the name of one of the base's is placed on a line laid without that one.
        """
        names = self.base.units
        partners = np.array([names.index(n) if n in names else -1 for n in made.names], int)
        found = np.full(len(made.names), np.nan)
        places = self._axis.places(self.embed(made.values[made.sound]), partners[made.sound])
        found[made.sound] = places
        return found

    def embed(self, values: np.ndarray) -> np.ndarray:
        """Features ``[n, d]`` as points ``[n, k]``, between which distances are about style."""
        return self.space.embed(values)

    @cached_property
    def controls(self) -> Controls:
        """What the numbers are worth here."""
        distance = self._compare(self.space, self.base, self.base, False).base.value
        moved = shifts(self.reference, self.space)
        distance = distance if distance > 0 else np.nan
        shares = {kind: shift / distance for kind, shift in moved.items()}
        again = None
        if self.again is not None and len(self.again.units) > 1 and len(self.base.units) > 1:
            found = self._compare(self.space, self.again, self.base, False)
            position = self._position(self.again, self.base, False)
            again = Again(found.gain, found.base, min(1.0, 2 * min(found.nearer, found.farther)),
                          position)  # fmt: skip
        return Controls(self.floor, again, shares)

    @cached_property
    def _axis(self) -> Axis:
        return self._axis_from(self.base)

    def _axis_from(self, base: Clips) -> Axis:
        return Axis(*(
            unit_means(self.embed(one.keep(one.units).values), one.keep(one.units).names)
            for one in (self.reference.clips, base)
        ))  # fmt: skip

    def _sides(self, made: Clips) -> tuple[Clips, Clips, bool]:
        """Made and base clips to compare, and whether they are pairs, place by place."""
        shared = [name for name in self.base.units if name in made.units]
        paired = len(shared) >= SHARED * max(len(self.base.units), len(made.units), 1)
        one, other = (shared, shared) if paired else (made.units, self.base.units)
        return made.keep(one), self.base.keep(other), paired

    def _compare(self, space: Space, made: Clips, base: Clips, paired: bool) -> Comparison:
        sets = [self.reference.clips, base, made]
        counts = [len(one.units) for one in sets]
        if min(counts) < 2:
            return Comparison(NO_WORD, NO_WORD, NO_WORD, NO_WORD, 1.0, 1.0, paired)
        kept = [one.keep(one.units) for one in sets]
        points = [space.embed(one.values) for one in kept]
        return compare(unit_distances(points, [one.names for one in kept]), *counts, paired=paired)

    def _position(self, made: Clips, base: Clips, paired: bool) -> Estimate:
        if min(len(made.units), len(base.units), len(self.reference.units)) < 2:
            return NO_WORD
        points = unit_means(self.embed(made.values), made.names)
        partners = np.arange(len(points)) if paired else np.full(len(points), -1)
        return self._axis_from(base).position(points, partners)

    def _wrong(self, made: Clips, base: Clips, paired: bool) -> Wrong | None:
        """How near the same clips came to the other folder."""
        if self.other is None:
            return None
        found = self.other._compare(self.other.space, made, base, paired)
        position = self.other._position(made, base, paired)
        further = self.positions(made) - self.other.positions(made)
        return Wrong(found.left, position, bootstrap_mean([further[np.isfinite(further)]]))

    def _guard(self, made: Clips, found: Comparison) -> Guard:
        """Whether the clips are nearer to the songs than songs are to each other."""
        songs = self.reference.clips
        points = self.embed(songs.values)
        between = cdist(points, points)
        names = np.array(songs.names, object)
        between[names[:, None] == names[None]] = np.inf
        usual = between.min(1)
        usual = usual[np.isfinite(usual)]
        clips = self.embed(made.values[made.sound])
        if not len(usual) or not len(clips):
            return Guard(np.nan, np.nan, False, False)
        nearest = float(np.median(cdist(clips, points).min(1)))
        high = found.made.high
        return Guard(
            nearest / float(np.median(usual)),
            float(np.percentile(usual, NEAR) / np.median(usual)),
            bool(nearest < np.percentile(usual, NEAR)),
            bool(high is not None and high < 0),
        )


def learn_style(
    reference: Reference,
    base: Clips,
    *,
    groups: Mapping[str, int] = SIZES,
    aspects: Mapping[str, tuple[str, ...]] = ASPECTS,
    again: Clips | None = None,
    other: Reference | None = None,
) -> StyleJudge:
    """Learn the songs and the base's clips. Raises ``RunError`` if no song has sound.

    ``again`` are clips of the base at other seeds, under other names, ``other`` is a folder of
    songs in another style. ``groups`` are the groups of features and their sizes in order,
    ``aspects`` what some of them stand for (none, for latents).
    """
    if not reference.songs:
        raise RunError(
            "none of the songs has sound to compare with",
            hint="they are silent or shorter than a second; check the tensors they were trained on",
        )
    return StyleJudge(
        reference, base, fit_space(reference, groups), find_floor(reference, groups, base),
        {
            name: (fit_space(reference, groups, some),
                   find_floor(reference, groups, base, some))
            for name, some in aspects.items()
        },
        again,
        learn_style(other, base, groups=groups, aspects={}) if other and other.songs else None,
    )  # fmt: skip
