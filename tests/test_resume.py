"""Killing a run at any moment and resuming gives the numbers of one that never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.events import Evaluation, Step
from acestep.training.run import RunFolder

KNOBS = [
    "--rank",
    "4",
    "--epochs",
    "30",
    "--save-every",
    "1",
    "--device",
    "cpu",
    "--dropout",
    "0.2",
    "--learning-rate",
    "1e-3",
    "--validate-every",
    "3",
]


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("data") / "tensors", lengths=(24, 30, 17, 24, 40))


def start(tensors, output, *more):
    command = [
        sys.executable,
        "-m",
        "acestep",
        "train",
        str(tensors),
        "-o",
        str(output),
        *KNOBS,
        *more,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def finish(process):
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def result(run):
    log = [event for event in RunFolder(run).read_events() if isinstance(event, Step | Evaluation)]
    return load_file(run / "checkpoints/epoch_30/adapter_model.safetensors"), log


def assert_same(run, whole):
    weights, log = result(run)
    wanted, wanted_log = result(whole)
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[key], wanted[key]) for key in weights)
    assert log == wanted_log


@pytest.fixture(scope="module")
def whole(tensors, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "run"
    code, text = finish(start(tensors, output))
    assert code == 0, text
    return output


def wait_for(condition, process, seconds=120):
    limit = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.001)


def log_lines(run):
    file = run / "events.jsonl"
    return file.read_text(errors="replace").count('"step"') if file.exists() else 0


def test_killed_at_random_moments(tensors, whole, tmp_path):
    run = tmp_path / "run"
    chance = random.Random(7)
    process = start(tensors, run)
    kills = 0
    for _ in range(4):
        goal = log_lines(run) + chance.randint(5, 45)
        wait_for(lambda goal=goal: log_lines(run) >= goal, process)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        finish(process)
        process = start(tensors, run, "--resume")
    code, text = finish(process)
    assert code == 0, text
    assert kills >= 2
    assert_same(run, whole)


def test_killed_during_a_save(tensors, whole, tmp_path):
    run = tmp_path / "run"
    checkpoints = run / "checkpoints"
    process = start(tensors, run)
    caught = 0
    for _ in range(3):
        wait_for(lambda: checkpoints.exists() and any(checkpoints.glob(".tmp-*")), process)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        finish(process)
        caught += bool(list(checkpoints.glob(".tmp-*")))
        process = start(tensors, run, "--resume")
        # Let it get past the clean-up, so that the next kill meets a save of its own.
        before = log_lines(run)
        wait_for(lambda before=before: log_lines(run) > before + 3, process)
    code, text = finish(process)
    assert code == 0, text
    assert caught >= 1, "no kill fell into a save"
    assert not list(checkpoints.glob(".tmp-*"))
    assert_same(run, whole)


def test_killed_before_the_first_checkpoint_starts_again_and_says_so(tensors, whole, tmp_path):
    run = tmp_path / "run"
    process = start(tensors, run, "--save-every", "30")
    wait_for(lambda: log_lines(run) >= 4, process)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert not (run / "checkpoints").exists() or not list((run / "checkpoints").glob("epoch_*"))
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0 and "starting at the beginning" in text
    assert_same(run, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(tensors, whole, tmp_path, number):
    run = tmp_path / "run"
    process = start(tensors, run)
    wait_for(lambda: log_lines(run) >= 20, process)
    process.send_signal(number)
    code, text = finish(process)
    assert code == 130 and "--resume" in text
    steps = [event.step for event in RunFolder(run).read_events() if isinstance(event, Step)]
    saved = sorted((run / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
    state = torch.load(saved / "training_state.pt", weights_only=True)
    assert state["progress"]["step"] == steps[-1]
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0, text
    assert_same(run, whole)
    assert Path(run / "loss.png").exists()
