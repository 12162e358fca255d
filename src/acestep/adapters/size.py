"""How large an adapter is: what it adds to the weights, against the weights themselves.

ΔW of a LoRA is scaling·B·A. Its norm and singular values are those of a small matrix, rank by rank:
B = Q·R and Aᵀ = Q′·R′ give ΔW = scaling·Q·(R·R′ᵀ)·Q′ᵀ, where Q and Q′ change neither.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acestep.adapters.adapter import MAGNITUDE, A, Adapter, B
from acestep.adapters.mount import check_scale, fitting_layers, row_norms
from acestep.data.plain import plain


@dataclass(frozen=True)
class ModuleSize:
    """One module: norms (Frobenius) of what is added and of the base's weight, and how many
    directions are used, from 0 (nothing is added) to ``rank``.

    ``magnitude``, of DoRA only, is by which share the norms of the weight's rows change (root mean
    square).
    """

    module: str
    rank: int
    norm: float
    base_norm: float
    effective_rank: float
    magnitude: float | None = None

    @property
    def relative(self) -> float:
        """‖ΔW‖ / ‖W‖."""
        return self.norm / self.base_norm if self.base_norm else math.inf


@dataclass(frozen=True)
class Size:
    """An adapter at a strength: ``relative`` is ‖ΔW‖ / ‖W‖ over all adapted modules together,
    ``effective_rank`` and ``rank`` are means over the modules, ``magnitude`` DoRA's root mean
    square over them. ``untrained`` says that all B are zero, as they are before the first step."""

    kind: str
    strength: float
    relative: float
    effective_rank: float
    rank: float
    magnitude: float | None
    untrained: bool
    modules: tuple[ModuleSize, ...]

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json``."""
        modules = [{**plain(each), "relative": plain(each.relative)} for each in self.modules]
        return {**plain(self), "modules": modules}


@torch.no_grad()
def adapter_size(transformer: nn.Module, adapter: Adapter, strength: float = 1.0) -> Size:
    """The size of an adapter for the base that it is to play on; nothing is mounted.

    Raises ``AdapterError`` if it does not fit or the strength is no finite number.
    """
    check_scale(adapter.source.name, strength)
    layers = fitting_layers(transformer, adapter)
    modules = tuple(
        _module_size(adapter, module, layer.weight, strength) for module, layer in layers.items()
    )
    turned = [each.magnitude for each in modules if each.magnitude is not None]
    return Size(
        adapter.kind,
        float(strength),
        _together(each.norm for each in modules) / _together(each.base_norm for each in modules),
        sum(each.effective_rank for each in modules) / len(modules),
        sum(each.rank for each in modules) / len(modules),
        _together(turned) / math.sqrt(len(turned)) if turned else None,
        not any(adapter.weights[f"{module}.{B}"].any() for module in layers),
        modules,
    )


def low_rank_values(up: Tensor, down: Tensor) -> Tensor:
    """Singular values of ``up @ down`` ([out, rank] and [rank, in]) from two small QR."""
    left = torch.linalg.qr(up, mode="r").R
    right = torch.linalg.qr(down.T, mode="r").R
    return torch.linalg.svdvals(left @ right.T)


def effective_rank(values: Tensor) -> float:
    """How many directions singular values are spread over: exp of the entropy of their shares.

    n equal values give n, one alone gives 1, and none above zero 0 (Roy and Vetterli 2007, "The
    Effective Rank").
    """
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values / total
    return torch.special.entr(shares).sum().exp().item()


def _module_size(adapter: Adapter, module: str, weight: Tensor, strength: float) -> ModuleSize:
    down = adapter.weights[f"{module}.{A}"].to(weight.device)
    up = adapter.weights[f"{module}.{B}"].to(weight.device)
    scaling = adapter.scaling(module)
    base = weight.detach().float()
    magnitude = None
    if adapter.use_dora:
        wanted = adapter.weights[f"{module}.{MAGNITUDE}"].to(weight.device)
        growth = (wanted / row_norms(weight, down, up, scaling))[:, None]
        norm = torch.linalg.norm((growth - 1) * base + growth * scaling * (up @ down)).item()
        change = wanted / torch.linalg.norm(base, dim=1) - 1
        magnitude = abs(strength) * change.square().mean().sqrt().item()
        values = low_rank_values(growth * up, down)
    else:
        values = low_rank_values(up, down)
        norm = abs(scaling) * torch.linalg.norm(values).item()
    used = effective_rank(values) if strength else 0.0
    base_norm = torch.linalg.norm(base).item()
    return ModuleSize(module, down.shape[0], abs(strength) * norm, base_norm, used, magnitude)


def _together(norms: Iterable[float]) -> float:
    return math.sqrt(sum(norm**2 for norm in norms))
