"""What PEFT's ``adapter_config.json`` (or the header of a diffusers file) says about an adapter."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from acestep.adapters.adapter import Adapter
from acestep.adapters.names import original_target, rename_target
from acestep.errors import AdapterError
from acestep.model.convert import restore_module

# Settings that change what the weights mean and that nothing here computes; false values are fine.
_UNSUPPORTED = (
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")  # those that leave the base alone


@dataclass(frozen=True)
class Settings:
    """Rank and alpha of every module, kind, targets: PEFT's fields of the same names."""

    r: int
    lora_alpha: float
    rank_pattern: dict[str, int] = field(default_factory=dict)
    alpha_pattern: dict[str, float] = field(default_factory=dict)
    use_dora: bool = False
    use_rslora: bool = False
    lora_dropout: float = 0.0
    target_modules: tuple[str, ...] = ()
    base: str = ""

    def rank(self, module: str) -> int:
        """The rank of a module, named as in diffusers."""
        return _lookup(self.rank_pattern, module, self.r)

    def alpha(self, module: str) -> float:
        """The alpha of a module, named as in diffusers."""
        return _lookup(self.alpha_pattern, module, self.lora_alpha)


def parse_settings(config: Any, where: Path) -> Settings:
    """Check a configuration as it was read from JSON. Nothing in it is imported, opened or run.

    Raises ``AdapterError`` if it is no LoRA, asks for something that is not supported, or has
    values that make no sense; ``where`` is named in the message.
    """
    if not isinstance(config, dict):
        raise _wrong(where, "is not a table of settings")
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise _wrong(where, f"describes an adapter of kind {kind!r}", "only LoRA, rsLoRA and DoRA")
    for name in _UNSUPPORTED:
        if config.get(name):
            raise _wrong(where, f"asks for {name} = {config[name]!r}, which is not supported")
    if config.get("bias", "none") != "none":
        raise _wrong(where, f"trains biases (bias = {config['bias']!r}), which is not supported")
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        raise _wrong(
            where,
            f"was started with init_lora_weights = {start!r}, which changes the base model too",
            "convert it to a plain LoRA with PEFT first",
        )
    _check_mapping(config.get("auto_mapping"), where)
    targets = config.get("target_modules")
    base = config.get("base_model_name_or_path")
    return Settings(
        r=_rank(config.get("r"), "r", where),
        lora_alpha=_number(config.get("lora_alpha"), "lora_alpha", where),
        rank_pattern={
            key: _rank(value, f"rank_pattern[{key!r}]", where)
            for key, value in _patterns(config, "rank_pattern", where)
        },
        alpha_pattern={
            key: _number(value, f"alpha_pattern[{key!r}]", where)
            for key, value in _patterns(config, "alpha_pattern", where)
        },
        use_dora=_flag(config, "use_dora", where),
        use_rslora=_flag(config, "use_rslora", where),
        lora_dropout=_number(config.get("lora_dropout", 0.0), "lora_dropout", where),
        target_modules=tuple(sorted(rename_target(name) for name in _names(targets, where))),
        base=base if isinstance(base, str) else "",
    )


def peft_config(adapter: Adapter, *, original: bool = False) -> dict[str, Any]:
    """``adapter_config.json`` for an adapter, with diffusers' or the original's module names."""
    rename = restore_module if original else str
    ranks = {module: adapter.rank(module) for module in adapter.modules}
    rank, alpha = _most_common(ranks.values()), _most_common(adapter.alphas.values())
    targets = adapter.targets
    if not _cover(targets, adapter.modules):
        targets = tuple(adapter.modules)
    return {
        "alpha_pattern": {
            rename(module): adapter.alphas[module]
            for module in adapter.modules
            if adapter.alphas[module] != alpha
        },
        "auto_mapping": None,
        "base_model_name_or_path": adapter.card.get("base_model"),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": alpha,
        "lora_dropout": adapter.dropout,
        "modules_to_save": None,
        "peft_type": "LORA",
        "peft_version": version("peft"),
        "r": rank,
        "rank_pattern": {
            rename(module): ranks[module] for module in adapter.modules if ranks[module] != rank
        },
        "target_modules": sorted(map(original_target, targets) if original else targets),
        "task_type": "FEATURE_EXTRACTION" if original else None,
        "use_dora": adapter.use_dora,
        "use_rslora": adapter.use_rslora,
    }


def whole(number: float) -> float | int:
    """8 instead of 8.0, which is how others write it."""
    return int(number) if float(number).is_integer() else number


def _lookup(patterns: dict[str, Any], module: str, default: Any) -> Any:
    """PEFT's rule: the first pattern to match the name's end; a module's original name does too."""
    for pattern, value in patterns.items():
        rule = rf"(.*\.)?({pattern})$"
        if re.match(rule, module) or re.match(rule, restore_module(module)):
            return value
    return default


def _cover(targets: tuple[str, ...], modules: list[str]) -> bool:
    """Whether PEFT would find every module by these targets."""
    ends = tuple(f".{target}" for target in targets)
    return all(module in targets or module.endswith(ends) for module in modules)


def _most_common(values: Any) -> Any:
    counts = Counter(values)
    return max(sorted(counts), key=lambda value: counts[value])


def _patterns(config: dict[str, Any], name: str, where: Path) -> list[tuple[str, Any]]:
    patterns = config.get(name) or {}
    if not isinstance(patterns, dict):
        raise _wrong(where, f"has {name} = {patterns!r}, which is no table")
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise _wrong(where, f"has the pattern {pattern!r} in {name}: {error}") from error
    return list(patterns.items())


def _names(targets: Any, where: Path) -> list[str]:
    """Suffixes of module names; a regular expression is left out, as the weights say it all."""
    if targets is None or isinstance(targets, str):
        return []
    if not isinstance(targets, list) or not all(
        isinstance(target, str) and re.fullmatch(r"\w+(\.\w+)*", target) for target in targets
    ):
        raise _wrong(where, f"has target_modules {targets!r}, which are no module names")
    return targets


def _check_mapping(mapping: Any, where: Path) -> None:
    """PEFT imports what stands here; nothing does so here, and no honest file holds a path."""
    values = list(mapping.values()) if isinstance(mapping, dict) else [] if not mapping else [None]
    for value in values:
        if not isinstance(value, str) or not re.fullmatch(r"\w+(\.\w+)*", value):
            raise _wrong(where, f"has auto_mapping {mapping!r}, which names no class")


def _flag(config: dict[str, Any], name: str, where: Path) -> bool:
    value = config.get(name, False)
    if value not in (True, False, None):
        raise _wrong(where, f"has {name} = {value!r}, which is neither true nor false")
    return bool(value)


def _rank(value: Any, name: str, where: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(where, f"has {name} = {value!r}, which is no rank")
    return value


def _number(value: Any, name: str, where: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(where, f"has {name} = {value!r}, which is no number")
    return whole(value)


def _wrong(where: Path, what: str, hint: str = "") -> AdapterError:
    return AdapterError(f"{where} {what}", hint=hint or "export or download the adapter again")
