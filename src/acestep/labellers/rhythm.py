"""Tempo, beats, time signature and bars, decided together.

A reading is a candidate for the beat and a time signature. What speaks for it (``pulse``) is
weighed (``weights``), and a softmax over all readings says how likely each is: a conditional
logit, fitted to tracks whose truth is known, so that its confidences are shares that come true.
"""

from dataclasses import dataclass, replace

import numpy as np

from acestep.labellers.beats import candidates, mean_bpm, repetition, track
from acestep.labellers.estimate import Estimate
from acestep.labellers.key import Chroma
from acestep.labellers.onsets import Onsets
from acestep.labellers.pulse import (
    FIRST_THIRD,
    HALF,
    LAST_THIRD,
    METERS,
    ON,
    TOTAL,
    Pulse,
    bar_evidence,
    look,
    meter_evidence,
    tempo_evidence,
)
from acestep.labellers.weights import BARS, RHYTHM

FEWEST = 8  # beats; with fewer there is nothing to compare
STRUCK, FEWEST_STRUCK = 0.5, 0.2  # deviations of the onset strength; share of the beats
RANGE_DOUBT = 0.02  # the chance that a given range of tempi is wrong
SAME = 0.04  # of a tempo; what counts as the same
ALONE = 0.7  # how sure another tracker's tempo is that no reading of ours agrees with
OTHER = "beat-this"


@dataclass(frozen=True, eq=False)
class Rhythm:
    """``tempo`` is in bpm, not rounded; ``beats`` and ``downbeats`` are in seconds."""

    bpm: Estimate
    timesignature: Estimate
    tempo: float | None
    beats: np.ndarray
    downbeats: np.ndarray


NOTHING = Rhythm(Estimate(None, 0.0), Estimate(None, 0.0), None, np.array([]), np.array([]))


def read_rhythm(
    onsets: Onsets, chroma: Chroma, bpm_range: tuple[float, float] | None = None
) -> Rhythm:
    """The likeliest reading. Without beats every value is None, with confidence 0.

    With ``bpm_range`` (both ends included) it is the likeliest inside, octaves outside speaking for
    those inside; where no candidate is inside, the likeliest of all, with confidence 0.
    """
    pulses = readings(onsets, chroma)
    if not pulses:
        return NOTHING
    chances = likelihood(pulses, onsets)
    by_tempo = _within(bpm_range, pulses, chances.sum(1))
    best, *others = np.lexsort((-chances.sum(1), -by_tempo))
    pulse = pulses[best]
    second = round(pulses[others[0]].bpm) if others and by_tempo[others[0]] > 0 else None
    bpm = Estimate(round(pulse.bpm), min(1.0, float(by_tempo[best])), second)
    by_meter = chances[best] / chances[best].sum()
    names = [list(METERS)[index] for index in np.argsort(-by_meter)]
    meter = Estimate(names[0], float(by_meter.max()), names[1])
    size = METERS[names[0]]
    first = int(first_beat(pulse, size).argmax())
    return Rhythm(bpm, meter, pulse.bpm, pulse.beats, pulse.beats[first::size])


def rhythm_of(beats: np.ndarray, downbeats: np.ndarray, onsets: Onsets, chroma: Chroma) -> Rhythm:
    """Tempo and time signature of beats and downbeats (seconds) that another tracker found.

    The tempo is as sure as the tracker and our own likeliest readings agree; the time signature as
    many bars have that many beats. Bars of two are 6/8 where beats are divided in three.
    """
    beats, downbeats = np.sort(beats), np.sort(downbeats)
    if len(beats) < FEWEST:
        return replace(NOTHING, beats=beats, downbeats=downbeats)
    tempo = mean_bpm(beats)
    pulses = readings(onsets, chroma)
    chances = likelihood(pulses, onsets).sum(1) if pulses else np.array([])
    agree = np.array([abs(pulse.bpm / tempo - 1) < SAME for pulse in pulses], bool)
    rest = [(chance, pulse.bpm) for chance, pulse in zip(chances, pulses, strict=True)]
    rest = [pair for pair, same in zip(rest, agree, strict=True) if not same]
    sure = ALONE + (1 - ALONE) * float(chances[agree].sum()) if pulses else ALONE
    second = round(max(rest)[1]) if rest else None
    bpm = Estimate(round(tempo), min(1.0, sure), second, OTHER)
    return Rhythm(bpm, _counted(beats, downbeats, onsets, chroma), tempo, beats, downbeats)


