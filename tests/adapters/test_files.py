import json
import os
import pickle
import shutil

import pytest
import torch
from adapter_data import (
    ADAPTERS,
    FOLDERS,
    TOLERANCE,
    furthest,
    golden_velocity,
    tiny_transformer,
    velocity,
)
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from acestep.adapters.attach import attach, trainable_parameters
from acestep.adapters.files import load_adapter_weights, read_adapter, save_adapter
from acestep.adapters.mount import mount
from acestep.adapters.tensorfiles import write_safetensors
from acestep.config import TrainConfig
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


def trained(seed=0, **knobs):
    """A transformer with an attached adapter that does something."""
    transformer = tiny_transformer()
    knobs = {"rank": 4, "alpha": 8, "dropout": 0.1} | knobs
    attach(transformer, TrainConfig(tensors="unused", **knobs))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in trainable_parameters(transformer).values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return transformer


def values(transformer):
    return {n: p.detach().clone() for n, p in trainable_parameters(transformer).items()}


def mounted_velocity(path):
    transformer = tiny_transformer()
    mount(transformer, read_adapter(path), "x")
    return velocity(transformer)


def copy(letter, target):
    shutil.copytree(FOLDERS[letter], target)
    return target


def edit_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))
    return folder


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


def test_the_card_says_what_it_is(tmp_path):
    save_adapter(trained(), tmp_path, card=CARD)
    adapter = read_adapter(tmp_path)
    assert adapter.card == CARD
    assert adapter.dropout == 0.1
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for text in ("mini", "`myjazz`", "# my \\| jazz", "| Songs | 8 |", "| Rank | 4 |", "0.123457"):
        assert text in page
    assert json.loads((tmp_path / CONFIG).read_text())["base_model_name_or_path"] == "mini"


