"""What a run shows and what to change: each symptom of the guide's tables, and a healthy run."""

import math

import numpy as np
import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import RunError
from acestep.events import Evaluation, Step
from acestep.train import train
from acestep.training.afterwards import About, advice_after, look_at_run

CONFIG = {
    "learning_rate": 1e-4, "epochs": 500, "rank": 128, "dropout": 0.1, "warmup_steps": None,
    "validation": 0.1, "optimizer": "adamw", "schedule": "cosine",
}  # fmt: skip
ABOUT = About(songs=8, tag="myjazz")
NOISE = 0.02 * np.random.default_rng(1).standard_normal(500)


def run(losses, held_out=(), base=0.6):
    """Events of a run with one step an epoch, evaluated every 25 epochs."""
    steps = [Step(n, n, float(loss), 1e-4, 0.1) for n, loss in enumerate(losses, 1)]
    every = max(1, len(losses) // max(1, len(held_out)))
    first = [Evaluation(0, 0, base, base, {"a": base, "b": base})]
    later = [
        Evaluation(every * n, every * n, loss, base, {"a": loss, "b": loss})
        for n, loss in enumerate(held_out, 1)
    ]
    return sorted([*steps, *first, *later], key=lambda event: event.step)


FALL = 0.25 + 0.35 * np.exp(-np.arange(500) / 120) + NOISE
LEARNED = list(0.45 + 0.15 * np.exp(-np.arange(20) / 5))


def advised(after):
    return {one.knob: one.value for one in after.advice}


def test_nan_halves_the_rate():
    after = advice_after(CONFIG, run([*FALL[:40], math.nan]))
    assert after.verdict == "diverged" and advised(after) == {"learning_rate": 5e-5}
    assert "step 40" in after.seen[0]


def test_a_swinging_loss_wants_a_lower_rate_and_a_warm_up():
    swing = FALL + 0.15 * np.sin(np.arange(500) / 12)
    after = advice_after(CONFIG, run(swing, LEARNED))
    assert after.verdict == "oscillates"
    assert advised(after) == {"learning_rate": 5e-5, "warmup_steps": 100}
    held = [0.5 + 0.1 * (n % 2) for n in range(20)]
    after = advice_after({**CONFIG, "warmup_steps": 100}, run(FALL, held))
    assert after.verdict == "oscillates" and advised(after)["warmup_steps"] == 200


def test_a_loss_that_stays_wants_a_higher_rate():
    after = advice_after(CONFIG, run(0.6 + NOISE, [0.6] * 20), ABOUT)
    assert after.verdict == "does not fall"
    assert advised(after)["learning_rate"] == 3e-4
    high = advice_after({**CONFIG, "learning_rate": 1e-3}, run(0.6 + NOISE, [0.6] * 20), ABOUT)
    assert "learning_rate" not in advised(high) and {"tag", "caption"} <= advised(high).keys()


def test_overfitting_wants_more_songs_less_capacity_and_fewer_epochs():
    held = [0.5, 0.42, 0.40, *(0.40 + 0.02 * n for n in range(1, 18))]
    after = advice_after(CONFIG, run(FALL, held), ABOUT)
    assert after.verdict == "overfitting"
    found = advised(after)
    assert found["dropout"] == 0.2 and found["rank"] == 64 and found["epochs"] == 75
    assert "75" in found["checkpoint"] and "8 become 15" in found["songs"]


def test_no_effect_asks_the_guides_questions():
    after = advice_after({**CONFIG, "epochs": 100}, run(FALL, [0.6] * 20), ABOUT)
    assert after.verdict == "no effect"
    found = advised(after)
    assert found["epochs"] == 300 and "'myjazz'" in found["tag"] and "1.4" in found["strength"]
    nameless = advice_after(CONFIG, run(FALL, [0.6] * 20), About(tag=""))
    assert "no activation tag" in " ".join(one.reason for one in nameless.advice)


def test_a_healthy_run_needs_nothing_and_a_short_one_more_epochs():
    after = advice_after(CONFIG, run(FALL, LEARNED))
    assert after.verdict == "healthy" and after.advice == ()
    early = [0.5, 0.44, 0.40, 0.39, *[0.391] * 16]
    assert advised(advice_after(CONFIG, run(FALL, early)))["epochs"] == 120  # best at 100
    short = advice_after({**CONFIG, "epochs": 20}, run(FALL[:20]), ABOUT)
    assert short.verdict == "too early" and advised(short)["epochs"] == 300
    assert "--resume" in advised(advice_after(CONFIG, []))["resume"]
    nothing = advice_after({**CONFIG, "validation": 0.0}, [])
    assert nothing.verdict == "too early" and advised(nothing) == {"validation": 0.1}


def test_as_plain_values_each_advice_is_a_sentence():
    after = advice_after(CONFIG, run(FALL, [0.6] * 20), ABOUT)
    record = after.as_dict()
    assert record["verdict"] == "no effect" and record["seen"]
    assert [one["message"] for one in record["advice"]] == [one.flag for one in after.advice]
    flags = [one["message"] for one in record["advice"] if one["verb"] == "train"]
    assert flags == ["--learning-rate 3e-4"]


def test_real_runs_of_a_tiny_model(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", lengths=(24, 30, 17, 24, 40))
    rates = {"slow": (1e-9, "does not fall"), "good": (3e-3, "healthy"), "wild": (1e36, "diverged")}
    for name, (rate, verdict) in rates.items():
        config = TrainConfig(
            tensors=tensors, output=tmp_path / name, rank=4, dropout=0, device="cpu", epochs=12,
            validate_every=2, learning_rate=rate, max_grad_norm=1e9,
        )  # fmt: skip
        if verdict == "diverged":
            with pytest.raises(RunError, match="diverged"):
                list(train(config))
        else:
            list(train(config))
        after = look_at_run(tmp_path / name)
        assert after.verdict == verdict, after
        if verdict == "healthy":
            assert after.advice == ()
        else:  # the model is 64 times narrower than that of the guide
            assert 1e-4 < advised(after)["learning_rate"] <= 0.064


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError):
        look_at_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="format"):
        look_at_run(tmp_path)
    (tmp_path / "config.json").write_text('{"format": 1}')
    with pytest.raises(RunError, match="lacks the run's knobs"):
        look_at_run(tmp_path)
