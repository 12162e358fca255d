import json

import pytest
import torch
from adapter_data import (
    ADAPTERS,
    FOLDERS,
    TOLERANCE,
    furthest,
    golden_velocity,
    mounted_velocity,
    tiny_transformer,
    velocity,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.layouts import write_comfyui, write_diffusers, write_peft


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("pickled", [False, True])
def test_peft_folders_read_back(letter, original, pickled, tmp_path):
    write_peft(read_adapter(FOLDERS[letter]), tmp_path, original=original, pickled=pickled)
    assert furthest(mounted_velocity(tmp_path), golden_velocity(f"{letter}.velocity")) < TOLERANCE
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["auto_mapping"] is None
    assert config["task_type"] == ("FEATURE_EXTRACTION" if original else None)


def test_diffusers_files_have_the_keys_and_the_header_of_the_golden_one(tmp_path):
    name = "pytorch_lora_weights.safetensors"
    write_diffusers(read_adapter(FOLDERS["A"]), tmp_path)
    golden, ours = (
        load_file(folder / name) for folder in (ADAPTERS / "diffusers_lora_attn_r4_a8", tmp_path)
    )
    assert golden.keys() == ours.keys()
    assert all(torch.equal(golden[key], ours[key]) for key in golden)
    headers = []
    for folder in (ADAPTERS / "diffusers_lora_attn_r4_a8", tmp_path):
        with safe_open(folder / name, framework="pt") as stored:
            headers.append(json.loads(stored.metadata()["lora_adapter_metadata"]))
    assert headers[1] == {key: headers[0][key] for key in headers[1]}
    assert {"transformer.r", "transformer.lora_alpha"} <= headers[1].keys()


@pytest.mark.parametrize("letter", "ABD")
def test_comfyui_adds_the_trained_change_to_the_weights(letter, tmp_path):
    """ComfyUI's rule, written out: W + alpha / rank · up · down, by the original's names."""
    write_comfyui(read_adapter(FOLDERS[letter]), tmp_path / "x.safetensors")
    tensors = load_file(tmp_path / "x.safetensors")
    rows = json.loads((ADAPTERS / "key_map.json").read_text(encoding="utf-8"))
    transformer = tiny_transformer()
    used = set()
    for row in rows:
        stem = row["comfyui_native"].removesuffix(".lora_down.weight")
        if f"{stem}.alpha" not in tensors:
            continue
        alpha, down, up = (
            tensors[f"{stem}.{tail}"] for tail in ("alpha", "lora_down.weight", "lora_up.weight")
        )
        used |= {f"{stem}.alpha", f"{stem}.lora_down.weight", f"{stem}.lora_up.weight"}
        module = transformer.get_submodule(row["diffusers_module"].removeprefix("transformer."))
        module.weight += alpha / down.shape[0] * up @ down
    assert used == set(tensors)
    assert furthest(velocity(transformer), golden_velocity(f"{letter}.velocity")) < TOLERANCE


@pytest.mark.parametrize("name", ["attn_r4_a8", "attn_mlp_patterns"])
def test_comfyui_files_have_the_keys_of_those_in_use(name, tmp_path):
    theirs = load_file(ADAPTERS / f"comfyui_native_{name}.safetensors")
    write_comfyui(read_adapter(ADAPTERS / f"upstream_peft_{name}"), tmp_path / "x.safetensors")
    ours = load_file(tmp_path / "x.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


MODULES = ["layers.0.self_attn.to_q", "layers.0.self_attn.to_out.0", "layers.1.cross_attn.to_v"]
MODULES += ["layers.11.cross_attn.to_v", "layers.1.mlp.down_proj", "condition_embedder"]
ONE = st.tuples(st.integers(1, 5), st.floats(0.125, 64, width=32))


@given(
    parts=st.dictionaries(st.sampled_from(MODULES), ONE, min_size=1),
    kind=st.sampled_from(["lora", "dora", "rslora"]),
)
@settings(max_examples=25, deadline=None)
def test_any_ranks_and_alphas_survive_every_layout(parts, kind, tmp_path_factory):
    weights = {}
    for module, (rank, _) in parts.items():
        weights[f"{module}.lora_A.weight"] = torch.randn(rank, 6)
        weights[f"{module}.lora_B.weight"] = torch.randn(7, rank)
        if kind == "dora":
            weights[f"{module}.lora_magnitude_vector"] = torch.rand(7)
    alphas = {module: alpha for module, (_, alpha) in parts.items()}
    adapter = Adapter(weights, alphas, kind == "dora", kind == "rslora")
    folder = tmp_path_factory.mktemp("x")
    write_peft(adapter, folder / "peft")
    write_peft(adapter, folder / "original", original=True)
    write_diffusers(adapter, folder / "diffusers")
    write_comfyui(adapter, folder / "comfyui" / "x.safetensors")
    for path in folder.iterdir():
        found = read_adapter(path)
        assert found.weights.keys() == weights.keys()
        assert all(torch.equal(found.weights[key], weights[key]) for key in weights)
        for module in alphas:
            assert found.scaling(module) == pytest.approx(adapter.scaling(module), rel=1e-6)
