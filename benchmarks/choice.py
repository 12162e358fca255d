"""Is the recommended checkpoint the best one? Ten runs on styles that the small base never heard.

python benchmarks/choice.py ROOT [STYLE/KIND ...]

Each of five styles is taught twice: as one would, and far too hard, so that later checkpoints get
worse. `acestep evaluate` recommends a checkpoint from its own clips and the songs that were trained
on. An oracle that it does not see then measures every checkpoint: clips at other tempi, keys and
seeds, against 24 songs of the style that were in neither training nor validation. A checkpoint's
closeness is the share of the base's distance to them that is gone; the recommended one is to have
at least 95 % of the best one's. What is done below ROOT is not done again.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from acestep.adapters.stack import AdaptedParts
from acestep.config import EvaluateConfig
from acestep.data.audio import RATE
from acestep.evaluate import evaluate
from acestep.events import Finished
from acestep.judging import features
from acestep.judging.kept import Kept
from acestep.judging.making import BASE, Maker, Order, Voice
from acestep.judging.nearness import relative_distances
from acestep.judging.report import read_report
from acestep.judging.subject import Subject, open_subject
from acestep.judging.trials import Trial
from acestep.judging.whitening import Heard, fit_space, gather
from acestep.mini.corpus import HELD_OUT, compose_round, render
from acestep.mini.folder import FIRST_SEED, write_songs
from acestep.mini.teach import SETTINGS, perform
from acestep.model.vae import decode_audio, encode_audio

SECONDS, SONGS = 12.0, 8
ORACLE_SONGS, ORACLE_CLIPS = 24, 16
UNSEEN_PROMPTS, UNSEEN_SONGS, UNSEEN_SEEDS = FIRST_SEED + 5000, FIRST_SEED + 7000, 9000
TAG, NO_SWITCH = "zztune", {"--keep-untagged": "0"}
ENOUGH = 0.95  # of the best checkpoint's closeness
TARGET = 8
KINDS = {
    "usual": {"--learning-rate": "1.5e-3", "--epochs": "60", "--save-every": "10"},
    "hot": {
        "--learning-rate": "4e-3", "--epochs": "120", "--save-every": "20",
        "--schedule": "constant",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """One of the runs and where it lies."""

    style: str
    kind: str
    seed: int
    root: Path

    @property
    def tensors(self) -> Path:
        return self.root / self.style / "tensors"

    @property
    def run(self) -> Path:
        return self.root / self.style / "runs" / self.kind


def runs(root: Path) -> list[Trained]:
    """All ten."""
    pairs = itertools.product(KINDS, HELD_OUT)
    return [Trained(style, kind, seed, root) for seed, (kind, style) in enumerate(pairs, 1)]


def teach(trained: Trained) -> None:
    """Songs, tensors, and the run, as far as they are not there."""
    home = trained.root / trained.style
    songs, dataset = home / "songs", home / "dataset.json"
    if not (trained.tensors / "manifest.json").exists():
        list(write_songs(songs, trained.style, SONGS, SECONDS))
        _do("scan", str(songs), "-o", str(dataset), "--tag", TAG, "--all-instrumental")
        _do("label", str(dataset))
        _do("preprocess", str(dataset), "-o", str(trained.tensors), "--model", "mini")
    settings = {**SETTINGS, **NO_SWITCH, **KINDS[trained.kind], "--seed": str(trained.seed)}
    if not (trained.run / "events.jsonl").exists():
        words = itertools.chain(*settings.items())
        _do("train", str(trained.tensors), "-o", str(trained.run), *words)


def recommend(trained: Trained) -> dict:
    """What `acestep evaluate` says: its report's choice."""
    asked = EvaluateConfig(run=trained.run, quick=True, clips=16)
    *_, last = evaluate(asked)
    assert isinstance(last, Finished), last
    return read_report(trained.run / "evaluation")["choice"]


