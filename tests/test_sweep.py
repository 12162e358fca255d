"""Sweeps of real runs of the tiny model, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.config import SweepConfig, TrainConfig
from acestep.errors import ConfigError, RunError, TensorError
from acestep.events import Finished, Notice, Progress, Started, Stopped, Text
from acestep.flags import parse
from acestep.sweep import sweep
from acestep.sweeping import trial
from acestep.sweeping.plan import read_plan
from acestep.sweeping.study import Study
from acestep.train import train

FIXED = {"rank": 2, "dropout": 0.0, "device": "cpu", "validate_every": 2, "save_every": 2}


# A trial that takes its time at an epoch, so that what happens to it there does not come too late
TRIAL = """
import select, sys, time
from acestep.cli import main
from acestep.events import Evaluation
from acestep.train import train

def unheard(config):
    pipe = select.poll()
    pipe.register(1, 0)
    pipe.poll()

def stopped(config):
    until = time.monotonic() + 120
    while not (config.output / "STOP").exists() and time.monotonic() < until:
        time.sleep(0.01)

def slowly(config):
    for event in train(config):
        yield event
        if isinstance(event, Evaluation) and event.epoch == EPOCH:
            WAIT(config)

sys.exit(main(sys.argv[1:], verbs={"train": slowly}))
"""
SWEEP = """
import sys
from acestep.cli import main
from acestep.sweeping import trial
from test_sweep import waiting
trial.subprocess = waiting(2, "unheard")
sys.exit(main(sys.argv[1:]))
"""


def waiting(epoch, what):
    """The module subprocess, for trials that wait at an epoch until they are stopped or unheard."""
    code = TRIAL.replace("EPOCH", str(epoch)).replace("WAIT", what)

    def popen(words, **rest):
        return subprocess.Popen([words[0], "-c", code, *words[3:]], **rest)

    return SimpleNamespace(**{**vars(subprocess), "Popen": popen})


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("data") / "tensors", lengths=(24, 30, 17))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Here as in the processes of trials: with more, sums are added up in another order."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write(folder, tensors, search, **fixed):
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**FIXED, **fixed}.items()]
    text = [f'tensors = "{tensors}"', "[train]", *lines, "[search]", search]
    (folder / "s.toml").write_text("\n".join(text))
    return SweepConfig(sweep=folder / "s.toml", sampler="grid")


def adapter(run, epoch):
    return load_file(run / "checkpoints" / f"epoch_{epoch}" / "adapter_model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


def test_the_best_is_found_and_a_run_that_diverges_is_only_a_failure(tensors, tmp_path):
    config = write(tmp_path, tensors, "learning_rate = [1e-2, 1e36]", epochs=4, max_grad_norm=1e9)
    *events, last = sweep(config.model_copy(update={"parallel": 2}))
    assert isinstance(last, Finished) and (last.facts["done"], last.facts["failed"]) == (1, 1)
    result = json.loads((tmp_path / "s" / "sweep.json").read_text())
    good, bad = result["trials"]
    assert good["state"] == "done" and -1 < good["score"] < 0 and good["epoch"] in (2, 4)
    assert good["held_out"].keys() == {"2", "4"}
    assert good["score"] == pytest.approx(min(good["held_out"].values()))
    assert bad["state"] == "failed" and "diverged" in bad["reason"]
    assert "diverged" in (tmp_path / "s" / "sweep.md").read_text()
    assert (tmp_path / "s" / "sweep.csv").read_text().count("\n") == 3
    # The best command line trains the same adapter, to the bit
    line = result["best"]["command"]
    assert any(isinstance(event, Text) and line in event.text for event in events)
    words = line.replace("runs/s", str(tmp_path / "again")).split()[2:]
    list(train(parse("train", words).config))
    assert same(adapter(tmp_path / "again", 4), adapter(tmp_path / "s" / "trials" / "0000", 4))
    # Nothing is left to do, and other settings want another folder
    (finished,) = (e for e in sweep(config) if isinstance(e, Finished))
    assert finished.facts["done"] == 1
    with pytest.raises(RunError, match="other knobs"):
        list(sweep(write(tmp_path, tensors, "learning_rate = [1e-2, 1e36]", epochs=5)))


def test_the_hopeless_are_given_up_and_a_killed_one_is_a_failure(tensors, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "subprocess", waiting(8, "stopped"))
    search = "learning_rate = [1.0, 2.0, 3.0, 4.0, 1e-9, 1e-8]"
    config = write(tmp_path, tensors, search, epochs=40, validate_every=1)
    plan = read_plan(config)
    plan.output.mkdir()
    study = Study(plan.output, plan)
    for _ in range(4):  # four that went well, so that there is something to compare with
        row = study.ask()
        for epoch in range(8, 30):
            study.report(row.number, epoch, -0.9)
        study.finish(row.number, "done", -0.9)
    killed = False
    states = {}
    for event in sweep(config.model_copy(update={"trials": 6})):
        if isinstance(event, Progress) and "trial 5, epoch" in event.what and not killed:
            killed = True
            (child,) = _trainers(tmp_path / "s" / "trials" / "0005")
            os.kill(child.pid, signal.SIGKILL)
        if isinstance(event, Notice) and event.message.startswith("trial"):
            states[event.message.split(":")[0]] = event.message
    assert "worse than others" in states["trial 4 pruned"]
    assert "killed by signal 9" in states["trial 5 failed"]
    assert not (tmp_path / "s" / "trials" / "0004" / "STOP").exists()
    row = Study(plan.output, plan).rows()[4]
    assert 8 <= max(row.reports) < 40  # a fifth of the epochs is everybody's


def test_a_sweep_that_was_killed_goes_on_where_it_was(tensors, tmp_path):
    config = write(tmp_path, tensors, "learning_rate = [1e-3]", epochs=8, save_every=1)
    command = [sys.executable, "-c", SWEEP, "sweep", str(config.sweep), "--sampler", "grid"]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [*command, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    ) as process:
        for line in process.stdout:
            if "epoch 2" in line:
                break
        process.kill()
    run = tmp_path / "s" / "trials" / "0000"
    (row,) = Study(tmp_path / "s", read_plan(config)).rows()
    assert row.state == "running" and row.reports
    *_, last = sweep(config)
    assert last.facts["done"] == 1
    until = time.monotonic() + 60
    while _trainers(run) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _trainers(run)
    notes = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert any("going on from" in note.get("message", "") for note in notes)
    once = TrainConfig(tensors=tensors, output=tmp_path / "once", learning_rate=1e-3, epochs=8,
                       **FIXED)  # fmt: skip
    list(train(once))
    assert same(adapter(run, 8), adapter(tmp_path / "once", 8))


def test_trials_may_be_judged_by_what_is_heard(tensors, tmp_path, monkeypatch):
    """The report is made up here: ``acestep evaluate`` has tests of its own."""
    config = write(tmp_path, tensors, "shift = [1.0, 3.0]", epochs=2)
    config = config.model_copy(update={"judge": "evaluate"})
    real, asked = subprocess.Popen, []

    def popen(words, **rest):
        asked.append(words[3:])
        code = "pass"
        if words[3] == "evaluate":
            run = Path(words[4])
            candidate = {"checkpoint": "epoch_2", "strength": 1.0, "out": None}
            candidate["style_left"] = 0.6 - 0.2 * int(run.name)
            choice = {**candidate, "candidates": [candidate]}
            (run / "evaluation").mkdir()
            (run / "evaluation" / "report.json").write_text(json.dumps({"choice": choice}))
        else:
            run = parse("train", words[4:-1]).config
            list(train(run))
        return real([sys.executable, "-c", code], **rest)

    monkeypatch.setattr(subprocess, "Popen", popen)
    *_, last = sweep(config)
    assert last.facts["best"]["score"] == pytest.approx(0.4)
    assert last.facts["best"]["checkpoint"] == "epoch_2"
    assert "--shift 3.0" in last.facts["best"]["command"] or last.facts["best"]["trial"] == 1
    runs = [str(tmp_path / "s" / "trials" / f"{number:04}") for number in (0, 1)]
    assert [words for words in asked if words[0] == "evaluate"] == [
        ["evaluate", run, "--quick", "--json"] for run in runs
    ]


def test_a_stop_can_be_gone_on_from_and_an_old_one_does_not_count(tensors, tmp_path):
    config = write(tmp_path, tensors, "learning_rate = [1e-3]")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.log").touch()
    (tmp_path / "s" / "STOP").touch()
    events = sweep(config.model_copy(update={"trials": 3}))
    assert isinstance(next(events), Started) and not (tmp_path / "s" / "STOP").exists()
    (tmp_path / "s" / "STOP").touch()
    *_, last = events
    assert isinstance(last, Stopped) and not (tmp_path / "s" / "STOP").exists()
    assert "--trials=3" in last.resume and "--tensors" not in last.resume
    assert isinstance(parse("sweep", last.resume.split()[2:]).config, SweepConfig)


def test_what_cannot_be_searched_is_said_before_anything_is_made(tensors, tmp_path):
    config = write(tmp_path, tmp_path / "none", "learning_rate = [1e-3]")
    with pytest.raises(TensorError):
        list(sweep(config))
    config = write(tmp_path, tensors, "lerning_rate = [1e-3]")
    with pytest.raises(ConfigError, match="did you mean learning_rate"):
        list(sweep(config))
    assert not (tmp_path / "s").exists()
    config = write(tmp_path, tensors, "learning_rate = [1e-3]")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "mine.txt").touch()
    with pytest.raises(RunError, match="something else"):
        list(sweep(config))
    with pytest.raises(ConfigError, match="is a file"):
        list(sweep(config.model_copy(update={"output": tmp_path / "s.toml"})))


def _trainers(run):
    """The processes that train into a run folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "train" in words and str(run) in words:
            found.append(process)
    return found
