"""A space in which distances are about style: features standardised and whitened by the songs.

What varies within a song, and between a clip and its disguised copies, is no difference of style;
directions in which that is large are made small (within-class covariance normalisation, Hatch et
al. 2006, with the nuisances added). Without it a fold to mono is further from the songs than
another style. All constants come from the user's songs; nothing is shipped.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from acestep.judging.spectrogram import Array

LONGEST = 4.0  # deviations that one number counts
RIDGE = 1.0  # of the mean variance, added to all directions
HALVED = 0.5  # the variance of passages twice as long as those measured

Within = Literal["passages", "halves", "nothing"]


@dataclass(frozen=True)
class Heard:
    """Features ``[d]`` of a clip of a song, of its disguised copies by kind, and of its halves.

    Halves are needed of songs that have one clip only.
    """

    row: Array
    copies: Mapping[str, Array] = field(default_factory=dict)
    halves: Sequence[Array] = ()


@dataclass(frozen=True)
class Clips:
    """Features ``[n, d]`` of clips and the name of what each is cut from.

    That is a song, or for made clips the prompt and its seed. Clips of one name are never compared
    with each other; clips that base and adapter made under one name are judged as a pair.
    """

    values: Array
    names: tuple[str, ...]

    @classmethod
    def of(cls, rows: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]) -> "Clips":
        """From (name, features ``[d]``) of each clip."""
        pairs = list(rows.items() if isinstance(rows, Mapping) else rows)
        values = np.array([row for _, row in pairs], np.float32)
        return cls(values.reshape(len(pairs), -1 if pairs else 0), tuple(name for name, _ in pairs))

    @property
    def sound(self) -> np.ndarray:
        """``[n]``: whether a clip has features; silent ones have none."""
        return np.array(np.isfinite(self.values).all(1))

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The names, each once, of clips that have features."""
        return tuple(dict.fromkeys(np.array(self.names, object)[self.sound]))

    def keep(self, names: Sequence[str]) -> "Clips":
        """The clips of these names that have features, name by name in this order."""
        places = [
            place
            for wanted in names
            for place, name in enumerate(self.names)
            if name == wanted and self.sound[place]
        ]
        return Clips(self.values[places], tuple(self.names[place] for place in places))


