"""Adapters written in the layouts that other programs read."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from acestep.adapters import card
from acestep.adapters.adapter import MAGNITUDE, A, Adapter, B
from acestep.adapters.locate import CONFIG, DIFFUSERS_FILE, PEFT_FILES
from acestep.adapters.settings import peft_config
from acestep.adapters.tensorfiles import write_safetensors
from acestep.data.files import atomic, write_json, write_text
from acestep.data.tensors import save_torch
from acestep.model.convert import restore_module

README = "README.md"
_PEFT = "base_model.model."


def write_peft(
    adapter: Adapter, folder: Path, *, original: bool = False, pickled: bool = False
) -> None:
    """Write a PEFT folder: configuration, weights and a page to read.

    ``original`` uses the original program's module names, ``pickled`` writes
    ``adapter_model.bin`` (plain tensors) instead of safetensors.
    """
    rename = restore_module if original else str
    tensors = _named(adapter, _PEFT, rename)
    if pickled:
        with atomic(folder / PEFT_FILES[1]) as temporary:
            save_torch(temporary, tensors)
    else:
        _write(folder / PEFT_FILES[0], tensors, adapter)
    write_json(folder / CONFIG, peft_config(adapter, original=original))
    write_text(folder / README, card.page(adapter))


def write_diffusers(adapter: Adapter, folder: Path) -> None:
    """Write the file that ``AceStepPipeline.load_lora_weights(folder)`` of diffusers plays at the
    trained strength, which stands in its header."""
    config = peft_config(adapter)
    names = (
        "alpha_pattern",
        "lora_alpha",
        "r",
        "rank_pattern",
        "target_modules",
        "use_dora",
        "use_rslora",
    )
    strength = {f"transformer.{name}": config[name] for name in names}
    _write(
        folder / DIFFUSERS_FILE,
        _named(adapter, "transformer.", str),
        adapter,
        {"lora_adapter_metadata": json.dumps(strength, indent=2, sort_keys=True)},
    )


def write_comfyui(adapter: Adapter, file: Path) -> None:
    """Write a ComfyUI file: original names, down and up, and an alpha for every module.

    ComfyUI knows alpha / rank only, so the alpha of an rsLoRA is multiplied by √rank.
    """
    tensors: dict[str, Tensor] = {}
    for module in adapter.modules:
        prefix = f"{_PEFT}{restore_module(module)}"
        rank = adapter.rank(module)
        alpha = adapter.alphas[module] * (math.sqrt(rank) if adapter.use_rslora else 1)
        tensors[f"{prefix}.alpha"] = torch.tensor(float(alpha))
        tensors[f"{prefix}.lora_down.weight"] = adapter.weights[f"{module}.{A}"]
        tensors[f"{prefix}.lora_up.weight"] = adapter.weights[f"{module}.{B}"]
        if adapter.use_dora:
            magnitude = adapter.weights[f"{module}.{MAGNITUDE}"]
            tensors[f"{prefix}.dora_scale"] = magnitude.reshape(-1, 1)
    _write(file, tensors, adapter)


def _named(adapter: Adapter, prefix: str, rename) -> dict[str, Tensor]:
    return {
        f"{prefix}{rename(module)}.{part}": adapter.weights[f"{module}.{part}"]
        for module in adapter.modules
        for part in (A, B, MAGNITUDE)
        if f"{module}.{part}" in adapter.weights
    }


def _write(
    file: Path,
    tensors: Mapping[str, Tensor],
    adapter: Adapter,
    more: Mapping[str, str] | None = None,
) -> None:
    write_safetensors(file, tensors, {"format": "pt", **card.header(adapter.card), **(more or {})})
