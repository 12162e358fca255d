"""Two short passes foretell a long one, and leave no trace."""

from types import SimpleNamespace

import pytest
import torch
from live_memory import Live
from small_transformer import loss_of, transformer_with

from acestep.adapters.attach import trainable_parameters
from acestep.speed import measured
from acestep.speed.levels import LEVELS, apply_level
from acestep.speed.measured import CudaMeter, limited, measure, room
from acestep.speed.memory import GIB

CPU = torch.device("cpu")


class LiveMeter:
    """What is allocated on a CPU while ``live`` watches."""

    def __init__(self, live):
        self.live = live

    def start(self):
        self.live.peak = self.live.now

    def peak(self):
        return self.live.peak


def line_of(transformer, level):
    with Live() as live:
        return measure(transformer, level, 0.05, "adamw", LiveMeter(live))


def peak_of(transformer, level, frames):
    apply_level(transformer, level)
    parameters = list(trainable_parameters(transformer).values())
    with Live() as live:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        loss_of(transformer, frames).backward()
    transformer.zero_grad(set_to_none=True)
    return live.peak + 8 * sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize("level", LEVELS)
def test_a_longer_pass_lies_on_the_line(level):
    """1 500 patches (two clips of 1 500 frames) from 64 and 256; windows are linear, and on a CPU
    so is the memory of full attention."""
    transformer = transformer_with(dropout=0.1).train()
    line = line_of(transformer, level)
    assert line.peak(1500) == pytest.approx(peak_of(transformer, level, 1500), rel=0.08)
    assert line.each > 0 and line.base > 0


def test_measuring_leaves_no_trace():
    transformer = transformer_with(dropout=0.3)
    transformer.eval()
    before = {name: value.clone() for name, value in transformer.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for level in LEVELS:
        line_of(transformer, level)
    assert torch.equal(torch.get_rng_state(), state)
    after = transformer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not transformer.training and not transformer.gradient_checkpointing
    assert all(parameter.grad is None for parameter in transformer.parameters())
    assert not any(module.training for module in transformer.modules())


def test_a_card_that_cannot_even_do_that_has_no_line(monkeypatch):
    transformer = transformer_with(dropout=0.1)

    def full(*inputs, **more):
        raise torch.OutOfMemoryError("a test's")

    monkeypatch.setattr(torch.nn.functional, "silu", full)
    line = line_of(transformer, "none")
    assert line.peak(1) == float("inf")
    assert all(parameter.grad is None for parameter in transformer.parameters())


def test_there_is_no_more_room_than_is_allowed(monkeypatch):
    assert room(CPU, None) >= 0
    machine = SimpleNamespace(available=8 * GIB)  # not this one, where others come and go
    monkeypatch.setattr(measured.psutil, "virtual_memory", lambda: machine)
    free = room(CPU, None)
    assert 0 < room(CPU, 2) < room(CPU, 3) < 3 * GIB < free
    assert room(CPU, 1e6) == pytest.approx(free, rel=0.01) and room(CPU, 0.1) == 0
    with limited(CPU, 1):  # nobody can hold a CPU's process to it
        torch.zeros(1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_line_holds_and_the_limit_too():
    device = torch.device("cuda")
    transformer = transformer_with(torch.bfloat16, dropout=0.1).to(device).train()
    state = torch.cuda.get_rng_state(device)
    line = measure(transformer, "none", 0.05, "adamw", CudaMeter(device))
    assert torch.equal(torch.cuda.get_rng_state(device), state)
    assert line.each > 0 and line.base > 0
    with limited(device, 1.0), pytest.raises(torch.OutOfMemoryError):
        torch.empty(2 * GIB, dtype=torch.uint8, device=device)
    assert torch.empty(2 * GIB, dtype=torch.uint8, device=device).numel() == 2 * GIB
