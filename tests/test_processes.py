"""Several processes give what one gives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.config import ExportConfig, TrainConfig
from acestep.errors import ConfigError
from acestep.events import Finished
from acestep.export import export
from acestep.processes import join, share_out
from acestep.train import train

RANK_WORK = Path(__file__).with_name("rank_work.py")
KNOBS = ["--rank", "4", "--epochs", "3", "--device", "cpu", "--learning-rate", "1e-3"]


def acestep(*arguments, processes=1):
    prefix = [sys.executable, "-m", "acestep"]
    if processes > 1:
        prefix = launched(processes, "-m", "acestep")
    return heard([*prefix, *map(str, arguments)])


def launched(processes, *what):
    """The command line that starts several processes on this machine."""
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    launcher += ["--num_processes", str(processes), "--main_process_port", "0"]
    return [sys.executable, *launcher, "--mixed_precision", "no", "--dynamo_backend", "no", *what]


def heard(command):
    done = subprocess.run(
        command,
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


def test_a_step_is_one_message_however_many_clips_it_has(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", (24, 30, 17, 24, 51, 16, 40))
    heard(launched(2, str(RANK_WORK), "wire", str(tensors), str(tmp_path)))
    for rank in range(2):
        found = json.loads((tmp_path / f"wire_{rank}.json").read_text(encoding="utf-8"))
        assert found["counts"] == [[[], ["gloo:all_reduce"]]] * 2


def test_a_split_base_is_trained_as_a_whole_one(tmp_path):
    """A run with a base split over two processes: killed, gone on with whole, and exported."""
    tensors = tiny_tensors(tmp_path / "tensors", (24, 30, 17, 24, 51))
    split, whole = tmp_path / "split", tmp_path / "whole"
    knobs = [*KNOBS, "--dropout", "0", "--save-every", "1", "--validation", "0.2"]
    text = acestep("train", tensors, "-o", split, *knobs, "--shard-base", processes=2)
    assert "the base is split: 343 kB of weights in this process" in text  # of 504 kB
    settled = {"rank": 4, "epochs": 3, "device": "cpu", "learning_rate": 1e-3, "dropout": 0}
    settled |= {"save_every": 1, "validation": 0.2, "gradient_accumulation": 2}
    done(train(TrainConfig(tensors=tensors, output=whole, **settled)))
    ours, wanted = adapter(split), adapter(whole)
    assert all(torch.allclose(ours[key], wanted[key], atol=1e-5, rtol=0) for key in wanted)

    for epoch in (2, 3):
        shutil.rmtree(split / f"checkpoints/epoch_{epoch}")
    again = {"resume": True, "shard_base": False, "gradient_accumulation": 2}
    done(train(TrainConfig(tensors=tensors, output=split, **again)))
    ours = adapter(split)
    assert all(torch.allclose(ours[key], wanted[key], atol=1e-5, rtol=0) for key in wanted)
    done(export(ExportConfig(run=split, output=tmp_path / "lora")))
    assert (tmp_path / "lora/adapter_model.safetensors").is_file()


def done(events):
    """The last of what a verb says."""
    *_, last = events
    assert isinstance(last, Finished)
    return last


def test_a_base_is_not_split_over_one(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", (24, 30))
    with pytest.raises(ConfigError, match="--shard-base: there is only one process"):
        list(train(TrainConfig(tensors=tensors, output=tmp_path / "run", shard_base=True)))
    assert not (tmp_path / "run").exists()
    for beside in ({"base_precision": "int8"}, {"preview_every": 3}):
        with pytest.raises(ConfigError, match="--shard-base"):
            TrainConfig(tensors=tensors, shard_base=True, **beside)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("in_rows", [False, True])
def test_a_step_is_shared_out_evenly(world, in_rows):
    generator = torch.Generator().manual_seed(world)
    for count in (0, 1, 2, 7, 8, 64):
        lengths = torch.randint(100, 3000, (count,), generator=generator).tolist()
        shares = share_out(lengths, world, in_rows=in_rows)
        assert sorted(place for share in shares for place in share) == list(range(count))
        loads = [sum(lengths[place] for place in share) for share in shares]
        if in_rows or world == 1:
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
        else:  # Graham's bound for the longest first
            bound = max([sum(lengths) / world, *lengths])
            assert max(loads) <= bound * (4 / 3) + 1
    assert share_out([5, 5, 5, 5, 5], 1) == [[0, 1, 2, 3, 4]]
    if world == 2:
        assert share_out([10, 1, 9, 2], 2, in_rows=in_rows) in ([[0, 1], [2, 3]], [[0, 3], [2, 1]])


def test_alone_everything_is_a_no_op():
    alone = join(torch.device("cpu"))
    assert alone.is_main and alone.world == 1
    tensor = torch.ones(3)
    alone.add_up([tensor])
    alone.wait()
    assert torch.equal(tensor, torch.ones(3)) and alone.collect([1, 2]) == [1, 2]