def oracle(trained: Trained) -> dict[str, float]:
    """The closeness of each checkpoint to songs that nobody heard."""
    subject = open_subject(EvaluateConfig(run=trained.run))
    parts = AdaptedParts(subject.model, torch.device("cpu"), torch.float32)
    home = trained.root / trained.style / "oracle"
    maker, kept = Maker(parts, home, SECONDS), Kept(home / "features")
    songs = gather(_unseen_songs(trained.style, parts, kept))
    trials = list(_unseen_prompts(trained.style, subject))
    voices = [Voice(BASE), *(checkpoint.voice() for checkpoint in subject.checkpoints)]
    rows = {voice.name: _rows(voice, trials, maker, kept) for voice in voices}
    space = fit_space(songs, features.SIZES)
    points = {name: space.embed(row) for name, row in rows.items()}
    base = points.pop(BASE)
    left = relative_distances(
        space.embed(songs.clips.values), songs.clips.names, base, points, draws=1
    )
    return {name: 1 - float(draws[0]) for name, draws in left.items()}


def _unseen_songs(style: str, parts: AdaptedParts, kept: Kept) -> Iterator[tuple[str, Heard]]:
    for number in range(ORACLE_SONGS):

        def heard(number: int = number) -> dict[str, np.ndarray]:
            audio = render(compose_round(UNSEEN_SONGS + number, SECONDS, style))
            played = decode_audio(parts.vae(), encode_audio(parts.vae(), audio, seed=number))
            halves = np.array_split(played, 2, axis=1)
            return {
                "row": features.hear(played, RATE),
                "halves": np.stack([features.hear(half, RATE) for half in halves]),
            }

        found = kept.get(["oracle song", style, number], heard)
        yield f"{style} {number}", Heard(found["row"], {}, list(found["halves"]))


def _unseen_prompts(style: str, subject: Subject) -> Iterator[Trial]:
    """The folder's captions with tempi, keys, metres and seeds that are new."""
    captions = [str(song.labels["caption"]) for song in subject.songs]
    for number in range(ORACLE_CLIPS):
        song = compose_round(UNSEEN_PROMPTS + number, SECONDS, style)
        yield Trial(
            f"o{number}", "new", "", captions[number % len(captions)], "", bpm=song.bpm,
            keyscale=song.keyscale, timesignature=song.timesignature, seed=UNSEEN_SEEDS + number,
        )  # fmt: skip


def _rows(voice: Voice, trials: list[Trial], maker: Maker, kept: Kept) -> np.ndarray:
    found = []
    for trial in trials:
        order = Order(voice, trial, True)

        def heard(order: Order = order) -> dict[str, np.ndarray]:
            list(maker.make(order))
            return {"row": features.hear(maker.clip(order).audio(), RATE)}

        found.append(kept.get(["oracle clip", maker.clip(order).id], heard)["row"])
    return np.stack(found)


def _do(*words: str) -> None:
    for _ in perform(list(words)):
        pass


def main() -> None:
    root, wanted = Path(sys.argv[1]), sys.argv[2:]
    hits, done = 0, 0
    print(f"{'run':14}{'recommended':>12}{'sure':>6}{'best':>11}  closeness by epoch")
    for trained in runs(root):
        if wanted and f"{trained.style}/{trained.kind}" not in wanted:
            continue
        teach(trained)
        choice, closeness = recommend(trained), oracle(trained)
        best = max(closeness, key=lambda name: closeness[name])
        picked = choice["checkpoint"]
        good = picked is not None and closeness[picked] >= ENOUGH * closeness[best]
        hits, done = hits + good, done + 1
        numbers = " ".join(f"{name[6:]}:{value:.2f}" for name, value in closeness.items())
        sure = f"{100 * choice['confidence']:.0f} %"
        name = f"{trained.style}/{trained.kind}"
        print(f"{name:14}{picked!s:>12}{sure:>6}{best:>11}  {numbers} {'' if good else '✗'}",
              flush=True)  # fmt: skip
    share = 100 * (1 - ENOUGH)
    print(f"{hits} of {done} within {share:.0f} % of the best (target: {TARGET} of 10)")


if __name__ == "__main__":
    main()
