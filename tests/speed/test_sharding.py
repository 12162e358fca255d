"""A base split over processes: the same gradients, half the weights in each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_data import tiny_tensors

from acestep.speed.levels import LEVELS
from acestep.speed.sharding import bytes_here, inside, is_sharded

RANK_WORK = Path(__file__).parents[1] / "rank_work.py"
LENGTHS = (24, 30, 17, 24, 51, 16, 40)  # seven clips in steps of four: the last has one fewer


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found, and where."""
    folder = tmp_path_factory.mktemp("sharding")
    tensors = tiny_tensors(folder / "tensors", LENGTHS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, "--standalone", str(RANK_WORK), "shard", str(tensors), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "shard_0.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("level", ["none", "full", "products"])
def test_gradients_are_those_of_a_whole_base(found, level):
    folder, _ = found
    whole, split, other = (
        torch.load(folder / f"{level}_{name}.pt", weights_only=True)
        for name in ("whole_0", "split_0", "split_1")
    )
    assert len(whole) == 2
    for wanted, ours, theirs in zip(whole, split, other, strict=True):
        assert torch.equal(ours, theirs)
        assert wanted.abs().max() > 1e-3
        assert (ours - wanted).abs().max() < 1e-6 * wanted.abs().max()


def test_each_process_holds_half_of_the_blocks(found):
    """And after a step no more: what was gathered is forgotten."""
    _, facts = found
    for level in ("none", "full", "products"):
        here, whole, trained = facts[f"{level}_whole_bytes"]
        assert here == whole
        here, whole, trained = facts[f"{level}_split_bytes"]
        blocks = facts["block_bytes"]
        outside = whole - trained - blocks
        assert here == pytest.approx(blocks / 2 + outside + trained, rel=0.01)
        assert facts[f"{level}_split_bytes_after"] == here


def test_all_make_as_many_passes(found):
    """Seven clips: in the last step one process has fewer, and a whole base does not mind."""
    _, facts = found
    for passes in facts["none_split_passes"]:
        assert sum(passes) in (3, 4)
    assert [2, 1] in facts["none_split_passes"]


def test_a_whole_module_is_not_split():
    linear = torch.nn.Linear(3, 2)
    assert not is_sharded(linear)
    assert bytes_here(linear) == 4 * (3 * 2 + 2)
    assert {"none", "full", "products"} < set(LEVELS)
    given = torch.ones(1, 3)
    doubled = inside(linear, lambda forward, *inputs: 2 * forward(*inputs), given)
    assert torch.equal(doubled, 2 * linear(given))
