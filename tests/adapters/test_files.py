import shutil

import pytest
import torch
from adapter_data import (
    ADAPTERS,
    FOLDERS,
    TOLERANCE,
    copy_adapter,
    edit_config,
    furthest,
    golden_velocity,
    mounted_velocity,
    tiny_transformer,
    trained,
    velocity,
)
from peft import PeftModel
from safetensors.torch import load_file, save_file

from acestep.adapters.attach import trainable_parameters
from acestep.adapters.files import load_adapter_weights, read_adapter, save_adapter
from acestep.adapters.mount import mount
from acestep.errors import AdapterError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CARD = {
    "base_model": "mini",
    "base_fingerprint": "abc",
    "dataset": {"name": "my | jazz", "tag": "myjazz", "songs": 8},
    "step": 12,
    "held_out_loss": 0.123456789,
}


def values(transformer):
    return {n: p.detach().clone() for n, p in trainable_parameters(transformer).items()}


# Saving and resuming


@pytest.mark.parametrize("kind", ["lora", "dora", "rslora"])
@pytest.mark.parametrize("targets", ["attention", "attention+mlp", "self", r"layers\.1\..*to_v"])
def test_what_is_saved_plays_the_same_here_and_in_peft(kind, targets, tmp_path):
    transformer = trained(adapter=kind, targets=targets)
    expected = velocity(transformer)
    save_adapter(transformer, tmp_path / "a", card=CARD)
    assert furthest(mounted_velocity(tmp_path / "a"), expected) < 1e-5
    theirs = PeftModel.from_pretrained(tiny_transformer(), tmp_path / "a")
    assert furthest(velocity(theirs.eval()), expected) < 1e-5
    saved = load_file(tmp_path / "a" / WEIGHTS)
    assert saved.keys() == trainable_parameters(transformer).keys()


