import json

import pytest
from adapter_data import ADAPTERS

from acestep.adapters.names import original_target, parse_key, parse_module, rename_target
from acestep.model.convert import restore_module

ROWS = json.loads((ADAPTERS / "key_map.json").read_text(encoding="utf-8"))
LINEAR = [row for row in ROWS if "conv" not in row["diffusers_module"]]
LAYOUTS = (
    "upstream_peft",
    "peft_on_diffusers",
    "diffusers_pipeline",
    "comfyui_native",
    "comfyui_generic",
    "comfyui_kohya",
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_linear_layer_is_known_by_every_name(layout):
    assert len(LINEAR) == 51
    for row in LINEAR:
        module = row["diffusers_module"].removeprefix("transformer.")
        assert parse_key(row[layout]) == (module, "down")
        assert restore_module(module) == row["upstream_module"].removeprefix("decoder.")


def test_lycoris_names_are_known_too():
    for row in LINEAR:
        stem = row["comfyui_lycoris"].removesuffix(".lokr_w1")
        module = row["diffusers_module"].removeprefix("transformer.")
        assert parse_key(f"{stem}.lora_up.weight") == (module, "up")
        assert parse_key(f"{stem}.dora_scale") == (module, "magnitude")
        assert parse_key(f"{stem}.alpha") == (module, "alpha")
        assert parse_key(row["comfyui_lycoris"]) is None


@pytest.mark.parametrize(
    "tail, part",
    [
        ("lora_A.weight", "down"),
        ("lora_A.default.weight", "down"),
        ("lora_A.my_adapter.weight", "down"),
        ("lora_down.weight", "down"),
        ("lora_B.weight", "up"),
        ("lora_B.default.weight", "up"),
        ("lora_up.weight", "up"),
        ("alpha", "alpha"),
        ("dora_scale", "magnitude"),
        ("lora_magnitude_vector", "magnitude"),
        ("lora_magnitude_vector.weight", "magnitude"),
        ("lora_magnitude_vector.default.weight", "magnitude"),
    ],
)
@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "decoder.",
        "transformer.",
        "base_model.model.",
        "base_model.model.base_model.model.",
        "diffusion_model.decoder.",
        "diffusion_model.",
    ],
)
def test_prefixes_and_endings(prefix, tail, part):
    key = f"{prefix}layers.10.cross_attn.o_proj.{tail}"
    assert parse_key(key) == ("layers.10.cross_attn.to_out.0", part)


@pytest.mark.parametrize(
    "key",
    [
        "layers.0.self_attn.q_proj.weight",
        "layers.0.self_attn.q_proj.lora_A",
        "layers.0.self_attn.q_proj.lora_A.weight.more",
        "layers.0.self_attn.lora_A.weight",
        "layers.0.self_attn.q_projx.lora_A.weight",
        "layers.x.self_attn.q_proj.lora_A.weight",
        "xlayers.0.self_attn.q_proj.lora_A.weight",
        "encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "text_encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "layers.0.mlp.q_proj.lora_A.weight",
        "layers.0.self_attn.q_proj.lora_B.bias",
        "layers.0.self_attn.q_proj.hada_w1_a",
        "proj_in_conv.lora_A.weight",
        "../layers.0.self_attn.q_proj.lora_A.weight",
        "layers.0.self_attn.q_proj/../x.lora_A.weight",
        "",
    ],
)
def test_keys_that_are_not_understood(key):
    assert parse_key(key) is None


def test_whole_path_components_are_renamed_not_parts_of_them():
    assert parse_module("layers.0.self_attn.q_proj") == "layers.0.self_attn.to_q"
    assert rename_target("o_proj") == "to_out.0"
    assert rename_target("layers.0.self_attn.o_proj") == "layers.0.self_attn.to_out.0"
    assert rename_target("no_proj") == "no_proj"
    for target in ("q_proj", "k_proj", "v_proj", "o_proj", "self_attn.o_proj", "gate_proj"):
        assert original_target(rename_target(target)) == target
