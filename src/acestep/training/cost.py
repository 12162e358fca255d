"""What a run will cost, predicted: memory part by part, and time.

Both are models, not measurements, and say so. The memory of activations is the one constant that
:mod:`acestep.training.memory` decides by. What a step costs is counted: of a LoRA step's products
two thirds of those of full training are needed (forward, and the gradient of what comes in), so
``4 × parameters × tokens`` and a little for attention and the adapter.
"""

from dataclasses import dataclass

import torch

from acestep.model.shape import REFERENCE, Shape
from acestep.training.machine import GIB, Machine
from acestep.training.memory import activation_bytes

OPTIMIZED = 16  # bytes a trained parameter: itself, its gradient, two moments, each float32
CONTEXT = 0.6 * GIB  # what CUDA itself takes
SLACK = 1.08  # of the allocator
SONG_SECONDS = 225.0  # of the guide's songs, for which paces hold
FRAMES_PER_SECOND = 25
STEP_FLOPS = 4.2  # × parameters × tokens
CPU_SPEED = 20e9  # FLOPS that a transformer reaches on a desktop's CPU; a rough guess
ISSUE = 2.4e-3  # seconds a block: what a GPU waits for the program where its own work is small
RECOMPUTE = 4 / 3  # a second forward pass: checkpointing, and another where guidance is taught


@dataclass(frozen=True)
class Memory:
    """Predicted bytes of one training step; ``limit`` is what the device has."""

    base: float
    adapter: float
    activations: float
    total: float
    checkpointed: bool
    limit: float

    @property
    def fits(self) -> bool:
        """Whether the device has as much."""
        return self.total <= self.limit

    @property
    def sentence(self) -> str:
        """The prediction in words."""
        parts = ", ".join(
            f"{name} {value / GIB:.2f}"
            for name, value in (
                ("base", self.base),
                ("adapter with gradients and AdamW", self.adapter),
                ("activations", self.activations),
            )
        )
        how = "recomputed activations" if self.checkpointed else "all activations kept"
        verdict = "fits into" if self.fits else "does not fit into"
        return (
            f"predicted: {self.total / GIB:.1f} GiB ({parts}; {how}), "
            f"which {verdict} {self.limit / GIB:.1f} GiB"
        )


@dataclass(frozen=True)
class Time:
    """How long training takes, in seconds, and ``how`` that is known."""

    seconds: float
    how: str

    @property
    def sentence(self) -> str:
        """The time in words."""
        return f"{self.how}: {duration(self.seconds)}"


def predict_memory(
    shape: Shape, machine: Machine, rank: int, targets: str, seconds: float, *, checkpointed: bool
) -> Memory:
    """Memory of one step on a clip of ``seconds``. Samples go through one by one, so neither the
    batch nor the accumulation matters."""
    small = machine.kind == "cuda"
    weights = 2 if small else 4
    tokens = round(seconds * FRAMES_PER_SECOND / shape.patch)
    dtype = torch.bfloat16 if small else torch.float32
    kept = activation_bytes(shape.layers, shape.width, shape.heads, tokens, dtype)
    if checkpointed:  # the input of every block, and one block as a whole
        kept = kept / shape.layers + shape.layers * tokens * shape.width * weights
    base = weights * shape.parameters
    adapter = OPTIMIZED * shape.adapter_parameters(rank, targets)
    total = (base + adapter + kept + (CONTEXT if small else 0.0)) * SLACK
    return Memory(base, adapter, kept, total, checkpointed, machine.memory)


def predict_time(
    shape: Shape, machine: Machine, seconds: float, passes: int, *, extra_passes: int = 0
) -> Time:
    """Time of ``passes`` of clips of ``seconds`` (their mean) through the model.

    ``extra_passes`` are forward passes beside the usual ones: checkpointing, taught guidance.
    """
    factor = 1 + extra_passes * (RECOMPUTE - 1)
    if machine.pace is None:
        tokens = seconds * FRAMES_PER_SECOND / shape.patch
        each = STEP_FLOPS * shape.parameters * tokens / CPU_SPEED
        return Time(passes * each * factor, f"a rough guess for {machine.name}, nothing was timed")
    size = shape.parameters / REFERENCE.parameters
    each = machine.pace * size * seconds / SONG_SECONDS
    each = max(each, ISSUE * shape.layers)
    return Time(passes * each * factor, f"predicted for {machine.name} from the guide's times")


def duration(seconds: float) -> str:
    """A length of time for people: ``45 s``, ``12 min``, ``3.5 h``, ``4 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
