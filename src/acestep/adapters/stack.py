"""Adapters on a base model that generates: several at once, each with its strength."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.mount import check_scale, fitting_layers, mount, set_scale, unmount
from acestep.errors import AdapterError, ModelError
from acestep.model.base import BaseModel, find_model
from acestep.model.device import free_memory
from acestep.model.parts import Parts


@dataclass
class Slot:
    """One adapter on the transformer and its strength."""

    adapter: Adapter
    scale: float


class AdaptedParts(Parts):
    """The parts of a base model, with adapters on the transformer.

    The adapters go on again when the transformer is loaded again. With none, with all strengths 0
    or while they are disabled, the transformer computes what the base computes, bit for bit.
    """

    def __init__(
        self, model: BaseModel, device: torch.device, dtype: torch.dtype, *, offload: bool = False
    ) -> None:
        super().__init__(model, device, dtype, offload=offload)
        self._slots: dict[str, Slot] = {}
        self._enabled = True

    @property
    def enabled(self) -> bool:
        """Whether adapters act; adding one makes them."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value
        self._set_scales()

    def scales(self) -> dict[str, float]:
        """Every adapter's name and the strength it acts with (0 while disabled)."""
        return {name: self._acting(slot) for name, slot in self._slots.items()}

    def add(self, adapter: Adapter, name: str, scale: float = 1.0) -> list[str]:
        """Put an adapter on and return what the user should know about it.

        Raises ``AdapterError`` if it does not fit or the name is taken; nothing has changed then.
        """
        if name in self._slots:
            raise AdapterError(
                f"an adapter named {name!r} is loaded already",
                hint="give this one another name, or unload the other one first",
            )
        try:
            fitting_layers(self.transformer(), adapter)
        except AdapterError as error:
            hint = f"{error.hint}; this is {self.model.name}"
            raise AdapterError(str(error), hint=hint) from error
        mount(self.transformer(), adapter, name, scale)
        self._slots[name] = Slot(adapter, scale)
        self.enabled = True
        sentences = [other_base(adapter, self.model), *adapter.notes]
        return [f"adapter {name}: {sentence}" for sentence in sentences if sentence]

    def remove(self, name: str | None = None) -> None:
        """Take one adapter off, or all of them, and give their memory back."""
        for each in [self._known(name)] if name is not None else list(self._slots):
            del self._slots[each]
            if "transformer" in self._loaded:
                unmount(self._loaded["transformer"][0], each)
        free_memory(self.device)

    def rescale(self, scales: dict[str, float]) -> None:
        """Set strengths by name; the others keep theirs.

        Raises ``AdapterError`` for a name that is not loaded or a strength that is not finite.
        """
        for name, scale in scales.items():
            self._known(name)
            check_scale(name, scale)
        for name, scale in scales.items():
            self._slots[name].scale = scale
        self._set_scales()

    def missing_tags(self, caption: str) -> list[str]:
        """A sentence for each acting adapter whose activation tag is not in the caption."""
        sentences = []
        for name, slot in self._slots.items():
            tag = activation_tag(slot.adapter)
            if tag and self._acting(slot) and tag.lower() not in caption.lower():
                sentences.append(f"the caption lacks {tag!r}, the tag of adapter {name}")
        return sentences

    def load(self, part: str) -> tuple[Any, ...]:
        loaded = super().load(part)
        if part == "transformer":
            for name, slot in self._slots.items():
                mount(loaded[0], slot.adapter, name, self._acting(slot))
        return loaded

    def _acting(self, slot: Slot) -> float:
        return slot.scale if self._enabled else 0.0

    def _set_scales(self) -> None:
        if "transformer" in self._loaded and self._slots:
            set_scale(self._loaded["transformer"][0], self.scales())

    def _known(self, name: str) -> str:
        if name not in self._slots:
            raise AdapterError(
                f"no adapter named {name!r} is loaded",
                hint=f"loaded: {', '.join(self._slots) or 'none'}",
            )
        return name


def choose_model(name: str | None, paths: Sequence[Path]) -> tuple[dict[str, Adapter], BaseModel]:
    """Read adapters, each under a name of its own, and find the base model for them.

    That is the one named, else the one that the first adapter was trained on, if it is here, else
    the small one that ships with the package. Nothing is downloaded unless it was named.
    """
    adapters: dict[str, Adapter] = {}
    for path in paths:
        adapters[free_name(path, adapters)] = read_adapter(path)
    if name is None:
        for adapter in adapters.values():
            own = own_model(adapter)
            if own is not None:
                return adapters, own
    return adapters, find_model(name)


def free_name(path: Path, taken: Collection[str]) -> str:
    """A name for the adapter at ``path``: its folder's or file's, with a number if it is taken."""
    stem = path.expanduser().absolute()
    name = stem.stem if stem.is_file() else stem.name
    numbered = (name if count == 1 else f"{name}_{count}" for count in itertools.count(1))
    return next(candidate for candidate in numbered if candidate not in taken)


def activation_tag(adapter: Adapter) -> str:
    """The tag of the songs an adapter was trained on; empty where it does not say."""
    dataset = adapter.card.get("dataset")
    tag = dataset.get("tag") if isinstance(dataset, dict) else None
    return tag if isinstance(tag, str) else ""


def other_base(adapter: Adapter, model: BaseModel) -> str:
    """What to say if an adapter was trained on another base model than this one; else nothing."""
    name, print_ = (_said(adapter, key) for key in ("base_model", "base_fingerprint"))
    if print_ == model.fingerprint or (not print_ and name in ("", model.name)):
        return ""
    place = f" ({_said(adapter, 'base_path')})" if name == model.name else ""
    return (
        f"it was trained on the base model {name or 'unknown'}{place}, this is {model.name}: "
        "it may sound wrong"
    )


def own_model(adapter: Adapter) -> BaseModel | None:
    """The base model an adapter was trained on, if it says so and it is here."""
    for key in ("base_path", "base_model"):
        place = _said(adapter, key)
        if place and (key == "base_model" or Path(place).is_dir()):
            try:
                model = find_model(place, download=False)
            except ModelError:
                continue
            if _said(adapter, "base_fingerprint") in ("", model.fingerprint):
                return model
    return None


def _said(adapter: Adapter, key: str) -> str:
    value = adapter.card.get(key)
    return value if isinstance(value, str) else ""
