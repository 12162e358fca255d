"""Adapters on a transformer that generates: several at once, each with a strength of its own."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional

from acestep.adapters.adapter import MAGNITUDE, A, Adapter, B
from acestep.errors import AdapterError

_SHOWN = 4  # names in a message
_ALONE = "measured alone"


class Update(nn.Module):
    """One adapter's change to one linear layer, in the layer's own dtype.

    ``strength`` goes from the base (0) to the adapter as trained (1) in a straight line, for DoRA
    too: PEFT's scaling would leave DoRA's magnitudes in at 0.
    """

    down: Tensor
    up: Tensor
    growth: Tensor | None

    def __init__(self, adapter: Adapter, module: str, base: nn.Linear, name: str) -> None:
        super().__init__()
        self.name = name
        self.strength = 1.0
        self.scaling = adapter.scaling(module)
        weight = base.weight
        down, up = adapter.weights[f"{module}.{A}"], adapter.weights[f"{module}.{B}"]
        self.register_buffer("down", down.to(weight.device, weight.dtype), persistent=False)
        self.register_buffer("up", up.to(weight.device, weight.dtype), persistent=False)
        growth = None
        if adapter.use_dora:
            magnitude = adapter.weights[f"{module}.{MAGNITUDE}"].to(weight.device)
            growth = magnitude / row_norms(weight, down, up, self.scaling)
        self.register_buffer("growth", growth, persistent=False)

    def forward(self, x: Tensor, result: Tensor, bias: Tensor | None) -> Tensor:
        """What is added to ``result``, the base layer's output for ``x``."""
        low_rank = functional.linear(functional.linear(x, self.down), self.up)
        if self.growth is None:
            return low_rank * (self.strength * self.scaling)
        plain = result if bias is None else result - bias
        full = (self.growth - 1) * plain + self.growth * low_rank * self.scaling
        return full * self.strength


class AdaptedLinear(nn.Module):
    """A linear layer and the updates mounted on it; with none that acts, exactly the layer."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.updates = nn.ModuleList()
        self.train(base_layer.training)

    def each(self) -> Iterator[Update]:
        """The updates, in the order in which they were mounted."""
        yield from cast(Iterable[Update], self.updates)

    @property
    def in_features(self) -> int:
        return self.base_layer.in_features

    @property
    def out_features(self) -> int:
        return self.base_layer.out_features

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        result = self.base_layer(x)
        total = result
        for update in self.each():
            if update.strength != 0:
                total = total + update(x, result, self.base_layer.bias)
        return total.to(result.dtype)


def mount(transformer: nn.Module, adapter: Adapter, name: str, scale: float = 1.0) -> None:
    """Put an adapter on a frozen transformer, under a name and with a strength.

    Its weights go to the device and the dtype of the layers they change. Adapters of different
    ranks, kinds and targets stand side by side; their order does not matter. Raises
    ``AdapterError`` if the name is taken or no plain name, the strength no finite number, or the
    adapter does not fit; the transformer is then exactly as it was.
    """
    _check_name(name)
    check_scale(name, scale)
    if name in mounted(transformer):
        raise AdapterError(
            f"an adapter named {name!r} is mounted already",
            hint="give this one another name, or take the other one off first",
        )
    if any(isinstance(module, BaseTunerLayer) for module in transformer.modules()):
        raise AdapterError(
            "the transformer has a PEFT adapter attached for training",
            hint="mount on a freshly loaded base model",
        )
    layers = fitting_layers(transformer, adapter)
    updates = {}
    for module, layer in layers.items():
        base = layer.base_layer if isinstance(layer, AdaptedLinear) else layer
        updates[module] = Update(adapter, module, base, name)
    for module, update in updates.items():  # nothing below can fail
        update.strength = float(scale)
        layer = layers[module]
        if not isinstance(layer, AdaptedLinear):
            layer = AdaptedLinear(layer)
            _replace(transformer, module, layer)
        layer.updates.append(update.train(layer.training))


def set_scale(transformer: nn.Module, scales: Mapping[str, float]) -> None:
    """Set the strength of mounted adapters by name; the others keep theirs.

    Raises ``AdapterError`` for a name that is not mounted or a strength that is not finite; no
    strength has changed then.
    """
    _check_mounted(transformer, scales)
    for name, scale in scales.items():
        check_scale(name, scale)
    for layer in _adapted(transformer).values():
        for update in layer.each():
            update.strength = float(scales.get(update.name, update.strength))


def unmount(transformer: nn.Module, name: str) -> None:
    """Take one adapter off; a layer that bears none any more is the original one again.

    Raises ``AdapterError`` for a name that is not mounted.
    """
    _check_mounted(transformer, [name])
    for module, layer in _adapted(transformer).items():
        layer.updates = nn.ModuleList(u for u in layer.each() if u.name != name)
        if not layer.updates:
            _replace(transformer, module, layer.base_layer)


def mounted(transformer: nn.Module) -> dict[str, float]:
    """The mounted adapters' names and strengths."""
    return {
        update.name: update.strength
        for layer in _adapted(transformer).values()
        for update in layer.each()
    }


