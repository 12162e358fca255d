"""Fit the weights of ``acestep.labellers.weights`` to tracks whose labels are known.

    python benchmarks/label_fit.py --tracks 240 > src/acestep/labellers/weights.py

Three conditional logits, each the likelihood of the truth among alternatives, with a quadratic
penalty: which beat is the first of its bar, which reading (candidate beat and time signature) is
right, which of 24 keys is. On stderr it says what cross-validation gives, whole styles left out.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from label_tracks import HELD_OUT, RATE, Track, compose, render
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from acestep.labellers import rhythm, weights
from acestep.labellers.key import NAMES, find_chroma, key_evidence
from acestep.labellers.onsets import Onsets, find_onsets, to_mono
from acestep.labellers.pulse import METERS, Pulse, bar_evidence

PENALTY = {"BARS": 3.0, "RHYTHM": 5.0, "KEY": 1.0}
FOLDS = 5
NEAR = 0.04  # of the tempo; what counts as right


@dataclass(frozen=True)
class Heard:
    """What the labeller sees of a track, and the truth without its notes."""

    track: Track
    onsets: Onsets
    pulses: list[Pulse]
    key: dict[str, np.ndarray]


@dataclass(frozen=True)
class Choice:
    """Alternatives ``[n, evidence]``, and which of them are right ``[n]``."""

    rows: np.ndarray
    right: np.ndarray


def hear(seed: int) -> Heard:
    track = compose(seed)
    mono = to_mono(render(track), RATE)
    onsets, chroma = find_onsets(mono), find_chroma(mono)
    track.notes = []
    return Heard(track, onsets, rhythm.readings(onsets, chroma), key_evidence(chroma))


def fit(choices: Sequence[Choice], penalty: float) -> np.ndarray:
    """Weights under which the right alternatives are likeliest, of evidence as it is."""
    spread = np.concatenate([choice.rows for choice in choices]).std(0) + 1e-9

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = penalty * weight @ weight, 2 * penalty * weight
        for choice in choices:
            rows = choice.rows / spread
            log = log_softmax(rows @ weight)
            right = logsumexp(log[choice.right])
            total -= right
            wanted = np.where(choice.right, np.exp(log - right), 0)
            slope = slope + (np.exp(log) - wanted) @ rows
        return total, slope

    return minimize(loss, np.zeros(len(spread)), jac=True, method="L-BFGS-B").x / spread


def bar_choices(heard: Sequence[Heard]) -> Iterator[tuple[list[str], Choice]]:
    """Which beat is the first of the bar, where a candidate has the right tempo."""
    for song in heard:
        size = METERS[song.track.timesignature]
        for index in _right(song)[:1]:
            beats = song.pulses[index].beats
            hits = [_hits(beats[phase::size], song.track.downbeats) for phase in range(size)]
            if max(hits) > 0.5:
                found = bar_evidence(song.pulses[index], size)
                right = np.arange(size) == np.argmax(hits)
                yield list(found), Choice(np.stack(list(found.values()), 1), right)


def rhythm_choices(heard: Sequence[Heard], names: Sequence[str]) -> Iterator[Choice]:
    for song in heard:
        right = _right(song)
        rows = rhythm.evidence(song.pulses, song.onsets)
        table = np.array([[row.get(name, 0.0) for name in names] for row in rows])
        truth = [
            index in right and meter == song.track.timesignature
            for index in range(len(song.pulses))
            for meter in METERS
        ]
        if any(truth):
            yield Choice(table, np.array(truth))


def key_choices(heard: Sequence[Heard]) -> list[Choice]:
    truth = [np.array([name == song.track.keyscale for name in NAMES]) for song in heard]
    rows = [np.stack(list(song.key.values()), 1) for song in heard]
    return [Choice(row, right) for row, right in zip(rows, truth, strict=True)]


def rhythm_names(heard: Sequence[Heard]) -> list[str]:
    song = next(song for song in heard if song.pulses)
    rows = rhythm.evidence(song.pulses, song.onsets)
    return list(dict.fromkeys(name for row in rows for name in row))


def fit_all(heard: Sequence[Heard]) -> dict[str, dict[str, float]]:
    """All three; the rhythm's accents need the bars', which are put in place first."""
    bars = list(bar_choices(heard))
    found = fit([choice for _, choice in bars], PENALTY["BARS"])
    put("BARS", dict(zip(bars[0][0], found, strict=True)))
    names = rhythm_names(heard)
    found = fit(list(rhythm_choices(heard, names)), PENALTY["RHYTHM"])
    put("RHYTHM", dict(zip(names, found, strict=True)))
    found = fit(key_choices(heard), PENALTY["KEY"])
    put("KEY", dict(zip(heard[0].key, found, strict=True)))
    return {"BARS": weights.BARS, "RHYTHM": weights.RHYTHM, "KEY": weights.KEY}


def put(name: str, found: dict[str, float]) -> None:
    """Use weights from now on in this process."""
    table = vars(weights)[name]
    table.clear()
    table.update({key: round(float(value), 3) for key, value in found.items()})


def judge(heard: Sequence[Heard]) -> list[tuple[bool, bool, float, bool, bool, float, float]]:
    """For each: tempo right, metre right and how sure; and key."""
    rows = []
    for song in heard:
        chances = rhythm.likelihood(song.pulses, song.onsets)
        best = int(chances.sum(1).argmax())
        ratio = song.pulses[best].bpm / song.track.bpm
        octaves = any(abs(ratio / other - 1) < NEAR for other in (1, 2, 3, 1 / 2, 1 / 3))
        meter = list(METERS)[int(chances[best].argmax())] == song.track.timesignature
        score = sum(weights.KEY[name] * value for name, value in song.key.items())
        key = NAMES[int(np.argmax(score))] == song.track.keyscale
        sure = float(np.exp(log_softmax(score)).max())
        rows.append(
            (abs(ratio - 1) < NEAR, octaves, float(chances.sum(1).max()), meter, key, sure, ratio)
        )
    return rows


def cross_validate(heard: Sequence[Heard], by_style: bool) -> str:
    """Accuracy on styles (or tracks) that the weights were not fitted to."""
    styles = sorted({song.track.name for song in heard})
    folds = [
        styles.index(song.track.name) % FOLDS if by_style else number % FOLDS
        for number, song in enumerate(heard)
    ]
    rows, pairs = [], list(zip(folds, heard, strict=True))
    for fold in range(FOLDS):
        fit_all([song for number, song in pairs if number != fold])
        rows += judge([song for number, song in pairs if number == fold])
    table = np.array(rows, float)
    names = ("Acc1", "Acc2", "-", "metre", "key", "-", "-")
    means = [f"{n} {v:.3f}" for n, v in zip(names, table.mean(0), strict=True) if n != "-"]
    for kind, right, sure in (("tempo", 0, 2), ("key", 4, 5)):
        for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
            inside = (table[:, sure] >= low) & (table[:, sure] < high)
            if inside.any():
                share = table[inside, right].mean()
                means.append(f"{kind} {low}-{high}: {inside.sum()} of which {share:.2f}")
    return ", ".join(means)


def _right(song: Heard) -> list[int]:
    return [
        index
        for index, found in enumerate(song.pulses)
        if abs(found.bpm / song.track.bpm - 1) < NEAR
    ]


def _hits(beats: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([np.abs(truth - beat).min() < 0.07 for beat in beats]))


def module(found: dict[str, dict[str, float]], tracks: int) -> str:
    """The text of ``weights.py``."""
    lines = [
        '"""How much each piece of evidence weighs; written by benchmarks/label_fit.py.',
        "",
        f"Fitted to {tracks} tracks of benchmarks/label_tracks.py. A weight is in log odds for one",
        "unit of the evidence.",
        '"""',
        "",
    ]
    for name, table in found.items():
        lines.append(f"{name}: dict[str, float] = {{")
        lines += [f'    "{key}": {value:.3f},' for key, value in table.items()]
        lines.append("}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=240)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--validate", action="store_true", help="cross-validate first")
    args = parser.parse_args()
    assert args.tracks < HELD_OUT
    with ProcessPoolExecutor(args.workers) as pool:
        heard = list(pool.map(hear, range(args.tracks)))
    if args.validate:
        for by_style in (True, False):
            print(cross_validate(heard, by_style), file=sys.stderr)
    print(module(fit_all(heard), args.tracks))


if __name__ == "__main__":
    main()
