import json
from pathlib import Path

import pytest
from safetensors import safe_open

from acestep.errors import ModelError
from acestep.model.convert import (
    component_config,
    is_xl,
    rename_key,
    rename_module,
    restore_key,
    restore_module,
    variant_of,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TABLE = json.loads((GOLDEN / "state_dict_map.json").read_text())
CONFIG = json.loads((GOLDEN / "upstream_tiny/acestep-v15-turbo/config.json").read_text())
COMPONENTS = ["transformer", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer"]


def test_all_220_tensors_are_renamed_as_in_the_golden_table_and_back():
    assert len(TABLE) == 220
    for original, (component, key) in TABLE.items():
        assert rename_key(original) == (component, key)
        assert restore_key(component, key) == original


def test_the_tensors_behind_both_names_are_the_same():
    original = safe_open(GOLDEN / "upstream_tiny/acestep-v15-turbo/model.safetensors", "pt")
    for component in COMPONENTS:
        file = GOLDEN / "diffusers_tiny" / component / "diffusion_pytorch_model.safetensors"
        with safe_open(file, "pt") as stored:
            for key in stored.keys():  # noqa: SIM118
                if key != "silence_latent":
                    mine = original.get_tensor(restore_key(component, key))
                    assert mine.equal(stored.get_tensor(key)), key


def test_module_paths_are_renamed_by_whole_components():
    for path in ("layers.3.cross_attn.o_proj", "proj_in.1", "layers.0.mlp.up_proj", "q_proj"):
        assert restore_module(rename_module(path)) == path
    assert rename_module("layers.3.cross_attn.o_proj") == "layers.3.cross_attn.to_out.0"
    assert rename_module("q_proj") == "q_proj"  # only inside attention
    assert rename_module("layers.0.self_attn.q_proj.lora_A") == "layers.0.self_attn.to_q.lora_A"


@pytest.mark.parametrize("key", ["lm_head.weight", "decoderx.norm_out.weight", ""])
def test_foreign_tensors_are_refused(key):
    with pytest.raises(ModelError, match="unexpected tensor"):
        rename_key(key)


@pytest.mark.parametrize("component", COMPONENTS)
def test_configs_equal_those_of_the_converted_checkpoint(component):
    file = GOLDEN / "diffusers_tiny" / component / "config.json"
    expected = {key: value for key, value in json.loads(file.read_text()).items() if key[0] != "_"}
    ours = component_config(CONFIG, component)
    if component == "transformer":
        assert (ours.pop("encoder_hidden_size"), expected.pop("encoder_hidden_size")) == (None, 32)
    if component == "condition_encoder":  # null there: the alternation that ours spells out
        assert expected.pop("layer_types") is None
        assert ours.pop("layer_types") == ["sliding_attention", "full_attention"] * 1 + [
            "sliding_attention"
        ]
    assert ours == expected


def test_rope_theta_is_found_where_newer_transformers_write_it():
    config = {key: value for key, value in CONFIG.items() if key != "rope_theta"}
    with pytest.raises(ModelError, match="rope_theta"):
        component_config(config, "transformer")
    config["rope_parameters"] = {"rope_theta": 5e5, "rope_type": "default"}
    assert component_config(config, "audio_tokenizer")["rope_theta"] == 5e5


def test_a_missing_field_is_named():
    config = {key: value for key, value in CONFIG.items() if key != "text_hidden_dim"}
    with pytest.raises(ModelError, match="text_hidden_dim"):
        component_config(config, "condition_encoder")


def test_xl_configs_describe_the_encoders_by_their_own_fields():
    xl = {**CONFIG, "hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 6,
          "encoder_hidden_size": 32, "encoder_intermediate_size": 80,
          "encoder_num_attention_heads": 4, "encoder_num_key_value_heads": 2}  # fmt: skip
    assert is_xl(xl) and not is_xl(CONFIG) and not is_xl({**CONFIG, "encoder_hidden_size": 32})
    decoder = component_config(xl, "transformer")
    assert (decoder["hidden_size"], decoder["encoder_hidden_size"]) == (48, 32)
    for component in COMPONENTS[1:]:
        assert component_config(xl, component) == component_config(CONFIG, component)


@pytest.mark.parametrize(
    ("config", "name", "variant"),
    [
        ({"is_turbo": True}, "", "turbo"),
        ({"is_turbo": False, "model_version": "xl-turbo"}, "", "turbo"),
        ({"model_version": "base"}, "acestep-v15-sft", "base"),
        ({"model_version": "sft"}, "", "sft"),
        ({"model_version": None}, "acestep-v15-xl-sft", "sft"),
        ({}, "anything", "base"),
    ],
)
def test_variants(config, name, variant):
    assert variant_of(config, name) == variant
