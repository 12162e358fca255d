import gc
import itertools
import weakref
from dataclasses import replace

import pytest
import torch
from adapter_data import (
    ADAPTERS,
    FILES,
    FOLDERS,
    TOLERANCE,
    furthest,
    golden_velocity,
    tiny_transformer,
    velocity,
)
from peft import PeftModel

from acestep.adapters.adapter import Adapter
from acestep.adapters.attach import attach, trainable_parameters
from acestep.adapters.files import read_adapter, trained_adapter
from acestep.adapters.layouts import write_peft
from acestep.adapters.mount import disabled, mount, mounted, set_scale, unmount
from acestep.config import TrainConfig
from acestep.errors import AdapterError


def adapter(letter):
    return read_adapter(FOLDERS[letter])


def kinds(transformer):
    return {name: type(module) for name, module in transformer.named_modules()}


@pytest.mark.parametrize("name", FILES)
def test_every_golden_file_gives_the_velocity_of_the_original(name):
    letter, layout, kind = FILES[name]
    found = read_adapter(ADAPTERS / name)
    assert (found.layout, found.kind, found.notes) == (layout, kind, ())
    transformer = tiny_transformer()
    base = velocity(transformer)
    mount(transformer, found, "x")
    assert furthest(velocity(transformer), golden_velocity(f"{letter}.velocity")) < TOLERANCE
    assert furthest(velocity(transformer), base) > 0.1
    set_scale(transformer, {"x": 0})
    assert torch.equal(velocity(transformer), base)


def test_a_strength_of_zero_computes_nothing():
    """An adapter that overflows would leave NaN behind if it were multiplied by 0."""
    transformer = tiny_transformer()
    base = velocity(transformer)
    a = adapter("A")
    mount(transformer, replace(a, weights={k: v * 1e30 for k, v in a.weights.items()}), "a")
    assert not velocity(transformer).isfinite().all()
    set_scale(transformer, {"a": 0.0})
    assert torch.equal(velocity(transformer), base)


def test_doras_magnitudes_leave_the_bias_alone():
    transformer = tiny_transformer()
    layer = transformer.time_embed.linear_1
    down, up, magnitude = torch.randn(2, 256), torch.randn(32, 2), torch.rand(32) + 1
    weights = {
        "time_embed.linear_1.lora_A.weight": down,
        "time_embed.linear_1.lora_B.weight": up,
        "time_embed.linear_1.lora_magnitude_vector": magnitude,
    }
    dora = Adapter(weights, {"time_embed.linear_1": 3.0}, use_dora=True)
    mount(transformer, dora, "d", 0.5)
    adapted = layer.weight + 1.5 * up @ down
    adapted *= (magnitude / adapted.norm(dim=1))[:, None]
    halfway = (layer.weight + adapted) / 2
    x = torch.randn(5, 256)
    expected = torch.nn.functional.linear(x, halfway, layer.bias)
    assert furthest(transformer.time_embed.linear_1(x), expected) < 1e-4


def test_the_strength_acts_as_in_the_original():
    transformer = tiny_transformer()
    mount(transformer, adapter("A"), "a", 0.5)
    assert furthest(velocity(transformer), golden_velocity("A.velocity_scale0.5")) < TOLERANCE
    assert furthest(golden_velocity("A.velocity"), golden_velocity("A.velocity_scale0.5")) > 0.1
    set_scale(transformer, {"a": 1})
    assert furthest(velocity(transformer), golden_velocity("A.velocity")) < TOLERANCE


@pytest.mark.parametrize("letter", "ABCD")
def test_it_computes_what_peft_computes(letter, tmp_path):
    ours = tiny_transformer()
    mount(ours, adapter(letter), "x")
    write_peft(adapter(letter), tmp_path)
    theirs = PeftModel.from_pretrained(tiny_transformer(), tmp_path).eval()
    bound = 1e-5 if letter == "C" else 0  # PEFT takes DoRA's norms from another product
    assert furthest(velocity(ours), velocity(theirs)) <= bound


