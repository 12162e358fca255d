"""Adapters on disk: saved while training, read in every layout, refused where they do not fit."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from acestep.adapters.adapter import MAGNITUDE, A, Adapter, B
from acestep.adapters.attach import NAME, PREFIX, attached, trainable_parameters
from acestep.adapters.card import check_card, plain_name, read_card
from acestep.adapters.layouts import write_peft
from acestep.adapters.locate import AdapterFiles, find_files
from acestep.adapters.names import Part, parse_key
from acestep.adapters.publish import CARD_FILE
from acestep.adapters.settings import Settings, parse_settings
from acestep.adapters.tensorfiles import parse_json, read_json, read_tensors
from acestep.errors import AdapterError

__all__ = ["Adapter", "load_adapter_weights", "read_adapter", "save_adapter", "trained_adapter"]

_SHOWN = 4  # keys in a message
_AGAIN = "export or download the adapter again"
_DIFFUSERS_HEADER = "lora_adapter_metadata"
_OTHER_KINDS = ("lokr_", "hada_", "oft_", "vera_", "boft_")
_PART_NAMES: dict[Part, str] = {"down": A, "up": B, "magnitude": MAGNITUDE}


def read_adapter(path: Path) -> Adapter:
    """Read an adapter from a file or folder in any layout, completely or not at all.

    Takes PEFT folders (diffusers' or the original's names, safetensors or ``.bin``), this program's
    checkpoints and runs (the newest checkpoint), the original program's output folders, diffusers
    LoRA files and ComfyUI files; see :func:`acestep.adapters.locate.find_files`. Nothing in a file
    is executed. A file without a strength plays at alpha = rank, and ``notes`` says so.

    Raises ``AdapterError`` naming the keys that are not understood or belong to nothing, halves
    that lack the other, shapes that contradict each other or the configuration, and numbers that
    are not finite. Golden data: all of ``adapters/``.
    """
    path = Path(path)
    files = find_files(path)
    tensors, entries = read_tensors(files.weights)
    grouped = _group(tensors, files.weights)
    alphas_given = {m: parts.pop("alpha") for m, parts in grouped.items() if "alpha" in parts}
    weights = _check_weights(grouped, files.weights)
    settings = _read_settings(files, entries)
    adapter = Adapter(
        weights=weights,
        alphas={},
        use_dora=any("magnitude" in parts for parts in grouped.values()),
        card=_find_card(files, entries),
        source=path,
        layout=_layout(files, entries, tensors),
    )
    modules = sorted(grouped)
    if settings is None:
        return _without_settings(adapter, modules, alphas_given, files.weights)
    return _with_settings(adapter, modules, settings, alphas_given, files)


def save_adapter(transformer: nn.Module, folder: Path, *, card: Mapping[str, Any]) -> None:
    """Write the attached adapter into ``folder`` (made if need be) as PEFT does, with a card.

    ``PeftModel.from_pretrained(transformer, folder)`` plays it at the trained strength.
    """
    write_peft(trained_adapter(transformer, card), folder)


def trained_adapter(transformer: nn.Module, card: Mapping[str, Any]) -> Adapter:
    """The attached adapter as it is now; the weights are copies on the CPU."""
    config = cast(Any, transformer).peft_config[NAME]
    layers = attached(transformer)
    return Adapter(
        weights={
            name.removeprefix(PREFIX): parameter.detach().to("cpu", torch.float32, copy=True)
            for name, parameter in trainable_parameters(transformer).items()
        },
        alphas={module: layer.lora_alpha[NAME] for module, layer in layers.items()},
        use_dora=config.use_dora,
        use_rslora=config.use_rslora,
        dropout=config.lora_dropout,
        targets=tuple(sorted(config.target_modules)),
        card=dict(card),
    )


def load_adapter_weights(transformer: nn.Module, folder: Path) -> None:
    """Put a saved adapter's weights into the attached one, exactly.

    Raises ``AdapterError`` unless every name, shape and strength of both is the same; nothing has
    changed then.
    """
    adapter = read_adapter(folder)
    parameters = trainable_parameters(transformer)
    saved = {f"{PREFIX}{name}": tensor for name, tensor in adapter.weights.items()}
    wrong = [f"{name} (missing)" for name in parameters if name not in saved]
    wrong += [f"{name} (unexpected)" for name in saved if name not in parameters]
    wrong += [
        f"{name} (shape {tuple(saved[name].shape)}, needs {tuple(parameter.shape)})"
        for name, parameter in parameters.items()
        if name in saved and saved[name].shape != parameter.shape
    ]
    if not wrong:
        wrong = [
            f"{module} (strength {adapter.scaling(module):g}, needs {layer.scaling[NAME]:g})"
            for module, layer in attached(transformer).items()
            if not math.isclose(adapter.scaling(module), layer.scaling[NAME])
        ]
    if wrong:
        raise AdapterError(
            f"{folder} does not fit the adapter that is being trained: {_some(wrong)}",
            hint="resume with the rank, alpha, targets and kind the run was started with",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])


def _group(tensors: Mapping[str, Tensor], file: Path) -> dict[str, dict[Part, Tensor]]:
    """Tensors by module and part. Raises ``AdapterError`` if any key is left over."""
    grouped: dict[str, dict[Part, Tensor]] = {}
    strange, doubled = [], []
    for key in sorted(tensors):
        parsed = parse_key(key)
        if parsed is None:
            strange.append(key)
            continue
        module, part = parsed
        if part in grouped.setdefault(module, {}):
            doubled.append(key)
        grouped[module][part] = tensors[key]
    if strange:
        other = any(kind in key for key in strange for kind in _OTHER_KINDS)
        raise AdapterError(
            f"{file}: {len(strange)} of {len(tensors)} keys match nothing in the model: "
            f"{_some(strange)}",
            hint="it is of another kind; LoRA, rsLoRA and DoRA are read"
            if other
            else "it was made for another model, or by a program whose names are not known here",
        )
    if doubled:
        raise AdapterError(f"{file} holds the same thing twice: {_some(doubled)}", hint=_AGAIN)
    if not grouped:
        raise AdapterError(f"{file} holds no weights", hint=_AGAIN)
    return grouped


def _check_weights(grouped: Mapping[str, Mapping[Part, Tensor]], file: Path) -> dict[str, Tensor]:
    """Float32 weights by name. Raises ``AdapterError`` unless every module is whole and sound."""
    wrong = []
    weights: dict[str, Tensor] = {}
    for module, parts in sorted(grouped.items()):
        problem = _problem(parts)
        if problem:
            wrong.append(f"{module} ({problem})")
            continue
        for part, tensor in parts.items():
            shaped = tensor.reshape(-1) if part == "magnitude" else tensor
            weights[f"{module}.{_PART_NAMES[part]}"] = shaped.to("cpu", torch.float32).contiguous()
    if wrong:
        raise AdapterError(
            f"{file}: {len(wrong)} of {len(grouped)} modules are damaged: {_some(wrong)}",
            hint=_AGAIN,
        )
    dora = [module for module, parts in grouped.items() if "magnitude" in parts]
    if dora and len(dora) < len(grouped):
        rest = sorted(grouped.keys() - set(dora))
        raise AdapterError(
            f"{file} has DoRA magnitudes for {len(dora)} of {len(grouped)} modules only; "
            f"not for {_some(rest)}",
            hint=_AGAIN,
        )
    return weights


def _problem(parts: Mapping[Part, Tensor]) -> str:
    """What is wrong with one module's tensors, or nothing."""
    for part, name in (("down", "A"), ("up", "B")):
        if part not in parts:
            return f"has no {name}"
    down, up = parts["down"], parts["up"]
    if any(not tensor.is_floating_point() for tensor in parts.values()):
        return "holds integers"
    if down.ndim != 2 or up.ndim != 2 or 0 in (*down.shape, *up.shape):
        return f"A is {tuple(down.shape)}, B is {tuple(up.shape)}; both must be matrices"
    if down.shape[0] != up.shape[1]:
        return f"A is {tuple(down.shape)}, B is {tuple(up.shape)}; their ranks differ"
    if "magnitude" in parts and parts["magnitude"].shape not in ((len(up),), (len(up), 1)):
        return f"magnitudes are {tuple(parts['magnitude'].shape)}, one for each of {len(up)} needed"
    if any(not bool(torch.isfinite(tensor.float()).all()) for tensor in parts.values()):
        return "holds NaN or Inf"
    return ""