def test_the_same_adapter_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save_adapter(trained(), tmp_path / name, card=CARD)
    for file in (WEIGHTS, CONFIG, "README.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    header = {letter: "x" for letter in "qwertyuiop"}
    for name in "abcd":
        write_safetensors(tmp_path / name / "x", {"t": torch.zeros(3)}, header)
    assert len({(tmp_path / name / "x").read_bytes() for name in "abcd"}) == 1
    with safe_open(tmp_path / "a" / "x", framework="pt") as stored:
        assert stored.metadata() == header


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


# Finding


def checkpoint(run, name, seed):
    save_adapter(trained(seed=seed), run / "checkpoints" / name, card={"seed": seed})


def test_a_run_means_its_newest_checkpoint(tmp_path):
    run = tmp_path / "runs" / "jazz"
    for seed, name in enumerate(("epoch_2", "epoch_10", "epoch_9_step_39", "broken_epoch_99_0")):
        checkpoint(run, name, seed)
    (run / "checkpoints" / ".tmp-x").mkdir()
    (run / "config.json").write_text("{}")
    assert read_adapter(run).card == {"seed": 1}
    assert read_adapter(run / "checkpoints" / "epoch_2").card == {"seed": 0}
    checkpoint(run, "epoch_10_step_41", 7)
    assert read_adapter(run).card == {"seed": 7}


def test_a_run_without_a_checkpoint_says_so(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(AdapterError, match="no checkpoint yet"):
        read_adapter(tmp_path)


def test_the_original_programs_folders(tmp_path):
    copy("A", tmp_path / "out" / "checkpoints" / "epoch_9" / "adapter")
    copy("B", tmp_path / "out" / "checkpoints" / "epoch_10" / "adapter")
    (tmp_path / "out" / "checkpoints" / "epoch_10" / "training_state.pt").write_bytes(b"x")
    assert len(read_adapter(tmp_path / "out").modules) == 44
    assert len(read_adapter(tmp_path / "out" / "checkpoints" / "epoch_9").modules) == 32
    copy("D", tmp_path / "out" / "final" / "adapter")
    for path in ("out", "out/final", "out/final/adapter"):
        assert read_adapter(tmp_path / path).kind == "rslora"


def test_single_files_and_folders_with_one(tmp_path):
    name = "comfyui_native_attn_r4_a8.safetensors"
    shutil.copy(ADAPTERS / name, tmp_path / "x.safetensors")
    assert read_adapter(tmp_path).alphas == read_adapter(tmp_path / "x.safetensors").alphas
    assert read_adapter(str(tmp_path)).modules  # text will do
    shutil.copy(ADAPTERS / name, tmp_path / "y.safetensors")
    with pytest.raises(AdapterError, match="2 files that could be meant: x.safetensors, y"):
        read_adapter(tmp_path)
    diffusers = ADAPTERS / "diffusers_lora_attn_r4_a8" / "pytorch_lora_weights.safetensors"
    assert read_adapter(diffusers).layout == "diffusers"
    assert read_adapter(FOLDERS["B"] / WEIGHTS).alphas["layers.0.self_attn.to_q"] == 6


@pytest.mark.parametrize("make", [lambda p: p / "no", lambda p: p, lambda p: p / "song.wav"])
def test_nothing_there(make, tmp_path):
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(AdapterError) as caught:
        read_adapter(make(tmp_path))
    assert str(make(tmp_path)) in str(caught.value) and caught.value.hint


# Reading


def test_bin_files_are_read(tmp_path):
    folder = copy("B", tmp_path / "b")
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
    folder = copy("C", tmp_path / "c")
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
    folder = copy("A", tmp_path / "a")
    tensors = {key: value.bfloat16() for key, value in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    adapter = read_adapter(folder)
    assert all(value.dtype == torch.float32 for value in adapter.weights.values())


def test_patterns_by_either_name_and_with_an_anchor(tmp_path):
    folder = edit_config(
        copy("B", tmp_path / "b"),
        rank_pattern={"^layers.0.self_attn.to_q": 2},
        alpha_pattern={r"layers\.0\.self_attn\.q_proj": 6, "mlp.down_proj": 1},
    )
    adapter = read_adapter(folder)
    assert adapter.alphas["layers.0.self_attn.to_q"] == 6
    assert adapter.alphas["layers.3.mlp.down_proj"] == 1
    assert adapter.alphas["layers.0.self_attn.to_k"] == 4


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
    folder = damaged(copy("A", tmp_path / "a"), change)
    with pytest.raises(AdapterError, match=message) as caught:
        read_adapter(folder)
    assert str(folder) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("shape", [(65,), (1, 64), (64, 64), ()])
def test_magnitudes_of_another_axis_are_refused(shape, tmp_path):
    key = KEY.replace("lora_A.weight", "lora_magnitude_vector")
    folder = damaged(copy("C", tmp_path / "c"), lambda t: t.update({key: torch.ones(shape)}))
    with pytest.raises(AdapterError, match="magnitudes are"):
        read_adapter(folder)


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
    folder = edit_config(copy("A", tmp_path / "a"), **changes)
    with pytest.raises(AdapterError, match=message) as caught:
        read_adapter(folder)
    assert CONFIG in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\ufeffnull", "[" * 100_000])
def test_malformed_configurations(text, tmp_path):
    folder = copy("A", tmp_path / "a")
    (folder / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(AdapterError, match=CONFIG):
        read_adapter(folder)


def test_a_configuration_without_weights(tmp_path):
    folder = copy("A", tmp_path / "a")
    (folder / WEIGHTS).unlink()
    with pytest.raises(AdapterError, match="none of adapter_model.safetensors"):
        read_adapter(folder)


@pytest.mark.parametrize("size", [0, 7, 8, 100, 5000, -1])
def test_truncated_files(size, tmp_path):
    folder = copy("A", tmp_path / "a")
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:size])
    with pytest.raises(AdapterError, match="cannot be read"):
        read_adapter(folder)


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_a_pickle_is_not_executed(write, tmp_path):
    folder = copy("A", tmp_path / "a")
    (folder / WEIGHTS).unlink()
    trap = {KEY: Trap(tmp_path / "executed")}
    with (folder / "adapter_model.bin").open("wb") as file:
        torch.save(trap, file) if write == "torch" else pickle.dump(trap, file)
    with pytest.raises(AdapterError, match="nothing in it was executed"):
        read_adapter(folder)
    assert not (tmp_path / "executed").exists()
    os.rename(folder / "adapter_model.bin", folder / WEIGHTS)
    with pytest.raises(AdapterError, match="cannot be read"):
        read_adapter(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("value", [[1], {"a": {"b": torch.zeros(1)}}, {1: torch.zeros(1)}, 3.0])
def test_bins_that_hold_something_else(value, tmp_path):
    torch.save(value, tmp_path / "adapter_model.bin")
    with pytest.raises(AdapterError, match="no table of tensors"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no zip"])
def test_bins_that_are_no_bins(content, tmp_path):
    (tmp_path / "adapter_model.bin").write_bytes(content)
    with pytest.raises(AdapterError, match="adapter_model.bin"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    "alpha", [torch.tensor([1.0, 2.0]), torch.tensor(float("nan")), torch.tensor(float("inf"))]
)
def test_alphas_are_numbers(alpha, tmp_path):
    tensors = load_file(ADAPTERS / "comfyui_native_attn_r4_a8.safetensors")
    tensors["base_model.model.layers.0.self_attn.q_proj.alpha"] = alpha
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(AdapterError, match=r"layers.0.self_attn.to_q|NaN"):
        read_adapter(tmp_path / "x.safetensors")


def test_a_card_from_an_unknown_hand_does_no_harm(tmp_path):
    tensors = load_file(FOLDERS["A"] / WEIGHTS)
    for card, expected in (
        ('{"base_model": 3, "dataset": "x", "tag": "y"}', {"tag": "y"}),
        ("[1]", {}),
    ):
        folder = tmp_path / str(len(card))
        copy("A", folder)
        save_file(tensors, folder / WEIGHTS, metadata={"acestep_card": card})
        assert read_adapter(folder).card == expected
    save_file(tensors, folder / WEIGHTS, metadata={"acestep_card": "{"})
    with pytest.raises(AdapterError, match="not valid JSON"):
        read_adapter(folder)