@pytest.mark.parametrize("letter", "ABCD")
def test_a_strength_is_a_straight_line_from_the_base(letter):
    layer_name = "layers.1.cross_attn.to_out.0"
    transformer = tiny_transformer()
    x = torch.randn(2, 5, 64)
    base = transformer.get_submodule(layer_name)(x)
    mount(transformer, adapter(letter), "x")
    full = transformer.get_submodule(layer_name)(x) - base
    assert full.abs().max() > 0.1
    for scale in (0.25, -1.0, 2.0):
        set_scale(transformer, {"x": scale})
        part = transformer.get_submodule(layer_name)(x) - base
        assert furthest(part, scale * full) < 1e-5


def test_adapters_of_different_ranks_kinds_and_targets_add_up_in_any_order():
    velocities = []
    for order in itertools.permutations("ABCD"):
        if order[0] not in "AC":
            continue
        transformer = tiny_transformer()
        for letter in order:
            mount(
                transformer,
                adapter(letter),
                letter,
                {"A": 0.5, "B": -0.3, "C": 0.7, "D": 1.0}[letter],
            )
        velocities.append(velocity(transformer))
    assert all(furthest(velocities[0], other) < TOLERANCE for other in velocities[1:])


def test_one_of_several_is_alone_when_the_others_are_off_or_gone():
    alone = tiny_transformer()
    mount(alone, adapter("C"), "c", 0.8)
    expected = velocity(alone)
    several = tiny_transformer()
    base = velocity(several)
    mount(several, adapter("A"), "a")
    mount(several, adapter("C"), "c", 0.8)
    mount(several, adapter("B"), "b")
    assert mounted(several) == {"a": 1.0, "c": 0.8, "b": 1.0}
    assert furthest(velocity(several), expected) > 0.1
    set_scale(several, {"a": 0, "b": 0})
    assert torch.equal(velocity(several), expected)
    unmount(several, "b")
    unmount(several, "a")
    assert torch.equal(velocity(several), expected)
    set_scale(several, {"c": 0})
    assert torch.equal(velocity(several), base)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_unmounting_the_last_one_leaves_the_original_and_no_memory(dtype):
    transformer = tiny_transformer(dtype)
    before, base, state = kinds(transformer), velocity(transformer), transformer.state_dict()
    modules = dict(transformer.named_modules())
    mount(transformer, adapter("B"), "b")
    mount(transformer, adapter("C"), "c")
    assert not any(module.training for module in transformer.modules())
    held = [
        weakref.ref(buffer)
        for module in transformer.modules()
        for buffer in module.buffers(False)
        if buffer.dtype == dtype and buffer.ndim == 2
    ]
    assert len(held) > 100
    assert furthest(velocity(transformer), base) > 0.01
    unmount(transformer, "c")
    unmount(transformer, "b")
    gc.collect()
    assert not any(reference() is not None for reference in held)
    assert kinds(transformer) == before
    assert all(module is modules[name] for name, module in transformer.named_modules())
    assert all(torch.equal(state[k], v) for k, v in transformer.state_dict().items())
    assert torch.equal(velocity(transformer), base)


@pytest.mark.parametrize("letter", "ABCD")
def test_a_bfloat16_base_generates_what_training_in_mixed_precision_sees(letter):
    trained = tiny_transformer(torch.bfloat16)
    source = adapter(letter)
    kind = source.kind
    config = TrainConfig(
        tensors="unused",
        rank=4,
        alpha=source.alphas["layers.2.self_attn.to_v"],
        dropout=0,
        adapter=kind,
        targets="|".join(source.modules),
    )
    attach(trained, config)
    generating = tiny_transformer(torch.bfloat16)
    with torch.no_grad():
        for name, parameter in trainable_parameters(trained).items():
            saved = source.weights[name.removeprefix("base_model.model.")]
            if saved.shape == parameter.shape:
                parameter.copy_(saved)
    mount(generating, trained_adapter(trained, {}), "x")
    for module in source.modules:
        layer = generating.get_submodule(module)
        x = torch.randn(2, 7, layer.in_features, dtype=torch.bfloat16)
        found = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            expected = trained.get_submodule(module)(x)
        assert found.dtype == expected.dtype == torch.bfloat16
        if kind == "dora":
            assert torch.allclose(found.float(), expected.float(), rtol=0.02, atol=0.02)
        else:
            assert torch.equal(found, expected), module