@contextmanager
def disabled(transformer: nn.Module) -> Iterator[None]:
    """The base alone, bit for bit, whether an adapter is attached for training or some are mounted.

    Gradients and strengths are as before afterwards.
    """
    scales = mounted(transformer)
    trained = [module for module in transformer.modules() if isinstance(module, BaseTunerLayer)]
    wanted = [(p, p.requires_grad) for layer in trained for p in layer.parameters()]
    for layer in trained:
        layer.enable_adapters(False)
    set_scale(transformer, dict.fromkeys(scales, 0.0))
    try:
        yield
    finally:
        for layer in trained:
            layer.enable_adapters(True)
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)
        set_scale(transformer, scales)


@contextmanager
def alone(transformer: nn.Module, adapter: Adapter, scale: float = 1.0) -> Iterator[None]:
    """One adapter alone at a strength; afterwards the transformer is as it was before.

    Raises ``AdapterError`` as :func:`mount` does.
    """
    with disabled(transformer):
        mount(transformer, adapter, _ALONE, scale)
        try:
            yield
        finally:
            unmount(transformer, _ALONE)


def row_norms(weight: Tensor, down: Tensor, up: Tensor, scaling: float) -> Tensor:
    """Norms of the rows of W + scaling·B·A, [out], float32 on W's device: what DoRA divides by."""
    update = up.to(weight.device) @ down.to(weight.device)
    return torch.linalg.norm(weight.detach().float() + scaling * update, dim=1)


def fitting_layers(
    transformer: nn.Module, adapter: Adapter
) -> dict[str, nn.Linear | AdaptedLinear]:
    """The layers that the adapter changes. Raises ``AdapterError`` unless all are there and fit."""
    linear = {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear | AdaptedLinear)
    }
    wrong = []
    for module in adapter.modules:
        if module not in linear:
            wrong.append(f"{module} (no such linear layer)")
            continue
        layer = linear[module]
        has = (layer.out_features, layer.in_features)
        needs = (
            adapter.weights[f"{module}.{B}"].shape[0],
            adapter.weights[f"{module}.{A}"].shape[1],
        )
        if needs != has:
            wrong.append(f"{module} (made for {needs[0]}×{needs[1]}, is {has[0]}×{has[1]})")
    if wrong or not adapter.modules:
        base = adapter.card.get("base_model")
        raise AdapterError(
            f"{adapter.source} does not fit this base model: {len(wrong)} of "
            f"{len(adapter.modules)} modules do not match: {', '.join(wrong[:_SHOWN])}"
            f"{' …' if len(wrong) > _SHOWN else ''}",
            hint=f"it was trained on {base}" if base else "load it on the base it was trained on",
        )
    return {module: linear[module] for module in adapter.modules}


def _adapted(transformer: nn.Module) -> dict[str, AdaptedLinear]:
    return {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, AdaptedLinear)
    }


def _replace(transformer: nn.Module, module: str, layer: nn.Module) -> None:
    parent, _, name = module.rpartition(".")
    transformer.get_submodule(parent).register_module(name, layer)


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise AdapterError(
            f"{name!r} cannot name an adapter",
            hint="use a plain name without slashes, such as jazz",
        )


def check_scale(name: str, scale: float) -> None:
    """Raise ``AdapterError`` unless an adapter's strength is a finite number."""
    if not isinstance(scale, Real) or not math.isfinite(scale):
        raise AdapterError(
            f"adapter {name}: a strength of {scale!r} makes no sense",
            hint="give a number: 1 is as trained, 0 is off",
        )


def _check_mounted(transformer: nn.Module, names: Mapping[str, float] | list[str]) -> None:
    there = mounted(transformer)
    missing = [name for name in names if name not in there]
    if missing:
        raise AdapterError(
            f"no adapter named {missing[0]!r} is mounted",
            hint=f"mounted: {', '.join(there) or 'none'}",
        )
