"""How often labels from the signal are right, ours beside librosa's and essentia's.

    python benchmarks/labels.py --tracks 96
    python benchmarks/labels.py --tracks 96 --systems ours librosa essentia --json labels.json
    python benchmarks/labels.py --set corpus

Tracks are ``label_tracks``'s held-out ones (or songs of the package's small corpus, which is
cleaner), whose truth is known. librosa and essentia (AGPL) are used where they are installed and
named; neither is needed by the package. Acc1 is the share of tempi within 4 %, Acc2 also at twice,
three times, half or a third, the rest mir_eval's: F-measure of beats and downbeats (70 ms, from 5 s
on), CMLt and AMLt, weighted key score. 6/8 is counted in dotted quarters. CPU seconds are for a
minute of audio, decoding excluded; run it with OMP_NUM_THREADS=1.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mir_eval
import numpy as np
from label_tracks import HELD_OUT, RATE, compose, render

from acestep.labellers.analysis import CONFIDENT, analyse
from acestep.mini import corpus

TOLERANCE = 0.04
OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)
SHARPS = {"Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb"}


@dataclass(frozen=True)
class Truth:
    """What is known of a track, and to which groups it belongs."""

    bpm: float
    keyscale: str
    timesignature: str
    beats: np.ndarray
    downbeats: np.ndarray
    groups: tuple[str, ...]


@dataclass
class Answer:
    """What one system says of a track; None for what it does not say."""

    bpm: float | None
    beats: np.ndarray
    keyscale: str | None = None
    timesignature: str | None = None
    downbeats: np.ndarray | None = None
    sure: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0


def ours(audio: np.ndarray) -> Answer:
    found = analyse(audio, RATE)
    sure = {name: vars(found)[name].confidence for name in ("bpm", "keyscale", "timesignature")}
    return Answer(
        found.tempo,
        found.beats,
        found.keyscale.value,
        found.timesignature.value,
        found.downbeats,
        sure,
    )


def with_librosa(audio: np.ndarray) -> Answer:
    """Its defaults for tempo and beats; the usual recipe for key (CQT chroma, Krumhansl)."""
    import librosa

    mono = librosa.resample(audio.mean(0), orig_sr=RATE, target_sr=22_050, res_type="soxr_hq")
    tempo, beats = librosa.beat.beat_track(y=mono, sr=22_050, units="time")
    classes = librosa.feature.chroma_cqt(y=mono, sr=22_050).mean(1)
    return Answer(float(np.atleast_1d(tempo)[0]), beats, krumhansl(classes))


def with_essentia(audio: np.ndarray) -> Answer:
    """RhythmExtractor2013 (multifeature) and KeyExtractor with Sha'ath's profile."""
    import essentia.standard as algorithms
    import soxr

    mono = soxr.resample(audio.mean(0), RATE, 44_100).astype(np.float32)
    bpm, beats, *_ = algorithms.RhythmExtractor2013(method="multifeature")(mono)
    tonic, mode, _ = algorithms.KeyExtractor(profileType="shaath")(mono)
    return Answer(float(bpm), np.asarray(beats), f"{tonic} {mode}")


SYSTEMS: dict[str, Callable[[np.ndarray], Answer]] = {
    "ours": ours,
    "librosa": with_librosa,
    "essentia": with_essentia,
}


def krumhansl(classes: np.ndarray) -> str:
    profiles = {
        "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    }
    fits = {
        f"{tonic} {mode}": np.corrcoef(classes, np.roll(profile, number))[0, 1]
        for mode, profile in profiles.items()
        for number, tonic in enumerate(corpus.TONICS)
    }
    return max(fits, key=fits.__getitem__)


def held_out(first: int, count: int) -> Iterator[tuple[Truth, np.ndarray]]:
    for seed in range(first, first + count):
        track = compose(seed)
        known = "styles tuned on" if track.style.tuned else "styles never tuned on"
        groups = (track.renderer, known, f"{track.timesignature} to the bar")
        truth = Truth(
            track.bpm, track.keyscale, track.timesignature, track.beats, track.downbeats, groups
        )
        yield truth, render(track)


def from_corpus(count: int) -> Iterator[tuple[Truth, np.ndarray]]:
    """Songs of the package's corpus of a minute each, tests' seeds."""
    for seed in range(corpus.TESTS, corpus.TESTS + count):
        song = corpus.compose(seed, 60.0)
        size = {"4": 4, "3": 3, "6": 2}[song.timesignature]
        beats = np.arange(0, 60, 60 / song.bpm)
        groups = (f"{song.timesignature} to the bar",)
        truth = Truth(song.bpm, song.keyscale, song.timesignature, beats, beats[::size], groups)
        yield truth, corpus.render(song)


def score(truth: Truth, answer: Answer) -> dict[str, float]:
    """Every figure of one track, NaN where it does not apply or nothing was said."""
    ratio = (answer.bpm or 0) / truth.bpm
    reference, found = map(mir_eval.beat.trim_beats, (truth.beats, np.asarray(answer.beats)))
    continuity = mir_eval.beat.continuity(reference, found)
    figures = {
        "Acc1": abs(ratio - 1) < TOLERANCE,
        "Acc2": any(abs(ratio / octave - 1) < TOLERANCE for octave in OCTAVES),
        "within 1": abs((answer.bpm or 0) - truth.bpm) < 1,
        "beat F": mir_eval.beat.f_measure(reference, found),
        "CMLt": continuity[1],
        "AMLt": continuity[3],
        "CPU s": answer.cpu,
    }
    if answer.downbeats is not None:
        pair = map(mir_eval.beat.trim_beats, (truth.downbeats, answer.downbeats))
        figures["bar F"] = mir_eval.beat.f_measure(*pair)
    if answer.keyscale is not None:
        figures["key"] = mir_eval.key.weighted_score(truth.keyscale, answer.keyscale)
        figures["key exact"] = same_key(truth.keyscale, answer.keyscale)
    if answer.timesignature is not None:
        right = answer.timesignature == truth.timesignature
        figures[f"recall {truth.timesignature}"] = right
        figures["metre"] = right
        if truth.timesignature in "34":
            figures["3 or 4"] = right
    return {name: float(value) for name, value in figures.items()}


def same_key(one: str, other: str) -> bool:
    return [SHARPS.get(word, word) for word in one.split()] == [
        SHARPS.get(word, word) for word in other.split()
    ]


COLUMNS = (
    "Acc1", "Acc2", "within 1", "beat F", "CMLt", "AMLt", "bar F", "key", "key exact", "3 or 4",
    "recall 3", "recall 4", "recall 6", "CPU s",
)  # fmt: skip


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    columns = {name: [row[name] for row in rows if name in row] for name in COLUMNS}
    return {name: round(float(np.mean(found)), 3) for name, found in columns.items() if found}


def calibration(rows: list[tuple[Truth, Answer, dict[str, float]]]) -> dict[str, dict]:
    """How many estimates are above and below the threshold, and how many of them are right."""
    table = {}
    for label, figure in (("bpm", "Acc1"), ("keyscale", "key exact"), ("timesignature", "metre")):
        pairs = [(answer.sure[label], marks.get(figure, 0.0)) for _, answer, marks in rows]
        above = [right for sure, right in pairs if sure >= CONFIDENT]
        below = [right for sure, right in pairs if sure < CONFIDENT]
        table[label] = {
            "above": len(above),
            "right above": round(float(np.mean(above)), 3) if above else None,
            "below": len(below),
            "right below": round(float(np.mean(below)), 3) if below else None,
        }
    return table


def show(name: str, figures: dict[str, float], width: int = 24) -> str:
    cells = (f"{figures[name]:9.3f}" if name in figures else f"{'-':>9}" for name in COLUMNS)
    return f"{name:{width}}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=96)
    parser.add_argument("--first", type=int, default=HELD_OUT, help="seed of the first track")
    parser.add_argument("--set", choices=("held-out", "corpus"), default="held-out")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=["ours"])
    parser.add_argument("--json", type=Path, help="write every figure here")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="mir_eval")
    tracks = from_corpus(args.tracks)
    if args.set == "held-out":
        tracks = held_out(args.first, args.tracks)
    results: dict[str, list[tuple[Truth, Answer, dict[str, float]]]] = {
        name: [] for name in args.systems
    }
    for truth, audio in tracks:
        for name in args.systems:
            start = time.process_time()
            answer = SYSTEMS[name](audio)
            answer.cpu = (time.process_time() - start) * 60 * RATE / audio.shape[1]
            results[name].append((truth, answer, score(truth, answer)))
    print(f"{args.set}, {args.tracks} tracks".ljust(24) + "".join(f"{c:>9}" for c in COLUMNS))
    report: dict[str, dict] = {"set": args.set, "tracks": args.tracks}
    for name, rows in results.items():
        report[name] = {"all": means([marks for _, _, marks in rows])}
        for group in sorted({group for truth, _, _ in rows for group in truth.groups}):
            inside = [marks for truth, _, marks in rows if group in truth.groups]
            report[name][f"{group} ({len(inside)})"] = means(inside)
        for group, figures in report[name].items():
            print(show(name if group == "all" else f"  {group}", figures))
    if "ours" in results:
        report["calibration"] = calibration(results["ours"])
        print(f"at a confidence of {CONFIDENT}: {json.dumps(report['calibration'])}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
