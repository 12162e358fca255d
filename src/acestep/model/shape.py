"""How large a base model is, known from its config alone: nothing is loaded, nothing downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from acestep.errors import ModelError
from acestep.model.find import KNOWN, find_model
from acestep.model.layout import BaseModel

TIME_CHANNELS = 256  # of the sinusoids that a time is embedded with
NAMES = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "inner": "intermediate_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "patch": "patch_size",
    "channels": "audio_acoustic_hidden_dim",
}


@dataclass(frozen=True)
class Shape:
    """The transformer's sizes; ``width`` is the channels of a token, ``inner`` those of an MLP."""

    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    patch: int = 2
    channels: int = 64

    @classmethod
    def of(cls, config: Any) -> "Shape":
        """The sizes of a transformer that is loaded, by its ``config``."""
        return cls(**{ours: getattr(config, theirs) for ours, theirs in NAMES.items()})

    def config(self) -> dict[str, int]:
        """The sizes as a transformer's config names them."""
        return {theirs: vars(self)[ours] for ours, theirs in NAMES.items()}

    def linears(self, targets: str) -> list[tuple[int, int]]:
        """Inputs and outputs of the linear layers that ``targets`` means in one block.

        A pattern of module names counts as all of them.
        """
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        width = self.width
        attention = [(width, queries), (width, keys), (width, keys), (queries, width)]
        mlp = [(width, self.inner), (width, self.inner), (self.inner, width)]
        match targets:
            case "attention":
                return 2 * attention
            case "self" | "cross":
                return attention
            case _:
                return 2 * attention + mlp

    @property
    def parameters(self) -> int:
        """The transformer's parameters without its norms and biases (under 0.1 % of them)."""
        blocks = self.layers * sum(i * o for i, o in self.linears("attention+mlp"))
        times = 2 * self.width * (TIME_CHANNELS + 7 * self.width)
        ends = self.width * self.patch * 4 * self.channels
        return blocks + times + ends + self.width**2

    def adapter_parameters(self, rank: int, targets: str) -> int:
        """The parameters of a LoRA: ``rank × (inputs + outputs)`` of each layer."""
        return self.layers * sum(rank * (i + o) for i, o in self.linears(targets))


@dataclass(frozen=True)
class Base:
    """A base model as far as its size matters; ``present`` is whether it is on this machine."""

    name: str
    variant: Literal["turbo", "base", "sft"] | str
    shape: Shape
    present: bool = False


_2B = Shape(layers=24, width=2048, inner=6144, heads=16, kv_heads=8, head_dim=128)
_XL = Shape(layers=32, width=2560, inner=9728, heads=32, kv_heads=8, head_dim=128)
# What the published models are like, for those that are not on this machine
SHAPES = {
    "acestep-v15-turbo": _2B,
    "acestep-v15-base": _2B,
    "acestep-v15-sft": _2B,
    "acestep-v15-turbo-shift1": _2B,
    "acestep-v15-turbo-shift3": _2B,
    "acestep-v15-turbo-continuous": _2B,
    "acestep-v15-xl-turbo": _XL,
    "acestep-v15-xl-base": _XL,
    "acestep-v15-xl-sft": _XL,
}
REFERENCE = _2B  # the model that the guide's numbers are for


def find_base(name: str | None) -> Base:
    """The size of a model that is here, or of one that is published.

    Raises ``ModelError`` for one that is neither, or whose config lacks a size.
    """
    try:
        found = find_model(name, download=False)
    except ModelError:
        if name not in SHAPES:
            raise
        return Base(name, KNOWN[name], SHAPES[name])
    return base_of(found)


def base_of(model: BaseModel) -> Base:
    """The size of a model that was found. Raises ``ModelError`` if its config lacks a size."""
    return Base(model.name, model.variant, _read(model.config("transformer"), model), True)


def _read(config: Mapping[str, Any], model: BaseModel) -> Shape:
    sizes = {ours: config.get(theirs) for ours, theirs in NAMES.items()}
    for ours, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ModelError(
                f"the config of {model.name} has no {NAMES[ours]} that can be read: {size!r}",
                hint="download the model again, or name another with --model",
            )
    return Shape(**{name: int(size or 0) for name, size in sizes.items()})
