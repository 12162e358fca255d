"""The frozen base in fewer bits, for small cards: its linear layers in 8 or 4 bits.

``int8`` is torchao's weight-only quantisation (one scale for each output row), ``nf4`` that of
bitsandbytes (blocks of 64 weights whose scales lie in 8 bits themselves; Dettmers et al. 2023,
"QLoRA"). Only the linear layers of the repeated blocks are stored so: they are nearly all of the
weights, while embeddings, norms and what leads in and out are small and sensitive.

A layer multiplies with what its bits stand for, in the precision of computing, forward and
backward. Neither library's own layer is used: torchao's keeps the whole weight in that precision
for the backward pass, which is the memory that was to be saved, and PEFT would wrap each library's
in a class of its own. Adapters trained so go onto the base as it is.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from acestep.errors import ConfigError, ModelError
from acestep.model.base import BaseModel, load_transformer

Stored = Literal["int8", "nf4"]
STORED: tuple[Stored, ...] = ("int8", "nf4")
BLOCK = 64  # nf4: weights that share a scale
_SCALES = 256  # and scales that share one of their own
_INSTALL = "pip install 'acestep-studio[quant]'"


class Bits(Protocol):
    """A weight in few bits; ``restore`` gives it in the dtype that it was stored from."""

    def restore(self) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Int8:
    """``codes`` int8 ``[out, in]``, ``scale`` float32 ``[out, 1]``."""

    codes: Tensor
    scale: Tensor
    dtype: torch.dtype

    def restore(self) -> Tensor:
        """codes · scale, multiplied in float32 and rounded once, in one pass over the memory."""
        weight = torch.empty_like(self.codes, dtype=self.dtype)
        return torch.mul(self.codes, self.scale, out=weight)


@dataclass(frozen=True, eq=False)
class Nf4:
    """Two weights a byte in ``packed``; ``state`` is the library's account of their scales."""

    packed: Tensor
    state: Any

    def restore(self) -> Tensor:
        """The table's value of each four bits, times its block's scale."""
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(self.packed, self.state)


class StoredLinear(nn.Linear):
    """A frozen linear layer whose weight lies in memory in few bits.

    ``weight`` is what they stand for, made anew whenever it is asked for, so that all that reads a
    linear layer's weight (DoRA's norms, adapters that are mounted) works on this one too.
    """

    def __init__(self, layer: nn.Linear, bits: Bits) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.dtype = layer.weight.dtype
        self.bits = bits
        self.bias = layer.bias
        self.train(layer.training)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """``[out, in]`` in the precision of computing."""
        return self.bits.restore()

    def forward(self, input: Tensor) -> Tensor:
        """As a linear layer of that weight, under autocast or not."""
        result = _Product.apply(input.to(self.dtype), self.bits)
        return result if self.bias is None else result + self.bias


class _Product(torch.autograd.Function):
    """``x · Wᵀ``; the backward pass restores W again instead of keeping it from the forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: Bits) -> Tensor:
        ctx.bits = bits
        return functional.linear(x, bits.restore())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.bits.restore(), None


def load_base(model: BaseModel, device: torch.device, dtype: torch.dtype, kept: str) -> nn.Module:
    """The frozen transformer on its device, ready for an adapter.

    ``kept`` in ``STORED`` stores the blocks' linear layers so; anything else leaves them in
    ``dtype``. The whole of it never lies on the device in ``dtype``: layers go there one by one.

    Raises ``ConfigError`` if the library that stores it is missing or does not run on the device,
    ``ModelError`` for a model that cannot be read or does not fit.
    """
    if kept not in STORED:
        return load_transformer(model, device, dtype)
    store = _storing(kept)
    transformer = load_transformer(model, torch.device("cpu"), dtype)
    try:
        store_layers(transformer, store, device)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the transformer of {model.name} does not fit into the memory of {device} as {kept}",
            hint="Use --base-precision nf4, or --device cpu.",
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise ConfigError(
            [f"--base-precision {kept} does not run on {device}: {_first_line(error)}"],
            hint="use --base-precision bf16",
        ) from error
    return transformer


def store_layers(transformer: nn.Module, store: Any, device: torch.device) -> None:
    """Move a transformer to a device, the linear layers of its blocks stored on the way."""
    with torch.no_grad():
        for name, layer in block_linears(transformer).items():
            parent, _, last = name.rpartition(".")
            stored = StoredLinear(layer.to(device), store(layer.weight.detach()))
            transformer.get_submodule(parent).register_module(last, stored)
    transformer.to(device)


def block_linears(transformer: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of the repeated blocks, by name: what is stored in few bits."""
    return {
        name: part
        for name, part in transformer.named_modules()
        if name.startswith("layers.") and isinstance(part, nn.Linear)
    }


def count_weights(module: nn.Module) -> int:
    """How many weights a module has, in however many bits they lie."""
    stored = (part for part in module.modules() if isinstance(part, StoredLinear))
    hidden = sum(part.in_features * part.out_features for part in stored)
    return hidden + sum(parameter.numel() for parameter in module.parameters())


def stored_bytes(rows: int, columns: int, kept: str, width: int = 2) -> float:
    """What a weight ``[rows, columns]`` takes in memory; ``width`` is that of its dtype in bytes,
    where it is not stored in fewer bits."""
    match kept:
        case "int8":
            return rows * columns + 4 * rows
        case "nf4":
            blocks = rows * columns / BLOCK
            return rows * columns / 2 + blocks + 4 * blocks / _SCALES
        case _:
            return rows * columns * width


def check_storing(kept: str) -> None:
    """Raise ``ConfigError`` if the library that stores a base so is not installed."""
    if kept in STORED:
        _storing(kept)


def _storing(kept: str) -> Any:
    """What stores a weight. Raises ``ConfigError`` if its library is not installed."""
    store, library = {"int8": (_to_int8, "torchao"), "nf4": (_to_nf4, "bitsandbytes")}[kept]
    try:
        store(torch.zeros(1, BLOCK))
    except ImportError as error:
        raise ConfigError(
            [f"--base-precision {kept} needs {library}, which is not installed"], hint=_INSTALL
        ) from error
    return store


def _to_int8(weight: Tensor) -> Int8:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    rows, columns = weight.shape
    layer = nn.Linear(columns, rows, bias=False, device="meta")
    layer.weight = nn.Parameter(weight.float(), requires_grad=False)
    quantize_(layer, Int8WeightOnlyConfig(set_inductor_config=False))
    stored: Any = layer.weight
    return Int8(stored.qdata, stored.scale.float(), weight.dtype)


def _to_nf4(weight: Tensor) -> Nf4:
    from bitsandbytes.functional import quantize_4bit

    return Nf4(*quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=True))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