def _read_settings(files: AdapterFiles, entries: Mapping[str, str]) -> Settings | None:
    """From the configuration beside the weights, else from a diffusers header, else none."""
    if files.config is not None:
        return parse_settings(read_json(files.config), files.config)
    if _DIFFUSERS_HEADER not in entries:
        return None
    table = parse_json(entries[_DIFFUSERS_HEADER], files.weights)
    if isinstance(table, dict):
        table = {key.removeprefix("transformer."): value for key, value in table.items()}
    return parse_settings(table, files.weights)


def _with_settings(
    adapter: Adapter,
    modules: list[str],
    settings: Settings,
    alphas_given: Mapping[str, Tensor],
    files: AdapterFiles,
) -> Adapter:
    where = files.config or files.weights
    if alphas_given:
        raise AdapterError(
            f"{files.weights} holds .alpha tensors and {where.name} an alpha: which one counts?",
            hint="remove the configuration, or the .alpha tensors",
        )
    if settings.use_dora != adapter.use_dora:
        says, has = ("DoRA", "no magnitudes") if settings.use_dora else ("LoRA", "DoRA magnitudes")
        raise AdapterError(f"{where} says {says}, but {files.weights.name} has {has}", hint=_AGAIN)
    adapter = replace(
        adapter,
        alphas={module: settings.alpha(module) for module in modules},
        use_rslora=settings.use_rslora,
        dropout=settings.lora_dropout,
        targets=settings.target_modules,
    )
    wrong = [
        f"{module} (rank {adapter.rank(module)}, said to be {settings.rank(module)})"
        for module in modules
        if adapter.rank(module) != settings.rank(module)
    ]
    if wrong:
        raise AdapterError(
            f"{files.weights} contradicts {where.name}: {_some(wrong)}",
            hint=_AGAIN,
        )
    if settings.base and "base_model" not in adapter.card:
        adapter.card["base_model"] = plain_name(settings.base)
    return adapter


