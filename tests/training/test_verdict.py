"""The four words: each on a run that deserves it, on curves drawn by hand, and on old logs."""

import json
import math
from dataclasses import replace

import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.events import Evaluation, Finished, Notice, Started, Step, from_json, to_json
from acestep.judging.intervals import Estimate
from acestep.train import train
from acestep.training.evidence import evidence_of
from acestep.training.material import open_material
from acestep.training.run import RunFolder
from acestep.training.verdict import (
    Point,
    judge,
    points_of_log,
    verdict_of_evidence,
    verdict_of_log,
)

WORDS = ["learning", "nothing learned", "overfitting", "too early to say"]
# Tensors and knobs of a run that deserves each verdict
SHORT, TEN = (16, 20, 18, 24), (9, 10, 8, 9, 11, 8, 9, 10, 8, 9)
RUNS = {
    "learning": (SHORT, {"epochs": 6, "learning_rate": 5e-3, "validate_every": 2}),
    "nothing learned": (SHORT, {"epochs": 3, "learning_rate": 1e-7, "validate_every": 1}),
    "overfitting": (SHORT, {"epochs": 36, "learning_rate": 1e-2, "validate_every": 6}),
    "too early to say": (TEN, {"epochs": 1, "learning_rate": 1e-3, "validate_every": 1}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Each run's folder and its events, by the verdict that it deserves."""
    folder = tmp_path_factory.mktemp("verdict")
    made = {}
    for word, (lengths, knobs) in RUNS.items():
        tensors = folder / f"tensors{len(lengths)}"
        if not tensors.exists():
            tiny_tensors(tensors, lengths)
        config = TrainConfig(
            tensors=tensors, output=folder / word, device="cpu", rank=16, alpha=32.0, dropout=0.0,
            targets="attention+mlp", batch_size=4, warmup_steps=0, schedule="constant",
            save_every=knobs["validate_every"], **{k: v for k, v in knobs.items()},
        )  # fmt: skip
        made[word] = folder / word, list(train(config))
    return made


@pytest.mark.parametrize("word", WORDS)
def test_a_run_is_called_what_it_is_by_its_log_and_by_its_checkpoints(runs, word):
    folder, events = runs[word]
    verdict = verdict_of_log(events)
    assert verdict.word == word
    assert verdict_of_log(RunFolder(folder).read_events()) == verdict
    measured = verdict_of_evidence(evidence_of(folder, open_material(folder, device="cpu")))
    assert (measured.words, measured.best_epoch) == (verdict.words, verdict.best_epoch)
    base = next(event for event in events if isinstance(event, Evaluation)).base_loss
    assert f"{base:.3f}" in verdict.sentence


def test_overfitting_names_the_epoch_to_go_back_to(runs):
    _, events = runs["overfitting"]
    verdict = verdict_of_log(events)
    held = {event.epoch: event.loss for event in events if isinstance(event, Evaluation)}
    assert verdict.since == verdict.best_epoch == min(held, key=held.__getitem__)
    assert verdict.words == f"overfitting since epoch {verdict.since}"
    assert f"checkpoint nearest to epoch {verdict.since}" in verdict.sentence


def test_training_ends_with_the_verdict(runs):
    for word, (_, events) in runs.items():
        finished, notice = events[-1], events[-2]
        assert isinstance(finished, Finished) and isinstance(notice, Notice)
        assert finished.facts["verdict"]["word"] == word
        assert notice.message.startswith(finished.facts["verdict"]["words"])
        assert notice.level == ("info" if word in ("learning", "too early to say") else "warning")
        json.dumps(finished.facts, allow_nan=False)


def test_a_run_in_its_first_quarter_is_not_called_useless(runs):
    _, events = runs["nothing learned"]
    running = [event for event in events if not isinstance(event, Finished)]
    assert verdict_of_log(running).word == "nothing learned"
    longer = [
        Started(e.verb, e.facts | {"total_steps": 100}) if isinstance(e, Started) else e
        for e in running
    ]
    early = verdict_of_log(longer)
    assert early.word == "too early to say" and "3 % of the planned steps" in early.sentence


def curve(held, training, half=0.01, base=1.0, songs=6, start=0.5, every=10):
    """Points with these differences of the held-out loss, alike in every song, and training."""
    return [
        Point(
            (n + 1) * every,
            loss,
            0.0,
            Estimate(gap, gap - half, gap + half),
            base,
            {f"s{song}": gap for song in range(songs)},
            start,
        )
        for n, (gap, loss) in enumerate(zip(held, training, strict=True))
    ]


FALLING = [0.4, 0.3, 0.2, 0.15]
CURVES = {
    "a healthy run": ([-0.1, -0.2, -0.25, -0.26], FALLING, {}, "learning"),
    "one dip": ([-0.1, -0.26, -0.25, -0.27], FALLING, {}, "learning"),
    "worse once, at its end": ([-0.1, -0.2, -0.25, -0.22], FALLING, {}, "learning"),
    "a rise": ([-0.1, -0.2, -0.15, -0.12], FALLING, {}, "overfitting since epoch 20"),
    "a rise that is hardly noticed": ([-0.1, -0.2, -0.198, -0.197], FALLING, {}, "learning"),
    "at rest": ([-0.3, -0.4, -0.38, -0.37], [0.4, 0.3, 0.295, 0.29], {}, "learning"),
    "a rise of the training loss too": ([-0.2, -0.2, -0.1, -0.05], [0.3, 0.3, 0.4, 0.45], {},
                                        "learning"),
    "worse from the first step": ([0.1, 0.2, 0.3, 0.4], FALLING, {}, "overfitting since epoch 0"),
    "diverging": ([0.1, 0.2, 0.3, 0.4], [0.6, 0.7, 0.9, 1.5], {}, "nothing learned"),
    "flat": ([0.0, 1e-4, -1e-4, 0.0], [0.5, 0.5, 0.499, 0.5], {}, "nothing learned"),
    "sure, and too little": ([-1e-3] * 4, [0.499] * 4, {"half": 1e-4}, "nothing learned"),
    "learned and lost again": ([-0.1, 0.0, 0.0, 0.0], [0.4, 0.5, 0.5, 0.5], {}, "nothing learned"),
    "by rote only": ([-1e-3] * 4, FALLING, {"half": 0.002}, "nothing learned"),
    "few and uneven songs": ([-0.05] * 4, FALLING, {"half": 0.1}, "too early to say"),
    "by heart": ([-0.1, -0.2, -0.3, -0.4], [0.1, 0.02, 0.009, 0.001], {},
                 "overfitting since epoch 30"),
    "one song, rising": ([-0.1, -0.2, -0.15, -0.12], FALLING, {"songs": 1},
                         "overfitting since epoch 20"),
    "no loss at all": ([-0.1, -0.2], [0.0, 0.0], {}, "overfitting since epoch 10"),
}  # fmt: skip


@pytest.mark.parametrize("name", CURVES)
def test_curves_drawn_by_hand(name):
    held, training, knobs, words = CURVES[name]
    assert judge(curve(held, training, **knobs)).words == words


def test_a_small_rise_of_some_songs_only_is_no_overfitting():
    points = curve([-0.1, -0.085, -0.085], [0.3, 0.2, 0.1])
    uneven = [-0.1 + step for step in (0.2, -0.1, 0.1, -0.05, -0.08, 0.02)]
    songs = dict(zip(points[0].songs, uneven, strict=True))
    mixed = [*points[:2], replace(points[2], songs=songs)]
    assert judge(points).words == "overfitting since epoch 10"
    assert judge(mixed).words == "learning"


def test_without_anything_held_out_nothing_can_be_told():
    points = [Point(epoch, 0.5 / epoch) for epoch in (1, 2, 3)]
    assert judge(points).word == "too early to say"
    assert "--validation" in judge(points).sentence and "0.167" in judge(points).sentence
    assert judge([*points, Point(50, 0.004)]).words == "overfitting since epoch 50"
    assert judge([]).word == "too early to say"


def test_what_diverged_is_left_out():
    points = curve([-0.1, -0.2, math.nan, math.inf], [0.4, 0.3, math.nan, math.nan])
    assert judge(points).word == "learning" and "epoch 20" in judge(points).sentence


def old_line(epoch, loss, base=1.0):
    """An evaluation as earlier versions wrote it."""
    return from_json(
        json.dumps(
            {"event": "evaluation", "step": 20 * epoch, "epoch": epoch, "loss": loss,
             "base_loss": base, "songs": {"s": loss}}
        )
    )  # fmt: skip


def old_log(held, training):
    """A log with noisy steps, as earlier versions wrote it."""
    events = [old_line(0, 1.0)]
    for epoch, (loss, level) in enumerate(zip(held, training, strict=True), 1):
        for step in range(20):
            noisy = level * (1 + 0.2 * math.sin(7 * step))
            events.append(Step(20 * epoch - 19 + step, epoch, noisy, 1e-4, 1.0))
        events.append(old_line(epoch, loss))
    return events


def test_logs_of_earlier_versions_are_judged_by_their_steps():
    assert verdict_of_log(old_log([0.9, 0.8, 0.75], [0.4, 0.3, 0.2])).word == "learning"
    rising = old_log([0.9, 0.8, 0.85, 0.9], [0.4, 0.3, 0.2, 0.1])
    assert verdict_of_log(rising).words == "overfitting since epoch 2"
    assert verdict_of_log(old_log([1.0, 1.0, 1.0], [0.5, 0.5, 0.5])).word == "nothing learned"
    assert verdict_of_log(old_log([0.9], [0.5])).word == "too early to say"


def test_a_log_without_evaluations_is_read_by_epochs():
    steps = [Step(n, 1 + n // 3, 0.5, 1e-4, 1.0) for n in range(6)]
    assert [(point.epoch, point.training) for point in points_of_log(steps)] == [(1, 0.5), (2, 0.5)]
    assert verdict_of_log([]).word == "too early to say"


def test_new_fields_survive_the_log():
    event = Evaluation(
        5, 1, 0.5, 0.6, {"a": 0.5}, {"a": math.nan}, {"low": 0.1}, {"low": 0.2}, None, math.inf,
        0.4, 0.5,
    )  # fmt: skip
    back = from_json(to_json(event))
    assert back.high == math.inf and back.low is None and math.isnan(back.base_songs["a"])
    assert (back.bands, back.training_loss) == ({"low": 0.1}, 0.4)