def test_the_same_adapter_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save_adapter(trained(), tmp_path / name, card=CARD)
    for file in (WEIGHTS, CONFIG, "README.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("kind", ["lora", "dora", "rslora"])
def test_resuming_brings_back_every_bit(kind, tmp_path):
    transformer = trained(adapter=kind)
    save_adapter(transformer, tmp_path, card={})
    other = trained(seed=1, adapter=kind)
    load_adapter_weights(other, tmp_path)
    assert all(torch.equal(v, values(other)[n]) for n, v in values(transformer).items())
    assert all(p.requires_grad for p in trainable_parameters(other).values())


def test_original_names_can_be_resumed_from():
    transformer = trained(dropout=0)
    load_adapter_weights(transformer, FOLDERS["A"])
    assert furthest(velocity(transformer), golden_velocity("A.velocity")) < TOLERANCE


@pytest.mark.parametrize(
    "knobs, message",
    [
        ({"rank": 8, "alpha": 16}, r"lora_A.weight \(shape \(4, 32\), needs \(8, 32\)\)"),
        ({"targets": "self"}, r"cross_attn.*\(unexpected\)"),
        ({"targets": "attention+mlp"}, r"mlp.*\(missing\)"),
        ({"adapter": "dora"}, r"lora_magnitude_vector \(missing\)"),
        ({"adapter": "rslora"}, r"strength 2, needs 4"),
        ({"alpha": 4}, r"strength 2, needs 1"),
    ],
)
def test_resuming_from_what_does_not_fit_changes_nothing(knobs, message, tmp_path):
    save_adapter(trained(), tmp_path, card={})
    other = trained(seed=1, **knobs)
    before = values(other)
    with pytest.raises(AdapterError, match=message) as caught:
        load_adapter_weights(other, tmp_path)
    assert "does not fit" in str(caught.value) and caught.value.hint
    assert all(torch.equal(before[name], value) for name, value in values(other).items())


# Reading


def test_bin_files_are_read(tmp_path):
    folder = copy_adapter("B", tmp_path / "b")
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()
    assert furthest(mounted_velocity(folder), golden_velocity("B.velocity")) < TOLERANCE


def test_a_raw_state_with_the_adapters_name_in_it(tmp_path):
    tensors = load_file(FOLDERS["C"] / WEIGHTS)
    raw = {
        key.replace("lora_A", "lora_A.default")
        .replace("lora_B", "lora_B.default")
        .replace("magnitude_vector", "magnitude_vector.default.weight"): value
        for key, value in tensors.items()
    }
    folder = copy_adapter("C", tmp_path / "c")
    save_file(raw, folder / WEIGHTS)
    assert furthest(mounted_velocity(folder), golden_velocity("C.velocity")) < TOLERANCE


def test_dora_scales_may_be_a_column(tmp_path):
    tensors = load_file(ADAPTERS / "comfyui_native_dora_r4_a8.safetensors")
    column = {k: v[:, None].clone() if "dora" in k else v for k, v in tensors.items()}
    save_file(column, tmp_path / "c.safetensors")
    found = mounted_velocity(tmp_path / "c.safetensors")
    assert furthest(found, golden_velocity("C.velocity")) < TOLERANCE


@pytest.mark.parametrize("prefix", ["lora_unet_decoder_", "lycoris_"])
def test_underscored_names(prefix, tmp_path):
    tensors = load_file(ADAPTERS / "comfyui_native_attn_mlp_patterns.safetensors")
    flat = {}
    for key, value in tensors.items():
        module = key.removeprefix("base_model.model.")
        stem, dot, tail = (
            module.partition(".lora_") if ".lora_" in module else module.partition(".alpha")
        )
        flat[f"{prefix}{stem.replace('.', '_')}{dot}{tail}"] = value
    save_file(flat, tmp_path / "b.safetensors")
    found = mounted_velocity(tmp_path / "b.safetensors")
    assert furthest(found, golden_velocity("B.velocity")) < TOLERANCE


def test_without_a_strength_it_plays_at_alpha_equal_rank_and_says_so(tmp_path):
    shutil.copy(FOLDERS["A"] / WEIGHTS, tmp_path / "a.safetensors")
    adapter = read_adapter(tmp_path / "a.safetensors")
    assert set(adapter.alphas.values()) == {4}
    assert "alpha = rank" in adapter.notes[0] and "a.safetensors" in adapter.notes[0]
    transformer = tiny_transformer()
    mount(transformer, adapter, "a", 2.0)
    assert furthest(velocity(transformer), golden_velocity("A.velocity")) < TOLERANCE


def test_half_precision_files_are_read(tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    tensors = {key: value.bfloat16() for key, value in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    adapter = read_adapter(folder)
    assert all(value.dtype == torch.float32 for value in adapter.weights.values())


def test_the_base_is_known_from_the_configuration_too(tmp_path):
    name = "checkpoints/acestep-v15-base"  # what the original writes: a path that is not opened
    folder = edit_config(copy_adapter("A", tmp_path / "a"), base_model_name_or_path=name)
    assert read_adapter(folder).card == {"base_model": name}


# Refusing


def damaged(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


KEY = "base_model.model.layers.0.self_attn.q_proj.lora_A.weight"
DAMAGES = {
    "unknown module": (
        lambda t: t.update({"encoder.x.lora_A.weight": torch.zeros(4, 4)}),
        "1 of 65 keys match nothing in the model: encoder.x.lora_A.weight",
    ),
    "all renamed": (
        lambda t: [t.update({"x" + k: t.pop(k)}) for k in list(t)],
        r"64 of 64 keys.*and 60 more",
    ),
    "a bias": (
        lambda t: t.update({KEY.replace("lora_A.weight", "lora_B.bias"): torch.zeros(64)}),
        "lora_B.bias",
    ),
    "another kind": (
        lambda t: t.update({KEY.replace("lora_A.weight", "lokr_w1"): torch.zeros(2, 2)}),
        "lokr_w1",
    ),
    "half a module": (lambda t: t.pop(KEY), r"layers.0.self_attn.to_q \(has no A\)"),
    "ranks differ": (lambda t: t.update({KEY: torch.zeros(5, 32)}), "their ranks differ"),
    "a vector": (lambda t: t.update({KEY: torch.zeros(4)}), "both must be matrices"),
    "no rank": (lambda t: t.update({KEY: torch.zeros(0, 32)}), "both must be matrices"),
    "integers": (lambda t: t.update({KEY: torch.zeros(4, 32, dtype=torch.int8)}), "integers"),
    "NaN": (lambda t: t[KEY].__setitem__((0, 0), float("nan")), "NaN or Inf"),
    "infinity": (lambda t: t[KEY].__setitem__((3, 1), float("inf")), "NaN or Inf"),
    "twice": (
        lambda t: t.update({KEY.replace("q_proj", "to_q"): torch.zeros(4, 32)}),
        "same thing twice",
    ),
    "nothing": (lambda t: t.clear(), "no weights"),
    "another rank": (
        lambda t: t.update({KEY: torch.zeros(2, 32), KEY.replace("_A", "_B"): torch.zeros(64, 2)}),
        "rank 2, said to be 4",
    ),
    "some magnitudes": (
        lambda t: t.update({KEY.replace("lora_A.weight", "lora_magnitude_vector"): torch.ones(64)}),
        "magnitudes for 1 of 32",
    ),
    "an alpha": (
        lambda t: t.update({KEY.replace("lora_A.weight", "alpha"): torch.tensor(3.0)}),
        "which one counts",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_files_that_would_load_only_in_part_are_refused(name, tmp_path):
    change, message = DAMAGES[name]
    folder = damaged(copy_adapter("A", tmp_path / "a"), change)
    with pytest.raises(AdapterError, match=message) as caught:
        read_adapter(folder)
    assert str(folder) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("shape", [(65,), (1, 64), (64, 64), ()])
def test_magnitudes_of_another_axis_are_refused(shape, tmp_path):
    key = KEY.replace("lora_A.weight", "lora_magnitude_vector")
    folder = damaged(
        copy_adapter("C", tmp_path / "c"), lambda t: t.update({key: torch.ones(shape)})
    )
    with pytest.raises(AdapterError, match="magnitudes are"):
        read_adapter(folder)


@pytest.mark.parametrize(
    "alpha", [torch.tensor([1.0, 2.0]), torch.tensor(float("nan")), torch.tensor(float("inf"))]
)
def test_alphas_are_numbers(alpha, tmp_path):
    tensors = load_file(ADAPTERS / "comfyui_native_attn_r4_a8.safetensors")
    tensors["base_model.model.layers.0.self_attn.q_proj.alpha"] = alpha
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(AdapterError, match=r"layers.0.self_attn.to_q|NaN"):
        read_adapter(tmp_path / "x.safetensors")
