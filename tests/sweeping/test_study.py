"""The journal and the choices of a search; runs themselves are in test_sweep.py."""

import json
import sys

import pytest

from acestep.config import SweepConfig
from acestep.errors import ConfigError, RunError
from acestep.sweeping.plan import read_plan
from acestep.sweeping.study import BEGINNING, JOURNAL, Study


def make_plan(folder, search, **flags):
    file = folder / "s.toml"
    file.write_text(f'tensors = "t"\n[train]\nepochs = 50\n[search]\n{search}\n')
    return read_plan(SweepConfig(sweep=file, **flags))


RATE = "learning_rate = { low = 1e-5, high = 1e-1, log = true }\nrank = [4, 8, 16]"


def test_trials_are_remembered_by_another_process(tmp_path):
    plan = make_plan(tmp_path, RATE)
    study = Study(tmp_path, plan)
    first, second, third, fourth = (study.ask() for _ in range(4))
    assert 1e-5 <= first.settings["learning_rate"] <= 1e-1 and first.settings["rank"] in (4, 8, 16)
    assert len(f"{first.settings['learning_rate']:g}") <= 8  # nobody types sixteen digits
    study.report(first.number, 10, 0.2)
    study.finish(first.number, "done", -0.3, epoch=40, seconds=1.5)
    study.finish(second.number, "pruned", None, reason="worse")
    study.finish(third.number, "failed", None, reason="killed")
    rows = Study(tmp_path, plan).rows()
    assert [row.state for row in rows] == ["done", "pruned", "failed", "running"]
    assert rows[0].score == -0.3 and rows[0].reports == {10: 0.2}
    assert rows[0].facts == {"epoch": 40, "seconds": 1.5} and rows[2].facts["reason"] == "killed"
    assert rows[3].settings == fourth.settings and rows[1].score is None
    # A running trial of a killed process is reported on and ended by the next
    again = Study(tmp_path, plan)
    again.report(fourth.number, 10, 0.1)
    again.report(fourth.number, 10, 0.1)  # twice, as after a resume
    again.finish(fourth.number, "done", -0.1)
    assert again.rows()[3].score == -0.1
    for line in (tmp_path / JOURNAL).read_text().splitlines():
        json.loads(line)  # nothing that would be executed


def test_the_worse_are_given_up_only_after_some_are_done_and_not_at_once(tmp_path):
    study = Study(tmp_path, make_plan(tmp_path, RATE))
    for number in range(BEGINNING):
        row = study.ask()
        assert not study.report(row.number, 20, 9.0)  # nobody to compare with
        study.report(row.number, 30, -0.1 * number)
        study.finish(row.number, "done", -0.1 * number)
    good, bad = study.ask(), study.ask()
    assert not study.report(bad.number, 5, 50.0)  # a fifth of the epochs is left to every trial
    assert study.report(bad.number, 30, 0.5) and not study.report(good.number, 30, -0.9)
    assert not study.report(good.number, 40, float("nan"))
    keen = Study(tmp_path, make_plan(tmp_path, RATE, pruner="none"))
    assert not keen.report(good.number, 45, 99.0)


def test_hyperband_gives_up_the_worse_of_a_bracket_early(tmp_path):
    plan = make_plan(tmp_path, RATE, pruner="hyperband", trials=60)
    study = Study(tmp_path, plan)
    given_up = []
    for number in range(60):
        row, bad = study.ask(), number % 2
        stopped = any(study.report(row.number, epoch, 0.5 * bad) for epoch in (10, 20, 30, 40, 50))
        given_up += [bad] * stopped
        study.finish(row.number, "pruned" if stopped else "done", None if stopped else 0.5 * bad)
    assert len(given_up) > 5 and sum(given_up) > 0.7 * len(given_up)


def test_choices_learn_from_what_was_good(tmp_path):
    """On a parabola over log rate, the later trials are nearer to its lowest point."""
    import math

    study = Study(tmp_path, make_plan(tmp_path, RATE, trials=40))
    away = []
    for _ in range(40):
        row = study.ask()
        away.append(abs(math.log10(row.settings["learning_rate"]) + 3))
        study.finish(row.number, "done", away[-1] ** 2)
    assert sum(away[20:]) < 0.7 * sum(away[:10]) * 2


def test_a_grid_tries_every_combination_once(tmp_path):
    search = "rank = [4, 8]\nlearning_rate = [1e-4, 1e-3, 1e-2]"
    plan = make_plan(tmp_path, search, sampler="grid")
    study = Study(tmp_path, plan)
    tried = set()
    for _ in range(plan.trials):
        row = study.ask()
        tried.add((row.settings["rank"], row.settings["learning_rate"]))
        study.finish(row.number, "done", 0.0)
    assert len(tried) == 6


def test_a_line_that_a_kill_cut_short_is_no_trouble(tmp_path):
    plan = make_plan(tmp_path, RATE)
    study = Study(tmp_path, plan)
    study.finish(study.ask().number, "done", -0.2)
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"op_code": 6, "wor')
    (tmp_path / f"{JOURNAL}.lock").touch()
    again = Study(tmp_path, plan)
    row = again.ask()
    again.finish(row.number, "done", -0.4)
    assert [row.score for row in Study(tmp_path, plan).rows()] == [-0.2, -0.4]


def test_without_optuna_and_with_a_broken_journal(tmp_path, monkeypatch):
    (tmp_path / JOURNAL).write_text('{"op_code": "x"}\n[1]\n')
    with pytest.raises(RunError, match="study.log"):
        Study(tmp_path, make_plan(tmp_path, RATE))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="optuna") as caught:
        Study(tmp_path, make_plan(tmp_path, RATE))
    assert "acestep-studio[sweep]" in caught.value.hint
