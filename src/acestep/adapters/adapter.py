"""An adapter in memory: weights under diffusers' module names, and what scales them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

A = "lora_A.weight"  # [rank, in]
B = "lora_B.weight"  # [out, rank]
MAGNITUDE = "lora_magnitude_vector"  # [out], of DoRA


@dataclass(frozen=True)
class Adapter:
    """A LoRA, rsLoRA or DoRA of the transformer, wherever it came from.

    ``weights`` are float32 on the CPU, ``<module>.lora_A.weight`` [rank, in] and
    ``<module>.lora_B.weight`` [out, rank], for DoRA also ``<module>.lora_magnitude_vector`` [out];
    ``alphas`` has one entry a module. ``targets`` are the suffixes of module names that the file
    gives, if it gives any. ``card`` is what the adapter says about itself (base model, tag, steps),
    ``notes`` are sentences for the user about how it was read.
    """

    weights: dict[str, Tensor]
    alphas: dict[str, float]
    use_dora: bool = False
    use_rslora: bool = False
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: Path = Path()
    layout: str = "peft"

    @property
    def modules(self) -> list[str]:
        """The adapted modules, sorted."""
        return sorted(self.alphas)

    @property
    def kind(self) -> str:
        """``lora``, ``rslora``, ``dora`` or ``dora+rslora``."""
        names = [name for name, on in (("dora", self.use_dora), ("rslora", self.use_rslora)) if on]
        return "+".join(names) or "lora"

    def rank(self, module: str) -> int:
        """The rank of one module's update."""
        return self.weights[f"{module}.{A}"].shape[0]

    def scaling(self, module: str) -> float:
        """What B·A is multiplied by: alpha / rank, or alpha / √rank for rsLoRA."""
        rank = self.rank(module)
        return self.alphas[module] / (math.sqrt(rank) if self.use_rslora else rank)