@dataclass(frozen=True)
class Reference:
    """The user's songs: what was heard of each clip, and the song it is cut from."""

    songs: tuple[str, ...]
    heard: tuple[Heard, ...] = field(repr=False)

    @cached_property
    def clips(self) -> Clips:
        """Their features by song."""
        return Clips.of((song, one.row) for song, one in zip(self.songs, self.heard, strict=True))

    @property
    def units(self) -> tuple[str, ...]:
        """The songs' names."""
        return self.clips.units

    def keep(self, songs: Collection[str]) -> "Reference":
        """The clips of these songs."""
        pairs = zip(self.songs, self.heard, strict=True)
        return gather((song, heard) for song, heard in pairs if song in songs)

    def copies(self, kind: str) -> Clips:
        """The copies of one kind by song."""
        pairs = zip(self.songs, self.heard, strict=True)
        return Clips.of((song, one.copies[kind]) for song, one in pairs if kind in one.copies)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of copies there are."""
        return tuple(dict.fromkeys(kind for one in self.heard for kind in one.copies))


def gather(clips: Iterable[tuple[str, Heard]]) -> Reference:
    """From (song, what was heard) of each clip; those without features are left out."""
    kept = [(song, heard) for song, heard in clips if np.isfinite(heard.row).all()]
    return Reference(tuple(song for song, _ in kept), tuple(heard for _, heard in kept))


@dataclass(frozen=True)
class Space:
    """Standardise, then whiten. ``within`` is what the spread inside a song was read from."""

    columns: np.ndarray = field(repr=False)
    centre: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)
    matrix: np.ndarray = field(repr=False)
    within: Within = "nothing"

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """``[n, d]`` features → ``[n, k]``: deviations of the songs, each group of one weight."""
        if not len(values):
            return np.zeros((0, len(self.columns)))
        chosen = np.asarray(values, np.float64)[:, self.columns]
        spread, weight = self.scale
        return np.clip((chosen - self.centre) / spread, -LONGEST, LONGEST) * weight

    def embed(self, values: np.ndarray) -> np.ndarray:
        """``[n, d]`` features → ``[n, k]`` points; NaN stays NaN."""
        return self.standardise(values) @ self.matrix


def fit_space(
    reference: Reference,
    sizes: Mapping[str, int],
    groups: Collection[str] | None = None,
    ridge: float = RIDGE,
) -> Space:
    """The space of some groups of features, or of all; ``sizes`` says where each group lies.

    A number that is the same in all clips of the songs cannot be scaled and counts nothing.
    ``ValueError`` without a clip.
    """
    if not reference.songs:
        raise ValueError("no clip of the songs has features")
    columns, weight = _columns(sizes, groups if groups is not None else sizes)
    chosen = reference.clips.values[:, columns].astype(np.float64)
    centre, spread = chosen.mean(0), chosen.std(0)
    spread = np.where(spread > 1e-6 * (1 + np.abs(centre)), spread, np.inf)
    scaled = Space(columns, centre, np.stack([spread, weight]), np.eye(len(columns)))
    noise, within = _within(scaled, reference)
    noise = noise + _nuisances(scaled, reference)
    mean = np.trace(noise) / len(columns)
    noise += np.eye(len(columns)) * (ridge * mean if mean > 0 else 1.0)
    values, vectors = np.linalg.eigh(noise)
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    return Space(columns, centre, scaled.scale, matrix, within)


def _columns(sizes: Mapping[str, int], groups: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
    """The columns of some groups, and the weight of each: a group counts as one number."""
    ends = dict(zip(sizes, np.cumsum(list(sizes.values())), strict=True))
    columns = [np.arange(ends[name] - sizes[name], ends[name]) for name in sizes if name in groups]
    weights = [np.full(len(part), 1 / np.sqrt(len(part))) for part in columns]
    return np.concatenate(columns), np.concatenate(weights)


def _within(space: Space, reference: Reference) -> tuple[np.ndarray, Within]:
    """Covariance around the songs' own means, from passages of songs that have several.

    If too few have, from the halves of clips, which vary about twice as much as passages of their
    full length.
    """
    points = space.standardise(reference.clips.values)
    covariance, free = _pooled(points, reference.songs)
    if free >= len(reference.units) / 2:
        return covariance, "passages"
    halved = [
        (song, half)
        for song, one in zip(reference.songs, reference.heard, strict=True)
        if len(one.halves) > 1 and np.isfinite(one.halves).all()
        for half in one.halves
    ]
    if not halved:
        return np.zeros_like(covariance), "nothing"
    points = space.standardise(np.array([half for _, half in halved]))
    return HALVED * _pooled(points, [song for song, _ in halved])[0], "halves"


def unit_means(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The mean point of each name ``[units, k]``, in the order in which the names come first."""
    shares = _shares(names)
    return (shares.T @ points) / shares.sum(0)[:, None]


def _shares(names: Sequence[str]) -> np.ndarray:
    """``[n, units]``: 1 where a point belongs to a unit."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.eye(len(places))[[places[name] for name in names]]


def _pooled(points: np.ndarray, songs: Sequence[str]) -> tuple[np.ndarray, int]:
    """Covariance around each song's mean, and its degrees of freedom."""
    means = unit_means(points, songs)
    rest = points - _shares(songs) @ means
    free = len(points) - len(means)
    return rest.T @ rest / max(free, 1), free


def _nuisances(space: Space, reference: Reference) -> np.ndarray:
    """Mean square of what the copies change."""
    changes = [
        space.standardise(np.array(list(one.copies.values()))) - space.standardise(one.row[None])
        for one in reference.heard
        if one.copies
    ]
    if not changes:
        return np.zeros((len(space.columns),) * 2)
    change = np.concatenate(changes)
    change = change[np.isfinite(change).all(1)]
    return change.T @ change / max(len(change), 1)
