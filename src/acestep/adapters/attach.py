"""Put an adapter on a transformer that is going to be trained."""

import difflib
import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from acestep.adapters.mount import mounted
from acestep.adapters.settings import whole
from acestep.config import TrainConfig
from acestep.errors import AdapterError, ConfigError

NAME = "default"
PREFIX = "base_model.model."
_ATTENTION = r"(to_q|to_k|to_v|to_out\.0)"
_LAYER = r"layers\.\d+\."
TARGETS = {
    "attention": rf"{_LAYER}(self_attn|cross_attn)\.{_ATTENTION}",
    "attention+mlp": rf"{_LAYER}((self_attn|cross_attn)\.{_ATTENTION}"
    r"|mlp\.(gate_proj|up_proj|down_proj))",
    "self": rf"{_LAYER}self_attn\.{_ATTENTION}",
    "cross": rf"{_LAYER}cross_attn\.{_ATTENTION}",
}


def attach(transformer: nn.Module, config: TrainConfig) -> list[str]:
    """Freeze the transformer, put a new adapter on it, and return the adapted modules, sorted.

    ``config.targets`` is ``attention`` (q, k, v, o of self- and cross-attention in every layer),
    ``attention+mlp``, ``self``, ``cross``, or a regular expression that must match the whole name
    of a linear layer. The adapter's weights are float32 on the base's device, whatever the base's
    dtype, so a base in a lower precision must run under autocast. They depend on ``config.seed``
    and the module's name alone; the global random state is left as it was.

    Raises ``ConfigError`` for a pattern that is no regular expression and ``AdapterError`` for one
    that matches nothing, or if there is an adapter on the transformer already.
    """
    if attached(transformer) or mounted(transformer):
        raise AdapterError(
            "the transformer has an adapter already; a second one would train on top of it",
            hint="train on a freshly loaded base model",
        )
    modules = choose_modules(transformer, config.targets)
    peft_config = LoraConfig(
        r=config.rank,
        lora_alpha=whole(config.alpha),  # type: ignore[arg-type]
        lora_dropout=config.dropout,
        target_modules=shortest_suffixes(
            modules, (name for name, _ in transformer.named_modules())
        ),
        use_dora=config.adapter == "dora",
        use_rslora=config.adapter == "rslora",
    )
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(peft_config, transformer, NAME)
    for name, layer in attached(transformer).items():
        _initialise(layer, name, config.seed)
        if config.dropout == 0 and config.adapter != "dora":
            # Under autocast the input would be cast to float32 and back: memory for nothing.
            layer.cast_input_dtype_enabled = layer.get_base_layer().weight.dtype == torch.float32
    assert sorted(attached(transformer)) == modules
    return modules


def attached(transformer: nn.Module) -> dict[str, LoraLinear]:
    """The layers that PEFT has wrapped, by module name."""
    return {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, LoraLinear)
    }


def trainable_parameters(transformer: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's parameters in the model's order, under the names PEFT saves them by, such as
    ``base_model.model.layers.0.self_attn.to_q.lora_A.weight``.

    Raises ``AdapterError`` if no adapter is attached.
    """
    found: dict[str, nn.Parameter] = {}
    layer: Any
    for name, layer in attached(transformer).items():
        found[f"{PREFIX}{name}.lora_A.weight"] = layer.lora_A[NAME].weight
        found[f"{PREFIX}{name}.lora_B.weight"] = layer.lora_B[NAME].weight
        if NAME in layer.lora_magnitude_vector:
            magnitude = layer.lora_magnitude_vector[NAME].weight
            found[f"{PREFIX}{name}.lora_magnitude_vector"] = magnitude
    if not found:
        raise AdapterError("the transformer has no adapter to train", hint="call attach first")
    return found


@contextmanager
def bare(transformer: nn.Module) -> Iterator[None]:
    """The base as it was before an adapter was attached for training: other adapters fit on it.

    Afterwards the wrapped layers, the same objects, are back; nothing about them has changed.
    """
    wrapped = attached(transformer)
    for name, layer in wrapped.items():
        _put(transformer, name, layer.get_base_layer())
    try:
        yield
    finally:
        for name, layer in wrapped.items():
            _put(transformer, name, layer)


def choose_modules(transformer: nn.Module, targets: str) -> list[str]:
    """The names of the linear layers that ``targets`` means; see :func:`attach`."""
    linear = [name for name, part in transformer.named_modules() if isinstance(part, nn.Linear)]
    try:
        pattern = re.compile(TARGETS.get(targets, targets))
    except re.error as error:
        raise ConfigError(
            [f"--targets {targets!r}: not a regular expression ({error})"],
            hint=f"use one of {', '.join(TARGETS)}, or a pattern such as .*cross_attn.to_v",
        ) from error
    chosen = sorted(name for name in linear if pattern.fullmatch(name))
    if not chosen:
        known = [*TARGETS, *linear]
        near = difflib.get_close_matches(targets, known, n=4, cutoff=0.4) or linear[:4]
        raise AdapterError(
            f"--targets {targets!r} matches none of the {len(linear)} linear layers",
            hint=f"a pattern must match a whole name; there are for example {', '.join(near)}",
        )
    return chosen


def shortest_suffixes(chosen: Iterable[str], names: Iterable[str]) -> list[str]:
    """Suffixes of module names, sorted, that match all of ``chosen`` and no other of ``names``.

    This is how PEFT's ``target_modules`` match: the whole name, or its end from a dot on.
    """
    chosen, others = set(chosen), set(names)
    others -= chosen
    taken = {tail for name in others for tail in _tails(name)}
    return sorted({next((t for t in _tails(name) if t not in taken), name) for name in chosen})


def _put(transformer: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    transformer.get_submodule(parent).register_module(last, layer)


def _tails(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[at:]) for at in range(len(parts) - 1, -1, -1)]


def _initialise(layer: Any, name: str, seed: int) -> None:
    """B = 0 and A uniform in ±1/√in as nn.Linear has it, so that the adapter starts as nothing."""
    base = layer.get_base_layer().weight
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    layer.to(base.device)
    layer.train(layer.get_base_layer().training)
    for part in (layer.lora_A, layer.lora_B, layer.lora_magnitude_vector):
        part.to(torch.float32)
    bound = 1 / math.sqrt(base.shape[1])
    with torch.no_grad():
        down = layer.lora_A[NAME].weight
        down.copy_(torch.empty(down.shape).uniform_(-bound, bound, generator=generator))
        layer.lora_B[NAME].weight.zero_()
        if NAME in layer.lora_magnitude_vector:
            layer.lora_magnitude_vector[NAME].weight.copy_(torch.linalg.norm(base.float(), dim=1))
