"""The names under which adapter weights are kept, in every layout that is read.

A key is a prefix, a module's path and what the tensor is::

    base_model.model.  layers.0.self_attn.q_proj  .lora_A.weight          PEFT, original names
    base_model.model.  layers.0.self_attn.to_q    .lora_A.weight          PEFT, diffusers names
    transformer.       layers.0.self_attn.to_q    .lora_A.weight          diffusers
    base_model.model.  layers.0.self_attn.q_proj  .lora_down.weight       ComfyUI
    diffusion_model.decoder.  layers.0.self_attn.q_proj  .lora_up.weight  ComfyUI, generic
    lora_unet_decoder_ layers_0_self_attn_q_proj  .alpha                  ComfyUI, kohya
    lycoris_           layers_0_self_attn_q_proj  .dora_scale             ComfyUI, LyCORIS

Golden data: ``adapters/key_map.json`` has every module in every layout.
"""

import re
from typing import Literal

from acestep.model.convert import rename_module

Part = Literal["down", "up", "alpha", "magnitude"]

_PREFIXES = (
    "base_model.model.",
    "diffusion_model.",
    "transformer.",
    "decoder.",
    "lora_unet_decoder_",
    "lora_unet_",
    "lora_transformer_",
    "lycoris_decoder_",
    "lycoris_",
)
_INFIX = r"(\.\w+)?"  # PEFT's name of the adapter, where a raw state was saved
_PARTS: tuple[tuple[Part, re.Pattern[str]], ...] = (
    ("down", re.compile(rf"(.+)\.(?:lora_A{_INFIX}|lora_down|lora\.down)\.weight")),
    ("up", re.compile(rf"(.+)\.(?:lora_B{_INFIX}|lora_up|lora\.up)\.weight")),
    ("alpha", re.compile(r"(.+)\.alpha")),
    (
        "magnitude",
        re.compile(rf"(.+)\.(?:dora_scale|lora_magnitude_vector{_INFIX}(?:\.weight)?)"),
    ),
)
_MODULE = re.compile(
    r"layers\.\d{1,4}\.(?:(?:self_attn|cross_attn)\.(?:to_q|to_k|to_v|to_out\.0)"
    r"|mlp\.(?:gate_proj|up_proj|down_proj))"
    r"|condition_embedder|time_embed(?:_r)?\.(?:linear_1|linear_2|time_proj)"
)
_UNDERSCORED = re.compile(
    r"layers_(\d{1,4})_(self_attn|cross_attn|mlp)_"
    r"(q_proj|k_proj|v_proj|o_proj|to_q|to_k|to_v|to_out_0|gate_proj|up_proj|down_proj)"
)
_UNDERSCORED_HEADS = {
    f"{head}_{leaf}": f"{head}.{leaf}"
    for head in ("time_embed", "time_embed_r")
    for leaf in ("linear_1", "linear_2", "time_proj")
}
_LEAVES = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "o_proj": "to_out.0"}


def parse_key(key: str) -> tuple[str, Part] | None:
    """Which linear layer of the transformer a tensor belongs to, in diffusers' names, and what it
    is there; None for a key that is not understood, to its last character."""
    for part, pattern in _PARTS:
        if match := pattern.fullmatch(key):
            module = parse_module(match[1])
            return (module, part) if module else None
    return None


def parse_module(path: str) -> str | None:
    """A module's path without its prefixes and in diffusers' names; None if there is no such one.

    Prefixes may repeat: a model that was wrapped twice saves them twice.
    """
    while prefix := next((p for p in _PREFIXES if path.startswith(p)), None):
        path = path.removeprefix(prefix)
    if match := _UNDERSCORED.fullmatch(path):
        number, block, leaf = match.groups()
        path = f"layers.{number}.{block}.{leaf.replace('to_out_0', 'to_out.0')}"
    module = rename_module(_UNDERSCORED_HEADS.get(path, path))
    return module if _MODULE.fullmatch(module) else None


def rename_target(target: str) -> str:
    """A suffix of a module's path (``q_proj``, ``self_attn.o_proj``) in diffusers' names."""
    head, dot, leaf = target.rpartition(".")
    return head + dot + _LEAVES.get(leaf, leaf)


def original_target(target: str) -> str:
    """The inverse of :func:`rename_target`."""
    for old, new in _LEAVES.items():
        if target == new or target.endswith(f".{new}"):
            return target.removesuffix(new) + old
    return target
