"""Whatever is kept and whatever is computed again: the same gradients."""

import pytest
import torch
from small_transformer import loss_of, transformer_with
from torch.utils._python_dispatch import TorchDispatchMode

from acestep.adapters.attach import trainable_parameters
from acestep.speed.attention import clip_lengths
from acestep.speed.levels import ATTENTION, LEVELS, PRODUCTS, apply_level, next_level
from acestep.speed.linear import QuickLinear
from acestep.speed.precision import Int8, StoredLinear, block_linears


def gradients(transformer, loss):
    loss.backward()
    parameters = trainable_parameters(transformer)
    found = {name: parameter.grad.clone() for name, parameter in parameters.items()}
    transformer.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize(
    ("dtype", "knobs"),
    [
        (torch.float32, {"dropout": 0.2}),
        (torch.float32, {"adapter": "dora", "dropout": 0.1, "targets": "attention+mlp"}),
        (torch.bfloat16, {"dropout": 0.0}),
        (torch.bfloat16, {"adapter": "rslora", "dropout": 0.1, "targets": "cross"}),
        (torch.bfloat16, {"adapter": "dora", "dropout": 0.1}),
        (torch.float32, {"dropout": 0.1, "own_attention": False}),
    ],
    ids=lambda value: str(value),
)
def test_every_level_has_the_same_gradients_to_the_bit(dtype, knobs):
    transformer = transformer_with(dtype, **knobs).train()
    found = {}
    for level in LEVELS:
        apply_level(transformer, level)
        found[level] = gradients(transformer, loss_of(transformer))
    for level, values in found.items():
        assert all(torch.equal(found["none"][name], value) for name, value in values.items()), level
    assert any(value.abs().max() > 0 for value in found["none"].values())


@pytest.mark.parametrize("level", LEVELS)
def test_another_pass_may_come_in_between(level):
    """Two losses before one backward pass, other lengths, one autocast: nothing is mixed up."""
    transformer = transformer_with(torch.bfloat16, dropout=0.0).train()
    apply_level(transformer, level)
    with torch.autocast("cpu", torch.bfloat16):
        with clip_lengths(transformer, [100, 60], [7, 5]):
            first = loss_of(transformer)
        with torch.no_grad():
            loss_of(transformer, frames=90)
        with clip_lengths(transformer, [20, 11], [3, 7]):
            second = loss_of(transformer, frames=40, seed=2)
    together = gradients(transformer, first + second)

    apply_level(transformer, "none")
    with clip_lengths(transformer, [100, 60], [7, 5]):
        apart = gradients(transformer, loss_of(transformer))
    with clip_lengths(transformer, [20, 11], [3, 7]):
        rest = gradients(transformer, loss_of(transformer, frames=40, seed=2))
    for name, value in together.items():
        scale = (apart[name] + rest[name]).abs().max()
        assert torch.allclose(value, apart[name] + rest[name], atol=0.02 * float(scale)), name


@pytest.mark.parametrize("layer", ["int8", "oneDNN"])
def test_levels_hold_for_other_layers_of_the_base(layer):
    """Layers that lie in few bits, and those that a CPU multiplies by oneDNN."""
    transformer = transformer_with(dropout=0.1).train()
    for name, linear in block_linears(transformer).items():
        if name.endswith("base_layer") and layer == "int8":
            parent = transformer.get_submodule(name.rpartition(".")[0])
            parent.base_layer = StoredLinear(linear, int8(linear.weight.detach()))
        elif name.endswith("base_layer") and torch.backends.mkldnn.is_available():
            linear.__class__ = QuickLinear
    found = {}
    for level in LEVELS:
        apply_level(transformer, level)
        found[level] = gradients(transformer, loss_of(transformer))
    for level, values in found.items():
        assert all(torch.equal(found["none"][name], value) for name, value in values.items()), level


def int8(weight):
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return Int8((weight / scale).round().to(torch.int8), scale, weight.dtype)


class Counted(TorchDispatchMode):
    """How often attention and matrix products were really computed."""

    def __init__(self):
        super().__init__()
        self.attention = self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.attention += func in ATTENTION
        self.products += func in PRODUCTS
        return func(*args, **(kwargs or {}))


def test_what_a_level_keeps_is_not_computed_again():
    """Three blocks: six attentions; 33 products of the base and 24 adapters of two each."""
    transformer = transformer_with(dropout=0.0).train()
    counts = {}
    for level in LEVELS:
        apply_level(transformer, level)
        loss = loss_of(transformer)
        with Counted() as counted:
            loss.backward()
        counts[level] = (counted.attention, counted.products)
    backward = counts["none"][1]
    assert [attention for attention, _ in counts.values()] == [0, 0, 0, 6]
    assert counts["products"][1] == backward + 24  # B alone: it is skinny
    assert counts["attention"][1] == counts["full"][1] == backward + 33 + 2 * 24


def test_levels_go_down_one_by_one():
    assert [next_level(level) for level in LEVELS] == [*LEVELS[1:], None]
