"""What a pass takes, measured by two short ones; how much there is to take.

Two passes of a few patches say how many bytes the peak has whatever the length and how many more
each patch brings; the rest is a line. Nothing of them stays: no gradient, no draw, no mode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psutil
import torch

from acestep.model.device import free_memory
from acestep.model.flow import frame_losses
from acestep.speed.levels import Level, apply_level
from acestep.speed.memory import CONTEXT, GIB, MOMENTS, usable

SHORT = (64, 256)  # patches: 5 and 20 seconds


@dataclass(frozen=True)
class Line:
    """``bytes = base + each · patches``, of all that is allocated at the peak of a step."""

    base: float
    each: float

    def peak(self, patches: int) -> float:
        """Bytes at the peak of a pass of so many patches."""
        return self.base + self.each * patches


class Meter(Protocol):
    """Reads what a device has allocated, in bytes."""

    def start(self) -> None:
        """Forget the peak so far."""

    def peak(self) -> int:
        """The most that was allocated at once since then."""


class CudaMeter:
    """Torch's own account of a card."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def start(self) -> None:
        """Forget the peak so far."""
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        """The most that was allocated at once since then."""
        return torch.cuda.max_memory_allocated(self.device)


def measure(transformer: Any, level: Level, condition: float, optimizer: str, meter: Meter) -> Line:
    """The line of a transformer with its adapter at a level of checkpointing.

    ``condition`` is how many tokens of condition there are to a patch. The optimizer's moments are
    added, since they come to be in the first step. A card that cannot even do this has an infinite
    line.
    """
    trained = [one for one in transformer.parameters() if one.requires_grad]
    device = trained[0].device
    was_training = transformer.training
    apply_level(transformer, level)
    transformer.train()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
            peaks = [_peak(transformer, patches, condition, meter) for patches in SHORT]
    except torch.OutOfMemoryError:
        return Line(float("inf"), 0)
    finally:
        for parameter in trained:
            parameter.grad = None
        transformer.train(was_training)
        apply_level(transformer, "none")
        free_memory(device)
    each = (peaks[1] - peaks[0]) / (SHORT[1] - SHORT[0])
    moments = MOMENTS[optimizer] * sum(one.numel() for one in trained)
    return Line(peaks[0] - each * SHORT[0] + moments, each)


def room(device: torch.device, limit: float | None) -> float:
    """Bytes that tensors may take, those that are there counted; ``limit`` is in GiB, of all that
    the process takes."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) + CONTEXT
    else:
        free = psutil.virtual_memory().available + psutil.Process().memory_info().rss
    return usable(free if limit is None else min(free, limit * GIB))


@contextmanager
def limited(device: torch.device, limit: float | None) -> Iterator[None]:
    """Hold this process to ``limit`` GiB of a card; elsewhere nobody can."""
    if device.type != "cuda" or limit is None:
        yield
        return
    total = torch.cuda.get_device_properties(device).total_memory
    share = min(1.0, max(0.0, limit * GIB - CONTEXT) / total)
    torch.cuda.set_per_process_memory_fraction(share, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def _peak(transformer: Any, patches: int, condition: float, meter: Meter) -> int:
    weight = transformer.proj_in_conv.weight
    frames, channels = (
        patches * transformer.patch_size,
        transformer.config.audio_acoustic_hidden_dim,
    )
    width = transformer.condition_embedder.in_features
    tokens = max(1, round(condition * patches))
    meter.start()
    data, noise = (torch.zeros(1, frames, channels, device=weight.device) for _ in range(2))
    context, told = (
        torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype)
        for shape in ((frames, transformer.config.in_channels - channels), (tokens, width))
    )
    time = torch.full((1,), 0.5, device=weight.device)
    mixed = weight.dtype != torch.float32
    with torch.autocast(weight.device.type, weight.dtype, enabled=mixed):
        loss = frame_losses(transformer, data, noise, time, told, context).mean()
    loss.backward()
    return meter.peak()
