"""What only shows when songs are held beside each other: copies, loudness, an odd one out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from acestep.checking.finding import Finding
from acestep.checking.fingerprint import SAME, best_match
from acestep.checking.signal import Signal
from acestep.checking.timbre import distances

APART = 6.0  # LU from the median
COMPARED = 4  # songs, at least, for one to be the odd one out
FAR, FARTHER = 3.0, 2.0  # deviations of the other songs; times the median of all distances
EXCERPT = 0.9  # of the longer song; what is less is an excerpt of it
TEMPO_SPREAD = 0.12  # octaves; songs of one style that agree better are not told apart by it


@dataclass(frozen=True)
class Measured:
    """A song that was listened to. ``bpm`` is None where the tempo is not known; songs of one
    ``family`` are variants of each other on purpose."""

    name: str
    signal: Signal
    bpm: int | None = None
    family: str = ""


def whole_findings(measured: Sequence[Measured]) -> Iterator[Finding]:
    """What is wrong with the songs as a set; nothing with one song."""
    yield from _copies(measured)
    yield from _loudness(measured)
    yield from _odd_ones(measured)


def _copies(measured: Sequence[Measured]) -> Iterator[Finding]:
    for one, other in combinations(measured, 2):
        if one.family and one.family == other.family:
            continue
        match = best_match(one.signal.print, other.signal.print)
        if match is None or match.errors >= SAME:
            continue
        lengths = one.signal.seconds, other.signal.seconds
        whole = min(lengths) > EXCERPT * max(lengths)
        what = "the same music as" if whole else "of one recording with"
        yield Finding(
            "duplicate" if whole else "excerpt", "warning", other.name,
            f"it is {what} {one.name}: {match.seconds:.0f} s in common, of whose fingerprint "
            f"{match.errors:.0%} differs",
            "keep the better one: what is there twice is learned twice", round(match.errors, 4),
        )  # fmt: skip


def _loudness(measured: Sequence[Measured]) -> Iterator[Finding]:
    levels = [(song.name, song.signal.loudness) for song in measured]
    known = [(name, loudness) for name, loudness in levels if loudness is not None]
    if len(known) < 2:
        return
    median = float(np.median([loudness for _, loudness in known]))
    for name, loudness in known:
        if abs(loudness - median) > APART:
            word = "louder" if loudness > median else "softer"
            yield Finding(
                "loudness", "warning", name,
                f"it is {abs(loudness - median):.1f} LU {word} than the others "
                f"({loudness:.1f} LUFS, their median {median:.1f})",
                "bring the songs to one loudness", round(loudness - median, 2),
            )  # fmt: skip


def _odd_ones(measured: Sequence[Measured]) -> Iterator[Finding]:
    """Songs that sound or move unlike all others: a style is one style."""
    if len(measured) < COMPARED:
        return
    timbre = distances([song.signal.timbre for song in measured])
    tempo = _tempo_distances([song.bpm for song in measured])
    for song, sound, pace in zip(measured, timbre, tempo, strict=True):
        odd = [
            f"its {what} lies {distance:.1f} deviations from theirs"
            for what, distance, usual in (
                ("timbre", sound, np.median(timbre)),
                ("tempo", pace, np.median(tempo)),
            )
            if distance > max(FAR, FARTHER * usual)
        ]
        if odd:
            yield Finding(
                "odd-one-out", "warning", song.name,
                f"it is unlike the other songs: {' and '.join(odd)}",
                "one style teaches best; leave it out if it is of another",
                round(float(max(sound, pace)), 3),
            )  # fmt: skip


def _tempo_distances(tempi: list[int | None]) -> np.ndarray:
    """Of each song from the others, in their deviations; 0 where too few tempi are known.

    Half and double count as the same: taps on every other beat make no other style.
    """
    known = np.array([np.log2(bpm) if bpm else np.nan for bpm in tempi])
    far = np.zeros(len(tempi))
    if np.isfinite(known).sum() < COMPARED:
        return far
    for index in np.flatnonzero(np.isfinite(known)):
        others = np.delete(known, index)
        apart = others[np.isfinite(others)] - known[index]
        apart -= np.rint(apart)
        # Turned to the octave around the others' own middle, whose spread is then small
        middle = np.angle(np.exp(2j * np.pi * apart).mean()) / (2 * np.pi)
        around = apart - middle - np.rint(apart - middle)
        deviation = 1.48 * np.median(np.abs(around))
        far[index] = abs(middle) / max(TEMPO_SPREAD, deviation)
    return far