def test_disabled_is_the_base_and_everything_is_back_afterwards():
    transformer = tiny_transformer()
    base = velocity(transformer)
    mount(transformer, adapter("A"), "a", 0.5)
    mount(transformer, adapter("C"), "c", 0)
    with disabled(transformer):
        assert torch.equal(velocity(transformer), base)
    assert mounted(transformer) == {"a": 0.5, "c": 0.0}
    assert furthest(velocity(transformer), golden_velocity("A.velocity_scale0.5")) < TOLERANCE


def test_it_moves_with_the_model_and_asks_for_no_gradients():
    transformer = tiny_transformer()
    mount(transformer, adapter("C"), "c")
    assert not any(p.requires_grad for p in transformer.parameters())
    transformer.train()
    assert furthest(velocity(transformer), golden_velocity("C.velocity")) < TOLERANCE  # no dropout
    meta = transformer.to("meta")
    assert all(buffer.device.type == "meta" for buffer in meta.buffers())


def misfits():
    a, c = adapter("A"), adapter("C")
    other = {key.replace("layers.3.", "layers.77."): value for key, value in a.weights.items()}
    moved = {key.replace("layers.3.", "layers.77."): value for key, value in a.alphas.items()}
    yield "deeper", replace(a, weights=other, alphas=moved), "layers.77.cross_attn.to_k"
    key = "layers.2.self_attn.to_q.lora_A.weight"
    yield "wider", replace(a, weights={**a.weights, key: torch.zeros(4, 48)}), "64×48"
    key = "layers.3.self_attn.to_v.lora_B.weight"
    yield "taller", replace(c, weights={**c.weights, key: torch.zeros(33, 4)}), "33×32"
    yield "empty", replace(a, weights={}, alphas={}), "0 of 0"


@pytest.mark.parametrize("name, bad, message", list(misfits()))
def test_an_adapter_that_does_not_fit_leaves_everything_as_it_was(name, bad, message):
    transformer = tiny_transformer()
    mount(transformer, adapter("B"), "b", 0.5)
    before, expected = kinds(transformer), velocity(transformer)
    bad = replace(bad, card={"base_model": "acestep-v15-xl"})
    with pytest.raises(AdapterError, match=message) as caught:
        mount(transformer, bad, "bad")
    assert "acestep-v15-xl" in caught.value.hint
    assert kinds(transformer) == before
    assert mounted(transformer) == {"b": 0.5}
    assert torch.equal(velocity(transformer), expected)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\nb", "\x00"])
def test_a_path_is_no_name(name):
    transformer = tiny_transformer()
    with pytest.raises(AdapterError, match="cannot name"):
        mount(transformer, adapter("A"), name)
    assert not mounted(transformer)


def test_names_are_unique_known_and_free_otherwise():
    transformer = tiny_transformer()
    mount(transformer, adapter("A"), "jazz v1.5, größer", 0.5)
    with pytest.raises(AdapterError, match="mounted already"):
        mount(transformer, adapter("B"), "jazz v1.5, größer")
    for act in (lambda: unmount(transformer, "b"), lambda: set_scale(transformer, {"b": 1})):
        with pytest.raises(AdapterError, match="no adapter named 'b'") as caught:
            act()
        assert "jazz v1.5" in caught.value.hint
    assert mounted(transformer) == {"jazz v1.5, größer": 0.5}


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_strength_is_a_finite_number(scale):
    transformer = tiny_transformer()
    mount(transformer, adapter("A"), "a", 0.5)
    mount(transformer, adapter("C"), "c", 0.5)
    with pytest.raises(AdapterError, match="makes no sense"):
        set_scale(transformer, {"a": 1.0, "c": scale})
    with pytest.raises(AdapterError, match="makes no sense"):
        mount(transformer, adapter("D"), "d", scale)
    assert mounted(transformer) == {"a": 0.5, "c": 0.5}
