"""Knobs settled against the model and against the run that is resumed."""

import json
from dataclasses import asdict, replace

import pytest

from acestep.config import TrainConfig
from acestep.errors import ConfigError, RunError
from acestep.model.base import find_model
from acestep.training.run import RunFolder
from acestep.training.settings import check_new_run, check_same_data, make_plan, resume_config


def config(**knobs):
    return TrainConfig(tensors="tensors", **knobs)


@pytest.fixture(scope="module")
def mini():
    return find_model("mini")


def test_turbo_and_base_settle_differently(mini):
    turbo = make_plan(config(), mini, 8, 1)
    base = make_plan(config(), replace(mini, variant="base", time_mu=-0.3), 8, 1)
    assert (turbo.law.kind, turbo.law.shift, turbo.condition_dropout) == ("turbo", 3.0, 0.0)
    assert (base.law.kind, base.law.shift, base.condition_dropout) == ("continuous", 1.0, 0.15)
    assert base.law.mu == -0.3


def test_given_knobs_win(mini):
    plan = make_plan(config(timesteps="continuous", shift=2.0, condition_dropout=0.3), mini, 8, 1)
    assert (plan.law.kind, plan.law.shift, plan.condition_dropout) == ("continuous", 2.0, 0.3)


@pytest.mark.parametrize(
    ("knobs", "samples", "processes", "per_step", "per_epoch"),
    [
        ({}, 8, 1, 1, 8),
        ({"batch_size": 2, "gradient_accumulation": 3}, 8, 1, 6, 2),
        ({}, 7, 2, 2, 4),
        ({"batch_size": 4}, 3, 1, 4, 1),
    ],
)
def test_steps_are_counted_with_the_rest_of_an_epoch(
    mini, knobs, samples, processes, per_step, per_epoch
):
    plan = make_plan(config(epochs=10, **knobs), mini, samples, processes)
    assert (plan.samples_per_step, plan.steps_per_epoch, plan.total_steps) == (
        per_step,
        per_epoch,
        10 * per_epoch,
    )


@pytest.fixture
def run(tmp_path, mini):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    started = config(rank=8, alpha=4, epochs=50)
    folder.write_settings(
        {
            "config": started.model_dump(mode="json"),
            "tensors": {"fingerprint": "t"},
            "model": {"fingerprint": "m"},
            "plan": asdict(make_plan(started, mini, 8, 1)),
            "modules": ["a"],
        }
    )
    return folder


def test_resuming_keeps_what_is_not_given_and_reports_what_changes(run):
    settled, changed = resume_config(config(resume=True, epochs=80, learning_rate=5e-5), run)
    assert (settled.rank, settled.alpha, settled.epochs, settled.resume) == (8, 4, 80, True)
    assert any("epochs: 50 → 80" in line for line in changed) and len(changed) == 2


def test_every_knob_that_does_not_fit_is_named(run):
    with pytest.raises(RunError) as caught:
        resume_config(config(resume=True, rank=16, seed=1, dropout=0.2), run)
    assert "--rank 16" in str(caught.value) and "--seed 1" in str(caught.value)
    assert "dropout" not in str(caught.value)


def test_repeating_the_runs_own_knobs_is_fine(run):
    settled, changed = resume_config(config(resume=True, rank=8, alpha=4, epochs=50), run)
    assert settled.rank == 8 and changed == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("tensors", "fingerprint"), "tensors"),
        (("model", "fingerprint"), "base model"),
        (("plan", "samples_per_step"), "samples per step"),
    ],
)
def test_other_data_model_or_step_size_is_refused(run, place, words):
    settings = json.loads(run.settings_file.read_text())
    check_same_data(run, settings)
    settings[place[0]][place[1]] = "other"
    with pytest.raises(RunError, match=words):
        check_same_data(run, settings)


def test_nothing_is_trained_over(run, tmp_path):
    with pytest.raises(RunError, match="already holds a run"):
        check_new_run(config(), run)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match="is a file"):
        check_new_run(config(), RunFolder(file))
    check_new_run(config(), RunFolder(tmp_path / "new"))


def test_naming_what_the_run_settled_by_itself_is_no_change(run):
    settled, _ = resume_config(config(resume=True, shift=3.0, timesteps="turbo"), run)
    assert settled.shift == 3.0
    with pytest.raises(RunError, match="--shift 2"):
        resume_config(config(resume=True, shift=2.0), run)


def test_evaluating_more_often_is_allowed(run):
    settled, changed = resume_config(config(resume=True, validate_every=1), run)
    assert settled.validate_every == 1 and "validate_every: 10 → 1" in changed[0]
