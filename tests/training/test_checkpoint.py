"""Checkpoints are whole or not there, and restore to the bit."""

import shutil
from contextlib import ExitStack

import pytest
import torch
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import AdapterError, RunError
from acestep.training.checkpoint import (
    Progress,
    checkpoint_name,
    complete_checkpoints,
    restore_checkpoint,
    save_checkpoint,
    set_aside_broken,
)
from acestep.training.session import open_session
from acestep.training.step import optimizer_step


@pytest.fixture
def session(tmp_path):
    return make_session(tmp_path, "run")


def make_session(tmp_path, name, **knobs):
    tensors = tmp_path / "tensors"
    if not tensors.exists():
        tiny_tensors(tensors)
    config = TrainConfig(
        tensors=tensors, output=tmp_path / name, device="cpu", **({"rank": 4} | knobs)
    )
    return open_session(config, ExitStack())[0]


def save(session, folder, step=2):
    for number in range(step):
        optimizer_step(session, number, 1e-3)
    progress = Progress(step, 1, 0.5, 1, 3)
    save_checkpoint(
        folder, session.transformer, session.optimizer, progress, session.card(progress)
    )
    return progress


def test_names():
    assert (
        checkpoint_name(800, 4) == "epoch_200" and checkpoint_name(803, 4) == "epoch_200_step_803"
    )


def test_restoring_goes_on_to_the_bit(session, tmp_path):
    folder = tmp_path / "checkpoints" / "epoch_1"
    progress = save(session, folder)
    twin = make_session(tmp_path, "twin")
    assert restore_checkpoint(folder, twin.transformer, twin.optimizer) == progress
    losses = [[optimizer_step(s, n, 1e-3)[0].item() for n in (2, 3)] for s in (session, twin)]
    assert losses[0] == losses[1]
    pairs = zip(session.parameters.values(), twin.parameters.values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_only_complete_ones_count_and_the_rest_is_cleared_away(session, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    save(session, checkpoints / "epoch_1")
    shutil.copytree(checkpoints / "epoch_1", checkpoints / "epoch_2")
    (checkpoints / "epoch_2" / "training_state.pt").write_bytes(b"cut")
    shutil.copytree(checkpoints / "epoch_1", checkpoints / "epoch_3")
    (checkpoints / "epoch_3" / "checkpoint.json").unlink()
    (checkpoints / ".tmp-halfdone").mkdir()
    (checkpoints / "mine").mkdir()
    (checkpoints / "epoch_2 (copy)").mkdir()
    assert [path.name for _, path in complete_checkpoints(checkpoints)] == ["epoch_1"]
    moved = set_aside_broken(checkpoints)
    assert len(moved) == 2 and all(path.name.startswith("broken_epoch_") for path in moved)
    left = {path.name for path in checkpoints.iterdir()}
    assert {"epoch_1", "mine", "epoch_2 (copy)"} <= left and ".tmp-halfdone" not in left


def test_a_crash_while_writing_leaves_no_checkpoint(session, tmp_path, monkeypatch):
    import acestep.training.checkpoint as module

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        save(session, tmp_path / "checkpoints" / "epoch_1")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_other_shapes_and_states_are_refused(session, tmp_path):
    folder = tmp_path / "checkpoints" / "epoch_1"
    save(session, folder)
    other = make_session(tmp_path, "other", rank=8)
    with pytest.raises(AdapterError):
        restore_checkpoint(folder, other.transformer, other.optimizer)
    torch.save({"optimizer": {}, "progress": {}}, folder / "training_state.pt")
    with pytest.raises(RunError, match="does not fit"):
        restore_checkpoint(folder, session.transformer, session.optimizer)


def test_an_existing_checkpoint_is_kept(session, tmp_path):
    folder = tmp_path / "checkpoints" / "epoch_1"
    save(session, folder)
    before = (folder / "adapter_model.safetensors").read_bytes()
    save(session, folder)
    assert (folder / "adapter_model.safetensors").read_bytes() == before
