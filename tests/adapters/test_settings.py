import dataclasses
import json
from pathlib import Path

import pytest
from adapter_data import (
    FOLDERS,
    copy_adapter,
    edit_config,
)

from acestep.adapters.files import read_adapter
from acestep.adapters.settings import parse_settings, peft_config, whole
from acestep.errors import AdapterError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"peft_type": "LOHA"}, "'LOHA'"),
        ({"r": 1_000_000_000}, "said to be 1000000000"),
        ({"r": -4}, "no rank"),
        ({"r": "4"}, "no rank"),
        ({"r": True}, "no rank"),
        ({"lora_alpha": None}, "lora_alpha = None"),
        ({"lora_alpha": float("nan")}, "lora_alpha = nan"),
        ({"use_dora": True}, "says DoRA"),
        ({"use_dora": "yes"}, "neither true nor false"),
        ({"bias": "all"}, "biases"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"modules_to_save": ["condition_embedder"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "changes the base model"),
        ({"rank_pattern": {"(": 4}}, r"pattern '\('"),
        ({"rank_pattern": {"q_proj": 8}}, "said to be 8"),
        ({"alpha_pattern": ["q_proj"]}, "no table"),
        ({"alpha_pattern": {"q_proj": "8"}}, "no number"),
        ({"target_modules": ["../../etc/passwd"]}, "no module names"),
        ({"target_modules": {"a": 1}}, "no module names"),
        (
            {"auto_mapping": {"base_model_class": "../evil", "parent_library": "os"}},
            "names no class",
        ),
        ({"auto_mapping": {"base_model_class": "x", "parent_library": "/tmp/evil.py"}}, "names no"),
        ({"auto_mapping": "../x"}, "names no class"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(changes, message, tmp_path):
    folder = edit_config(copy_adapter("A", tmp_path / "a"), **changes)
    with pytest.raises(AdapterError, match=message) as caught:
        read_adapter(folder)
    assert CONFIG in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\ufeffnull", "[" * 100_000])
def test_malformed_configurations(text, tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    (folder / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(AdapterError, match=CONFIG):
        read_adapter(folder)


def test_a_configuration_without_weights(tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    (folder / WEIGHTS).unlink()
    with pytest.raises(AdapterError, match="none of adapter_model.safetensors"):
        read_adapter(folder)


def test_patterns_by_either_name_and_with_an_anchor(tmp_path):
    folder = edit_config(
        copy_adapter("B", tmp_path / "b"),
        rank_pattern={"^layers.0.self_attn.to_q": 2},
        alpha_pattern={r"layers\.0\.self_attn\.q_proj": 6, "mlp.down_proj": 1},
    )
    adapter = read_adapter(folder)
    assert adapter.alphas["layers.0.self_attn.to_q"] == 6
    assert adapter.alphas["layers.3.mlp.down_proj"] == 1
    assert adapter.alphas["layers.0.self_attn.to_k"] == 4


@pytest.mark.parametrize("letter", "ABCD")
def test_the_golden_configurations_and_back(letter):
    golden = json.loads((FOLDERS[letter] / CONFIG).read_text())
    settings = parse_settings(golden, Path("x"))
    adapter = read_adapter(FOLDERS[letter])
    for module in adapter.modules:
        assert settings.rank(module) == adapter.rank(module)
        assert settings.alpha(module) == adapter.alphas[module]
    ours = peft_config(adapter, original=True)
    assert set(ours.pop("target_modules")) == set(golden.pop("target_modules"))
    assert ours == {key: golden[key] for key in ours}
    diffusers = parse_settings(peft_config(adapter), Path("x"))
    for module in adapter.modules:
        assert diffusers.rank(module) == adapter.rank(module)
        assert diffusers.alpha(module) == adapter.alphas[module]


def test_targets_that_miss_a_module_are_replaced_by_whole_names():
    adapter = read_adapter(FOLDERS["B"])
    assert set(peft_config(adapter)["target_modules"]) == set(adapter.targets)
    for targets in ((), ("to_q",)):
        told = peft_config(dataclasses.replace(adapter, targets=targets))
        assert told["target_modules"] == adapter.modules


def test_numbers_are_written_as_others_write_them():
    assert repr(whole(8.0)) == "8" and repr(whole(8.5)) == "8.5"
