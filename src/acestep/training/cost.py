"""What memory a step will take, part by part and in words, against what a machine has.

A model, not a measurement: the arithmetic is :mod:`acestep.speed.memory`. What a run takes at its
start is measured then (:mod:`acestep.training.fitting`).
"""

from dataclasses import dataclass
from typing import Any

from acestep.speed.levels import Level
from acestep.speed.memory import CONTEXT, GIB, SLACK, Load, usable
from acestep.training.machine import Machine

KEPT = {
    "none": "all activations kept",
    "products": "products and attention kept, the rest computed again",
    "attention": "attention kept, the rest computed again",
    "full": "activations computed again",
}


@dataclass(frozen=True)
class Memory:
    """Predicted bytes of one training step; ``total`` is what the device must have, CUDA's own and
    the allocator's slack counted, ``limit`` what it has."""

    base: float
    adapter: float
    activations: float
    total: float
    level: Level
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
                ("adapter with gradients and optimizer", self.adapter),
                ("activations", self.activations),
            )
        )
        verdict = "fits into" if self.fits else "does not fit into"
        return (
            f"predicted: {self.total / GIB:.1f} GiB ({parts}; {KEPT[self.level]}), "
            f"which {verdict} {self.limit / GIB:.1f} GiB"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**vars(self), "fits": self.fits}


def predict_memory(
    load: Load, machine: Machine, patches: int, clips: int = 1, limit: float | None = None
) -> Memory:
    """Memory of a step whose largest pass has so many ``patches`` of so many ``clips``; ``limit``
    is what it may take, in GiB, where that is less than the machine has."""
    activations = load.activations(patches, clips)
    peak = load.static + activations
    total = peak * SLACK + CONTEXT
    return Memory(load.base, load.trained, activations, total, load.level, allowed(machine, limit))


def allowed(machine: Machine, limit: float | None = None) -> float:
    """Bytes that may be taken: the machine's, or fewer where ``limit``, in GiB, says so."""
    return machine.memory if limit is None else min(machine.memory, limit * GIB)


def room(machine: Machine, limit: float | None = None) -> float:
    """Bytes of that for tensors."""
    return usable(allowed(machine, limit))
