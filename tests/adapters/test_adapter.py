import math

import pytest
from adapter_data import FOLDERS

from acestep.adapters.files import read_adapter


@pytest.mark.parametrize(
    "letter, kind, scaling", [("A", "lora", 2), ("C", "dora", 2), ("D", "rslora", 2)]
)
def test_kind_rank_and_scaling(letter, kind, scaling):
    adapter = read_adapter(FOLDERS[letter])
    module = "layers.0.self_attn.to_v"
    assert adapter.kind == kind
    assert adapter.rank(module) == 4
    assert adapter.scaling(module) == scaling
    alpha = adapter.alphas[module]
    assert scaling == alpha / (math.sqrt(4) if kind == "rslora" else 4)
    assert adapter.modules == sorted(adapter.modules)


def test_patterns_give_modules_their_own():
    adapter = read_adapter(FOLDERS["B"])
    assert adapter.rank("layers.0.self_attn.to_q") == 2
    assert adapter.scaling("layers.0.self_attn.to_q") == 3
    assert adapter.scaling("layers.1.mlp.down_proj") == 0.25
    assert adapter.scaling("layers.2.mlp.down_proj") == 1
