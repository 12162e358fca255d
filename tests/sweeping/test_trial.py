"""A trial's command line, what it reached, why it failed; real processes are in test_sweep.py."""

import json
import queue
import subprocess
import sys
from pathlib import Path

import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.data.files import alone_in
from acestep.errors import RunError
from acestep.events import Evaluation, Failed, Notice, to_json
from acestep.flags import parse
from acestep.sweeping import trial
from acestep.sweeping.trial import (
    Attempt,
    best_reached,
    flags_of,
    settings_of,
    start,
    stderr_of,
    train_command,
    visible_gpus,
)
from acestep.train import train


def test_settings_become_flags_that_mean_them(tmp_path):
    settings = {
        "rank": 8, "learning_rate": 3e-4, "targets": "-odd 'name'", "auto": True,
        "accept_foreign": False, "optimizer": "prodigy", "condition_dropout": 0.5,
    }  # fmt: skip
    name, *words = train_command(Path("my tensors"), tmp_path / "run", settings)
    config = parse(name, words).config
    assert {key: vars(config)[key] for key in settings} == settings
    assert not config.resume and flags_of({}) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    assert train_command(Path("t"), tmp_path / "run", {})[-1] == "--resume"


def test_what_a_run_reached_is_its_best_checkpoint(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors")
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", epochs=6, rank=2, device="cpu",
                         learning_rate=1e-2, validate_every=1, save_every=3)  # fmt: skip
    list(train(config))
    log = tmp_path / "run" / "events.jsonl"
    with log.open("a") as file:  # better, but its checkpoint was not kept
        file.write(to_json(Evaluation(4, 4, 1e-6, 1.0)) + "\n")
    reached = best_reached(tmp_path / "run")
    assert reached.epoch in (3, 6)
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    losses = {e["epoch"]: e for e in map(json.loads, lines) if e["event"] == "evaluation"}
    assert reached.loss == min(losses[3]["loss"], losses[6]["loss"])
    assert reached.score == (reached.loss - losses[3]["base_loss"]) / losses[3]["base_loss"]
    assert best_reached(tmp_path / "none") is None
    found = settings_of(tmp_path / "run")
    assert found.items() >= {"epochs": 6, "rank": 2, "learning_rate": 1e-2}.items()
    assert "tensors" not in found and "dropout" not in found and "resume" not in found


def fake(code):
    """A process of ours that runs some Python instead of a verb."""
    return [sys.executable, "-c", code]


def wait(code, tmp_path, monkeypatch):
    """Start a trial whose process runs ``code``; what it said, and the attempt once it ended."""
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **kw: real(fake(code), **kw))
    lines = queue.Queue()
    attempt = start(3, tmp_path / "trials" / "0003", ["train"], "1", lines)
    said = []
    while (line := lines.get(timeout=180))[1] is not None:
        said.append(line)
    return said, attempt


def test_events_come_in_order_and_other_prints_are_passed_over(tmp_path, monkeypatch):
    event = to_json(Notice("hm"))
    code = (
        f"import os; print('chatter'); print({event!r}); print(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    said, attempt = wait(code, tmp_path, monkeypatch)
    assert said == [(3, Notice("hm"))] and attempt.process.returncode == 0
    assert attempt.device == "1" and attempt.phase == "train"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("raise SystemExit('no luck')", "ended with 1: no luck"),
        ("import sys; sys.exit(7)", "ended with 7"),
    ],
)
def test_a_failure_has_a_reason(tmp_path, monkeypatch, code, words):
    _, attempt = wait(code, tmp_path, monkeypatch)
    assert words in attempt.reason()
    attempt.failure = Failed("RunError", "out of memory").message
    assert attempt.reason() == "out of memory"
    assert stderr_of(attempt.folder).name == "0003.stderr.txt"


def test_one_that_does_not_listen_is_ended_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "PATIENCE", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    process = subprocess.Popen(fake(code))
    Attempt(0, tmp_path / "none", process, "evaluate").end()
    assert process.returncode is not None


def test_a_folder_where_another_process_trains_is_waited_for_and_then_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "PATIENCE", 0.3)
    (tmp_path / "run").mkdir()
    with alone_in(tmp_path / "run"), pytest.raises(RunError, match="another process"):
        start(0, tmp_path / "run", ["train"], None, queue.Queue())


def test_gpus_are_those_that_may_be_used(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-abc")
    assert visible_gpus() == ["3", "GPU-abc"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert visible_gpus() == []
