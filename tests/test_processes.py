"""Several processes give what one gives."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.processes import join

KNOBS = ["--rank", "4", "--epochs", "3", "--device", "cpu", "--learning-rate", "1e-3"]


def acestep(*arguments, processes=1):
    prefix = [sys.executable, "-m", "acestep"]
    if processes > 1:
        prefix = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--multi_gpu",
            "--num_processes",
            str(processes),
            "--num_machines",
            "1",
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
            "--main_process_port",
            "0",
            "-m",
            "acestep",
        ]
    done = subprocess.run(
        [*prefix, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def adapter(run):
    return load_file(run / "checkpoints/epoch_3/adapter_model.safetensors")


@pytest.mark.parametrize("lengths", [(24, 30, 17, 24), (24, 30, 17)])
def test_two_processes_are_one_with_twice_the_accumulation(tmp_path, lengths):
    tensors = tiny_tensors(tmp_path / "tensors", lengths)
    two, one = tmp_path / "two", tmp_path / "one"
    listening = ["--preview", "jazz", "--preview-every", "2", "--preview-seconds", "0.4"]
    text = acestep("train", tensors, "-o", two, *KNOBS, *listening, "--json", processes=2)
    acestep("train", tensors, "-o", one, *KNOBS, "--gradient-accumulation", "2")
    ours, wanted = adapter(two), adapter(one)
    assert all(torch.allclose(ours[key], wanted[key], atol=1e-5, rtol=0) for key in wanted)
    steps = [json.loads(line)["step"] for line in text.splitlines() if '"event": "step"' in line]
    assert steps == sorted(set(steps)), "only one process may speak"
    heard = [json.loads(line)["epoch"] for line in text.splitlines() if '"event": "sample"' in line]
    assert heard == [0, 2, 3], "the main process alone makes previews"


def test_alone_everything_is_a_no_op():
    alone = join(torch.device("cpu"))
    assert alone.is_main and alone.world == 1
    tensor = torch.ones(3)
    alone.add_up([tensor])
    alone.wait()
    assert torch.equal(tensor, torch.ones(3)) and alone.collect([1, 2]) == [1, 2]
