import copy
import re

import pytest
import torch
from adapter_data import FOLDERS, TOLERANCE, furthest, golden_velocity, tiny_transformer, velocity
from safetensors.torch import load_file
from torch import nn

from acestep.adapters.attach import (
    attach,
    attached,
    bare,
    shortest_suffixes,
    trainable_parameters,
)
from acestep.adapters.files import load_adapter_weights, read_adapter
from acestep.adapters.mount import disabled, mount
from acestep.config import TrainConfig
from acestep.errors import AdapterError, ConfigError


def config(**knobs):
    return TrainConfig(tensors="unused", **({"rank": 4, "alpha": 8, "dropout": 0} | knobs))


def names(pattern):
    linear = [n for n, part in tiny_transformer().named_modules() if isinstance(part, nn.Linear)]
    return sorted(name for name in linear if re.fullmatch(pattern, name))


@pytest.mark.parametrize(
    "targets, pattern, count, suffixes",
    [
        ("attention", r".*attn\..*", 32, {"to_q", "to_k", "to_v", "to_out.0"}),
        ("attention+mlp", r"layers.*", 44, None),
        ("self", r".*self_attn.*", 16, {f"self_attn.{x}" for x in ("to_q", "to_k", "to_v")}),
        ("cross", r".*cross_attn.*", 16, {f"cross_attn.{x}" for x in ("to_q", "to_k", "to_v")}),
        (r".*\.to_v", r".*\.to_v", 8, {"to_v"}),
        (r"layers\.[12]\.mlp\.up_proj", r"layers\.[12]\.mlp\.up_proj", 2, None),
        (r"time_embed\.linear_1", r"time_embed\.linear_1", 1, {"time_embed.linear_1"}),
    ],
)
def test_targets_are_exactly_the_layers_that_were_asked_for(targets, pattern, count, suffixes):
    transformer = tiny_transformer().requires_grad_(True)
    modules = attach(transformer, config(targets=targets))
    assert modules == names(pattern)
    assert len(modules) == count
    trained = {name for name, p in transformer.named_parameters() if p.requires_grad}
    assert trained == {
        f"{module}.lora_{half}.default.weight" for module in modules for half in "AB"
    }
    if suffixes:
        assert suffixes <= set(transformer.peft_config["default"].target_modules)


def test_the_names_are_those_of_the_original_training_run():
    golden = load_file(FOLDERS["A"].parent.parent / "training_lora.safetensors")
    transformer = tiny_transformer()
    attach(transformer, config())
    parameters = trainable_parameters(transformer)
    assert len(parameters) == golden["n_trainable_tensors"].item()
    rename = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "o_proj": "to_out.0"}
    for key, value in golden.items():
        if key.startswith("after5."):
            name = re.sub("[qkvo]_proj", lambda m: rename[m[0]], key.removeprefix("after5."))
            assert parameters[name].shape == value.shape
    assert "base_model.model.layers.0.self_attn.to_q.lora_A.weight" in parameters


@pytest.mark.parametrize("kind", ["lora", "dora", "rslora"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_new_adapter_is_float32_and_changes_nothing(kind, dtype):
    base = velocity(tiny_transformer(dtype))
    transformer = tiny_transformer(dtype)
    attach(transformer, config(adapter=kind))
    parameters = trainable_parameters(transformer)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in parameters.values())
    assert len(parameters) == (96 if kind == "dora" else 64)
    scale = 8 / 2 if kind == "rslora" else 8 / 4
    layer = transformer.get_submodule("layers.0.self_attn.to_q")
    assert layer.scaling["default"] == scale
    assert layer.base_layer.weight.dtype == dtype
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        found = velocity(transformer)
    with disabled(transformer), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        plain = velocity(transformer)
    if dtype == torch.float32:
        assert furthest(found, base) < 1e-6
        assert torch.equal(plain, base)
    assert furthest(found, plain) < (1e-6 if dtype == torch.float32 else 0.1)
    assert all(p.requires_grad for p in parameters.values())


def test_the_start_depends_on_the_seed_and_the_name_alone():
    def start(seed, noise, **knobs):
        transformer = tiny_transformer()
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        attach(transformer, config(seed=seed, **knobs))
        assert torch.equal(torch.random.get_rng_state(), before)
        return {n: p.detach().clone() for n, p in trainable_parameters(transformer).items()}

    first, second, other = start(7, noise=1), start(7, noise=2), start(8, noise=1)
    narrow = start(7, noise=3, targets=r".*self_attn\.to_q")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], narrow[name]) for name in narrow)
    down = [name for name in first if "lora_A" in name]
    assert not any(torch.equal(first[name], other[name]) for name in down)
    for name in down:  # uniform in ±1/√in, as nn.Linear starts
        bound = first[name].shape[1] ** -0.5
        assert 0.8 * bound < first[name].abs().max() <= bound
    assert not any(first[name].any() for name in first if "lora_B" in name)
    assert len({first[name].sum().item() for name in down}) == len(down)


def test_bfloat16_bases_start_with_the_same_float32_numbers():
    starts = []
    for dtype in (torch.float32, torch.bfloat16):
        transformer = tiny_transformer(dtype)
        attach(transformer, config(seed=3))
        starts.append(trainable_parameters(transformer))
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_dropout_acts_in_training_only():
    transformer = tiny_transformer()
    attach(transformer, config(dropout=0.5))
    load_adapter_weights(transformer, FOLDERS["A"])
    assert furthest(velocity(transformer), golden_velocity("A.velocity")) < TOLERANCE
    transformer.train()
    assert furthest(velocity(transformer), golden_velocity("A.velocity")) > 0.01


