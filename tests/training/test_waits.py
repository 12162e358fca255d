"""A step waits for the device nowhere: what would make it wait is counted."""

from contextlib import ExitStack

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.training import step
from acestep.training.draws import draw_sample
from acestep.training.session import open_session
from acestep.training.step import optimizer_step

# Operations that give the program a number, or a size, which only the device knows
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2"}


class Waits(TorchDispatchMode):
    """Counts the operations at which a program with a GPU would wait for it."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        indices = args[1] if name == "index" else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        if name in WAITING or by_mask:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def drawn_on_the_cpu(*given):
    """Draws are made there whatever the device, so what they ask keeps nobody waiting."""
    with _disable_current_modes():
        draw = draw_sample(*given)
    assert draw.noise.device.type == draw.time.device.type == "cpu"
    return draw


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("tensors") / "tensors")


def session_of(tensors, output, **knobs):
    knobs = {"epochs": 2, "rank": 4, "gradient_accumulation": 2, "device": "cpu"} | knobs
    return open_session(TrainConfig(tensors=tensors, output=output, **knobs), ExitStack())[0]


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"dropout": 0.0, "precision": "bfloat16", "gradient_checkpointing": "full"},
        {"patches_at_once": 400, "adapter": "dora", "teach_guidance": 2.0},
    ],
)
def test_a_step_asks_nothing_of_the_device(tensors, tmp_path, monkeypatch, knobs):
    monkeypatch.setattr(step, "draw_sample", drawn_on_the_cpu)
    session = session_of(tensors, tmp_path / "run", **knobs)
    optimizer_step(session, 0, 1e-3)  # states are made in the first
    with Waits() as waits:
        loss, norm = optimizer_step(session, 1, 1e-3)
    assert waits.found == []
    with Waits() as waits:
        float(loss), float(norm)
    assert len(waits.found) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "knobs", [{}, {"patches_at_once": 400}, {"gradient_checkpointing": "full"}]
)
def test_on_a_gpu_no_step_waits(tensors, tmp_path, knobs):
    session = session_of(tensors, tmp_path / "run", **knobs, device="cuda", precision="bfloat16")
    optimizer_step(session, 0, 1e-3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss, norm = optimizer_step(session, 1, 1e-3)  # raises where it would wait
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert loss.isfinite() and norm > 0
