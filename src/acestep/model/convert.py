"""The original checkpoint layout in terms of the diffusers classes: tensor names and configs.

An original checkpoint is one file (or several shards) with the parts ``decoder``, ``encoder``,
``tokenizer``, ``detokenizer`` and ``null_condition_emb``. Each name maps to exactly one component
and name of diffusers and back (golden data: ``state_dict_map.json``, all 220). The same rules
rename module paths, since they act on whole path components: ``layers.0.self_attn.q_proj`` is
``layers.0.self_attn.to_q`` with or without ``.weight`` behind it.
"""

from collections.abc import Mapping
from typing import Any, Literal

from acestep.errors import ModelError

Variant = Literal["turbo", "base", "sft"]

PREFIXES = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}
NULL_CONDITION = "null_condition_emb"  # top level in the original, in the condition encoder here

_ATTENTION = {
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "o_proj": "to_out.0",
    "q_norm": "norm_q",
    "k_norm": "norm_k",
}
_ATTENTION_BACK = {new: old for old, new in _ATTENTION.items()}
_PATCH = {"proj_in.1": "proj_in_conv", "proj_out.1": "proj_out_conv"}
_PATCH_BACK = {new: old for old, new in _PATCH.items()}


def rename_module(path: str) -> str:
    """A path inside the original's ``decoder`` (or another part) in diffusers' names."""
    parts = path.split(".")
    for at, part in enumerate(parts[:-1]):
        if part in ("self_attn", "cross_attn"):
            parts[at + 1] = _ATTENTION.get(parts[at + 1], parts[at + 1])
    head = ".".join(parts[:2])
    return ".".join([_PATCH[head], *parts[2:]]) if head in _PATCH else ".".join(parts)


def restore_module(path: str) -> str:
    """The inverse of :func:`rename_module`."""
    parts = path.split(".")
    parts[0] = _PATCH_BACK.get(parts[0], parts[0])
    for at, part in enumerate(parts[:-1]):
        if part not in ("self_attn", "cross_attn"):
            continue
        if parts[at + 1 : at + 3] == ["to_out", "0"]:
            parts[at + 1 : at + 3] = ["o_proj"]
        else:
            parts[at + 1] = _ATTENTION_BACK.get(parts[at + 1], parts[at + 1])
    return ".".join(parts)


def rename_key(key: str) -> tuple[str, str]:
    """``(component, name in diffusers)`` of an original tensor name.

    Raises :class:`ModelError` for a name that belongs to no part of the original.
    """
    if key == NULL_CONDITION:
        return "condition_encoder", NULL_CONDITION
    for component, prefix in PREFIXES.items():
        if key.startswith(prefix):
            return component, rename_module(key.removeprefix(prefix))
    raise ModelError(
        f"unexpected tensor {key!r}: not a part of an ACE-Step 1.5 checkpoint",
        hint="Use the checkpoint as it was published, not merged with anything else.",
    )


def restore_key(component: str, key: str) -> str:
    """The original tensor name: the inverse of :func:`rename_key`."""
    if component == "condition_encoder" and key == NULL_CONDITION:
        return NULL_CONDITION
    return PREFIXES[component] + restore_module(key)


def component_config(config: Mapping[str, Any], component: str) -> dict[str, Any]:
    """Constructor arguments of a component's diffusers class, read from the original config.json.

    XL configs describe everything but the decoder by ``encoder_*`` fields; the others fall back to
    the plain fields. Raises :class:`ModelError` naming a field that is missing.
    """
    if component == "transformer":
        return _decoder_config(config)
    shared = _encoder_fields(config)
    own: tuple[str, ...]
    match component:
        case "condition_encoder":
            depth = _field(config, "num_lyric_encoder_hidden_layers")
            own = (
                "text_hidden_dim",
                "timbre_hidden_dim",
                "num_lyric_encoder_hidden_layers",
                "num_timbre_encoder_hidden_layers",
            )
        case "audio_tokenizer":
            depth = _field(config, "num_attention_pooler_hidden_layers")
            own = (
                "audio_acoustic_hidden_dim",
                "pool_window_size",
                "fsq_dim",
                "fsq_input_levels",
                "fsq_input_num_quantizers",
                "num_attention_pooler_hidden_layers",
            )
        case "audio_token_detokenizer":
            depth = _field(config, "num_attention_pooler_hidden_layers")
            own = (
                "audio_acoustic_hidden_dim",
                "pool_window_size",
                "num_attention_pooler_hidden_layers",
            )
        case _:
            raise ValueError(f"not a component: {component!r}")
    layer_types = config.get("layer_types")
    enough = layer_types is not None and len(layer_types) >= depth
    return {
        **shared,
        **{name: _field(config, name) for name in own},
        "layer_types": list(layer_types[:depth]) if layer_types and enough else None,
    }


def is_xl(config: Mapping[str, Any]) -> bool:
    """Whether the encoders are narrower than the decoder, as in every XL variant.

    Works on the original's config and on that of diffusers' transformer. XL's timbre encoder
    prepends a token of its own (see :func:`acestep.model.condition.encode_condition`).
    """
    width = config.get("encoder_hidden_size")
    return width is not None and width != config.get("hidden_size")


def variant_of(config: Mapping[str, Any], name: str = "") -> Variant:
    """``turbo``, ``base`` or ``sft``, from the config, else from the folder's name."""
    version = str(config.get("model_version") or "").lower()
    if config.get("is_turbo") or "turbo" in version:
        return "turbo"
    if "sft" in version or ("base" not in version and "sft" in name.lower()):
        return "sft"
    return "base"


def _decoder_config(config: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "in_channels",
        "audio_acoustic_hidden_dim",
        "patch_size",
    )
    return {
        **{name: _field(config, name) for name in names},
        **_common_fields(config),
        "layer_types": config.get("layer_types"),
        "encoder_hidden_size": config.get("encoder_hidden_size"),
        "is_turbo": bool(config.get("is_turbo", False)),
        "model_version": config.get("model_version"),
    }


def _encoder_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    wide = {name: config.get(f"encoder_{name}") or _field(config, name) for name in names}
    return {**wide, **_common_fields(config)}


def _common_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    theta = config.get("rope_theta")
    if theta is None:  # newer transformers write it one level down
        theta = (config.get("rope_parameters") or {}).get("rope_theta")
    if theta is None:
        raise _missing("rope_theta")
    return {
        "head_dim": _field(config, "head_dim"),
        "rope_theta": theta,
        "rms_norm_eps": _field(config, "rms_norm_eps"),
        "sliding_window": _field(config, "sliding_window"),
        "attention_bias": config.get("attention_bias", False),
        "attention_dropout": config.get("attention_dropout", 0.0),
    }


def _field(config: Mapping[str, Any], name: str) -> Any:
    if config.get(name) is None:
        raise _missing(name)
    return config[name]


def _missing(name: str) -> ModelError:
    return ModelError(
        f"config.json has no {name!r}", hint="Download the checkpoint's config.json again."
    )
