"""Killing a run at any moment and resuming gives the numbers of one that never stopped."""

import os
import random
import signal
import subprocess
import sys
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


def start(tensors, output, *more, first=""):
    """A run in a process of its own, which does ``first`` before anything else."""
    code = first + "\nimport sys; from acestep.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["train", str(tensors), "-o", str(output), *KNOBS, *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def after_steps(count, act):
    """Have a run do ``act`` to itself when that many steps are in its log.

    From outside that would come too late where the machine has too much to do.
    """
    return f"""
import os, signal
from acestep.events import Step
from acestep.training.run import RunFolder
append, left = RunFolder.append, {count}
def watched(folder, batch):
    global left
    append(folder, batch)
    left -= sum(isinstance(event, Step) for event in batch)
    if left <= 0:
        RunFolder.append = append
        {act}
RunFolder.append = watched
"""


def in_save(number, place):
    """Have a run be killed in a save, where the function ``place`` is called."""
    return f"""
import os, signal
from acestep.training import checkpoint
real, left = checkpoint.{place}, {number}
def deadly(*given, **more):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **more)
checkpoint.{place} = deadly
"""


def finish(process):
    output, _ = process.communicate(timeout=600)
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


def test_killed_at_random_moments(tensors, whole, tmp_path):
    run = tmp_path / "run"
    chance = random.Random(7)
    for _ in range(4):
        # A clock of the process's own time ends it, wherever it is by then
        clock = f"signal.setitimer(signal.ITIMER_PROF, {chance.uniform(0.001, 0.06)})"
        first = after_steps(chance.randint(5, 25), clock)
        code, text = finish(start(tensors, run, *["--resume"] * run.exists(), first=first))
        assert code == -signal.SIGPROF, text
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0, text
    assert_same(run, whole)


def test_killed_during_a_save(tensors, whole, tmp_path):
    run = tmp_path / "run"
    checkpoints = run / "checkpoints"
    for number, place in ((3, "save_adapter"), (2, "save_torch"), (4, "write_json")):
        first = in_save(number, place)
        code, text = finish(start(tensors, run, *["--resume"] * run.exists(), first=first))
        assert code == -signal.SIGKILL, text
        assert len(list(checkpoints.glob(".tmp-*"))) == 1
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0, text
    assert not list(checkpoints.glob(".tmp-*"))
    assert_same(run, whole)


def test_killed_before_the_first_checkpoint_starts_again_and_says_so(tensors, whole, tmp_path):
    run = tmp_path / "run"
    first = after_steps(4, "os.kill(os.getpid(), signal.SIGKILL)")
    code, text = finish(start(tensors, run, "--save-every", "30", first=first))
    assert code == -signal.SIGKILL, text
    assert not (run / "checkpoints").exists() or not list((run / "checkpoints").glob("epoch_*"))
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0 and "starting at the beginning" in text
    assert_same(run, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(tensors, whole, tmp_path, number):
    run = tmp_path / "run"
    first = after_steps(22, f"os.kill(os.getpid(), {int(number)})")
    code, text = finish(start(tensors, run, first=first))
    assert code == 130 and "--resume" in text
    steps = [event.step for event in RunFolder(run).read_events() if isinstance(event, Step)]
    saved = [
        torch.load(path / "training_state.pt", weights_only=True)["progress"]["step"]
        for path in (run / "checkpoints").iterdir()
    ]
    assert max(saved) == steps[-1]
    code, text = finish(start(tensors, run, "--resume"))
    assert code == 0, text
    assert_same(run, whole)
    assert Path(run / "loss.png").exists()