def _counted(beats: np.ndarray, downbeats: np.ndarray, onsets: Onsets, chroma: Chroma) -> Estimate:
    """The time signature from the beats in each bar; None where bars have none the model knows."""
    numbers = np.diff(np.searchsorted(beats, downbeats - 0.05))
    names = {2: "2", 3: "3", 4: "4", 6: "6"}
    counts = {size: float(np.mean(numbers == size)) for size in names} if len(numbers) else {}
    order = sorted((size for size in counts if counts[size]), key=lambda size: -counts[size])
    if not order:
        return Estimate(None, 0.0, source=OTHER)
    struck = look(onsets, chroma, beats).strikes[:, TOTAL].mean(1)
    if min(struck[FIRST_THIRD], struck[LAST_THIRD]) > struck[HALF]:
        names[2] = "6"
    second = names[order[1]] if len(order) > 1 else None
    return Estimate(names[order[0]], counts[order[0]], second, OTHER)


def _within(
    bpm_range: tuple[float, float] | None, pulses: list[Pulse], chances: np.ndarray
) -> np.ndarray:
    """Chances of the candidates given that the tempo is, almost surely, inside the range.

    The chance of a candidate outside goes to the one inside that is an octave or two off: the range
    says which octave is meant. What has no octave inside keeps ``RANGE_DOUBT`` of its chance.
    """
    if bpm_range is None:
        return chances
    octave = np.log2([pulse.bpm for pulse in pulses])
    inside = (octave >= np.log2(bpm_range[0])) & (octave <= np.log2(bpm_range[1]))
    found, lost = np.where(inside, chances, 0.0), 0.0
    for place in np.flatnonzero(~inside):
        apart = np.abs(octave - octave[place])
        same = np.flatnonzero(inside & (np.abs(apart - np.round(apart)) < SAME))
        if len(same):
            found[same[apart[same].argmin()]] += chances[place]
        else:
            lost += chances[place]
    return found / (found.sum() + RANGE_DOUBT * lost)


def readings(onsets: Onsets, chroma: Chroma) -> list[Pulse]:
    """Every candidate tempo with its beats and what happens there.

    Candidates that were led to the same beats are one. A candidate few of whose beats are struck is
    none: what is heard there is not a beat, as in a drone.
    """
    found: list[Pulse] = []
    for tempo in candidates(onsets):
        beats = track(onsets.total, tempo)
        if len(beats) < FEWEST:
            continue
        pulse = look(onsets, chroma, beats)
        struck = float((pulse.strikes[ON, TOTAL] > STRUCK).mean())
        known = any(abs(pulse.bpm / other.bpm - 1) < SAME for other in found)
        if struck >= FEWEST_STRUCK and not known:
            found.append(pulse)
    return found


def evidence(pulses: list[Pulse], onsets: Onsets) -> list[dict[str, float]]:
    """What speaks for each reading: all time signatures of the first candidate, then the next."""
    correlation = repetition(onsets)
    rows = []
    for pulse in pulses:
        tempo = tempo_evidence(pulse, correlation)
        for meter, size in METERS.items():
            accent = _log_mean_exp(first_beat(pulse, size))
            rows.append(tempo | meter_evidence(pulse, meter, tempo, accent))
    return rows


def likelihood(pulses: list[Pulse], onsets: Onsets) -> np.ndarray:
    """How likely each candidate with each time signature is: ``[candidates, 3]``, sum 1."""
    rows = evidence(pulses, onsets)
    score = np.array([sum(RHYTHM[name] * value for name, value in row.items()) for row in rows])
    chance = np.exp(score - score.max())
    return (chance / chance.sum()).reshape(len(pulses), len(METERS))


def first_beat(pulse: Pulse, size: int) -> np.ndarray:
    """A score for each beat of the first bar to be the bar's first ``[size]``."""
    found = bar_evidence(pulse, size)
    return np.sum([BARS[name] * values for name, values in found.items()], axis=0)


def _log_mean_exp(values: np.ndarray) -> float:
    return float(values.max() + np.log(np.exp(values - values.max()).mean()))
