"""Folders of songs for the judges of style: real ones that are written down, and clusters."""

from functools import cache

import numpy as np

from acestep.judging.features import hear
from acestep.judging.nuisances import halves, nuisance_copies
from acestep.judging.whitening import Clips, Heard, Reference, gather
from acestep.mini.corpus import STYLES, TESTS, compose_round, render

RATE = 48_000
GROUPS = {"one": 6, "two": 4}  # of the clusters' features
SIZE = sum(GROUPS.values())


@cache
def music(style: str, number: int, seconds: float = 10.0) -> np.ndarray:
    """A song of a style ``[2, n]``; each number is another."""
    return render(compose_round(TESTS + 10_000 + number, seconds, style))


@cache
def row(style: str, number: int) -> np.ndarray:
    return hear(music(style, number), RATE)


@cache
def heard(style: str, number: int, disguised: bool) -> Heard:
    audio = music(style, number)
    copies = nuisance_copies(audio, RATE) if disguised else {}
    return Heard(
        row(style, number),
        {kind: hear(copy, RATE) for kind, copy in copies.items()},
        [hear(half, RATE) for half in halves(audio)],
    )


@cache
def folder(style: str, count: int = 8) -> Reference:
    """One clip a song, as of songs too short for two; of every fourth the copies."""
    return gather(
        (f"{style} {number}", heard(style, number, number % 4 == 0)) for number in range(count)
    )


@cache
def clips(style: str, count: int = 16, first: int = 100) -> Clips:
    """Songs that are in no folder, named 0, 1, …"""
    return Clips.of((f"{place}", row(style, first + place)) for place in range(count))


@cache
def all_kinds(count: int = 16, first: int = 300) -> Clips:
    """Songs of the styles that the small model knows: what a base plays."""
    styles = list(STYLES)
    return Clips.of(
        (f"{place}", row(styles[place % len(styles)], first + place)) for place in range(count)
    )


def cluster(
    seed: int, songs: int, each: int, at: float = 0.0, within: float = 0.5, name: str = "song"
) -> Clips:
    """Clips whose songs lie around a point: ``at`` in every feature, songs 1 apart."""
    random = np.random.default_rng(seed)
    middles = at + random.standard_normal((songs, 1, SIZE))
    values = middles + within * random.standard_normal((songs, each, SIZE))
    names = tuple(f"{name} {song}" for song in range(songs) for _ in range(each))
    return Clips(values.reshape(-1, SIZE).astype(np.float32), names)


def known(clips_: Clips) -> Reference:
    """Clips as a folder of songs."""
    return gather(
        (name, Heard(value)) for name, value in zip(clips_.names, clips_.values, strict=True)
    )