def test_a_second_adapter_is_refused_and_changes_nothing():
    transformer = tiny_transformer()
    attach(transformer, config())
    before = copy.deepcopy(transformer.state_dict())
    with pytest.raises(AdapterError, match="already"):
        attach(transformer, config())
    after = transformer.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(AdapterError, match="attached for training"):
        mount(transformer, read_adapter(FOLDERS["A"]), "a")
    mounted = tiny_transformer()
    mount(mounted, read_adapter(FOLDERS["A"]), "a")
    with pytest.raises(AdapterError, match="already"):
        attach(mounted, config())


@pytest.mark.parametrize(
    "targets, error, message",
    [
        ("(", ConfigError, "not a regular expression"),
        ("q_proj", AdapterError, "matches none of the 51"),
        ("to_q", AdapterError, "matches none"),
        ("atention", AdapterError, "matches none"),
    ],
)
def test_targets_that_mean_nothing_are_refused(targets, error, message):
    transformer = tiny_transformer()
    with pytest.raises(error, match=message) as caught:
        attach(transformer, config(targets=targets))
    assert caught.value.hint
    assert not any("lora" in name for name, _ in transformer.named_modules())
    if targets == "atention":
        assert "attention" in caught.value.hint


def test_parameters_without_an_adapter_are_an_error():
    with pytest.raises(AdapterError, match="no adapter"):
        trainable_parameters(tiny_transformer())


def test_suffixes_match_what_was_chosen_and_nothing_else():
    every = ["a", "a.x.to_q", "a.y.to_q", "b.x.to_q", "b.0", "c.0"]
    assert shortest_suffixes(["a.x.to_q", "b.x.to_q"], every) == ["x.to_q"]
    assert shortest_suffixes(["a.x.to_q"], every) == ["a.x.to_q"]
    assert shortest_suffixes(["b.0"], every) == ["b.0"]
    assert shortest_suffixes(["a.x.to_q", "a.y.to_q", "b.x.to_q"], every) == ["to_q"]


def test_gradients_reach_the_adapter_and_nothing_else():
    transformer = tiny_transformer()
    attach(transformer, config(adapter="dora"))
    transformer.train()
    weight = transformer.get_submodule("layers.0.self_attn.to_q")
    weight(torch.randn(3, 32)).square().sum().backward()
    own = {
        n: p for n, p in trainable_parameters(transformer).items() if "layers.0.self_attn.to_q" in n
    }
    assert own["base_model.model.layers.0.self_attn.to_q.lora_B.weight"].grad.any()
    assert own["base_model.model.layers.0.self_attn.to_q.lora_magnitude_vector"].grad.any()
    assert weight.base_layer.weight.grad is None


@pytest.mark.parametrize("kind", ["lora", "rslora"])
def test_without_dropout_inputs_stay_in_low_precision_and_no_bit_changes(kind):
    results = []
    for cast in (True, False):
        transformer = tiny_transformer(torch.bfloat16)
        attach(transformer, config(adapter=kind, targets="attention+mlp"))
        for layer in attached(transformer).values():
            assert not layer.cast_input_dtype_enabled
            layer.cast_input_dtype_enabled = cast
            torch.nn.init.ones_(layer.lora_B["default"].weight)
        transformer.train()
        layer = transformer.get_submodule("layers.0.mlp")
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, 9, 32, generator=generator).bfloat16().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(x)
        out.float().square().sum().backward()
        own = [p.grad for p in trainable_parameters(transformer).values() if p.grad is not None]
        assert len(own) == 6
        results.append([out, x.grad, *own])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for knobs in ({"dropout": 0.1}, {"adapter": "dora"}):
        transformer = tiny_transformer(torch.bfloat16)
        attach(transformer, config(**knobs))
        assert all(layer.cast_input_dtype_enabled for layer in attached(transformer).values())


def test_without_dropout_no_bit_of_a_whole_pass_depends_on_the_casts():
    results = []
    for cast in (True, False):
        transformer = tiny_transformer(torch.bfloat16)
        attach(transformer, config(targets="attention+mlp"))
        for layer in attached(transformer).values():
            layer.cast_input_dtype_enabled = cast
            torch.nn.init.constant_(layer.lora_B["default"].weight, 0.01)
        transformer.train()
        with torch.autocast("cpu", torch.bfloat16):
            draw = torch.Generator().manual_seed(1)
            latents, context, condition = (
                torch.randn(2, n, width, generator=draw).bfloat16()
                for n, width in ((9, 8), (9, 16), (5, 32))
            )
            time = torch.rand(2, generator=draw).bfloat16()
            out = transformer(latents, time, time, condition, context, return_dict=False)[0]
        out.float().square().sum().backward()
        results.append([out, *(p.grad for p in trainable_parameters(transformer).values())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_bare_base_takes_other_adapters_and_the_one_in_training_comes_back():
    transformer, plain = tiny_transformer(), velocity(tiny_transformer())
    attach(transformer, config(dropout=0.3, targets="attention+mlp"))
    for parameter in trainable_parameters(transformer).values():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    trained, layers = velocity(transformer), attached(transformer)
    other = read_adapter(FOLDERS["A"])
    alone = tiny_transformer()
    mount(alone, other, "other")
    with pytest.raises(KeyError), bare(transformer):
        assert torch.equal(velocity(transformer), plain) and not attached(transformer)
        mount(transformer, other, "other")
        assert torch.equal(velocity(transformer), velocity(alone))
        raise KeyError
    assert attached(transformer) == layers and torch.equal(velocity(transformer), trained)
