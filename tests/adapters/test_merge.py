import copy
from dataclasses import replace

import pytest
import torch
from adapter_data import (
    FOLDERS,
    TOLERANCE,
    furthest,
    golden_velocity,
    tiny_transformer,
    velocity,
)

from acestep.adapters.files import read_adapter
from acestep.adapters.merge import merge
from acestep.errors import AdapterError


@pytest.mark.parametrize("letter", "ABCD")
def test_merged_weights_give_the_velocity_of_the_adapter(letter):
    transformer = tiny_transformer()
    merge(transformer, read_adapter(FOLDERS[letter]))
    assert furthest(velocity(transformer), golden_velocity(f"{letter}.velocity")) < TOLERANCE


def test_doras_rows_get_their_magnitudes():
    transformer = tiny_transformer()
    adapter = read_adapter(FOLDERS["C"])
    merge(transformer, adapter)
    for module in adapter.modules:
        norms = transformer.get_submodule(module).weight.norm(dim=1)
        assert furthest(norms, adapter.weights[f"{module}.lora_magnitude_vector"]) < 1e-5


def test_the_sum_is_rounded_once():
    """In bfloat16, what is added in bfloat16 step by step is another number."""
    transformer = tiny_transformer(torch.bfloat16)
    before = copy.deepcopy(transformer)
    adapter = read_adapter(FOLDERS["B"])
    merge(transformer, adapter)
    for module in adapter.modules:
        down, up = (adapter.weights[f"{module}.lora_{half}.weight"].double() for half in "AB")
        exact = before.get_submodule(module).weight.double() + adapter.scaling(module) * up @ down
        assert (transformer.get_submodule(module).weight != exact.bfloat16()).sum() <= 2
    others = {name: p for name, p in before.named_parameters() if "norm" in name or "conv" in name}
    assert all(torch.equal(p, transformer.get_parameter(name)) for name, p in others.items())


def test_an_adapter_that_does_not_fit_changes_nothing():
    transformer = tiny_transformer()
    expected = velocity(transformer)
    adapter = read_adapter(FOLDERS["A"])
    key = "layers.3.self_attn.to_v.lora_B.weight"
    bad = replace(adapter, weights={**adapter.weights, key: torch.ones(33, 4)})
    with pytest.raises(AdapterError, match="33×32"):
        merge(transformer, bad)
    assert torch.equal(velocity(transformer), expected)