def _without_settings(
    adapter: Adapter, modules: list[str], alphas_given: Mapping[str, Tensor], file: Path
) -> Adapter:
    wrong = [
        module
        for module, alpha in alphas_given.items()
        if alpha.numel() != 1 or not math.isfinite(alpha.item())
    ]
    wrong += [module for module in alphas_given if module not in modules]
    if wrong:
        raise AdapterError(
            f"{file} has an .alpha that is no number: {_some(sorted(wrong))}", hint=_AGAIN
        )
    bare = [module for module in modules if module not in alphas_given]
    note = f"{file.name} gives no strength for {len(bare)} of {len(modules)} modules: alpha = rank"
    return replace(
        adapter,
        alphas={
            module: float(alphas_given[module]) if module in alphas_given else adapter.rank(module)
            for module in modules
        },
        notes=(note,) if bare else (),
    )


def _find_card(files: AdapterFiles, entries: Mapping[str, str]) -> dict[str, Any]:
    card = read_card(entries, files.weights)
    beside = files.weights.parent / CARD_FILE
    if card or files.config is None or not beside.is_file():
        return card
    record = read_json(beside)
    return check_card(record.get("card") if isinstance(record, dict) else None)


def _layout(files: AdapterFiles, entries: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    original = any("_proj" in key and ".mlp." not in key and "_mlp_" not in key for key in tensors)
    if files.config is not None:
        return "upstream" if original else "peft"
    if _DIFFUSERS_HEADER in entries or all(key.startswith("transformer.") for key in tensors):
        return "diffusers"
    return "comfyui"


def _some(names: list[str]) -> str:
    kinds = Counter(names)
    more = len(kinds) - _SHOWN
    return ", ".join(list(kinds)[:_SHOWN]) + (f" … and {more} more" if more > 0 else "")
