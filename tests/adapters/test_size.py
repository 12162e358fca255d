"""The size of an adapter, against the full matrices that it never forms the SVD of."""

import json
from dataclasses import replace

import pytest
import torch
from adapter_data import FOLDERS, tiny_transformer

from acestep.adapters.files import read_adapter
from acestep.adapters.merge import merge
from acestep.adapters.size import adapter_size, effective_rank, low_rank_values
from acestep.errors import AdapterError

BASE = tiny_transformer()


def full_updates(adapter, strength):
    """What merging adds to every weight, times the strength: the definition."""
    merged = tiny_transformer()
    merge(merged, adapter)
    return {
        module: strength
        * (merged.get_submodule(module).weight - BASE.get_submodule(module).weight).double()
        for module in adapter.modules
    }


@pytest.mark.parametrize("letter", FOLDERS)
@pytest.mark.parametrize("strength", [1.0, -0.5, 1.4])
def test_norms_are_those_of_the_full_matrices(letter, strength):
    adapter = read_adapter(FOLDERS[letter])
    size = adapter_size(BASE, adapter, strength)
    updates = full_updates(adapter, strength)
    weights = {module: BASE.get_submodule(module).weight.double() for module in updates}
    assert [each.module for each in size.modules] == adapter.modules
    for each in size.modules:
        expected = torch.linalg.norm(updates[each.module]) / torch.linalg.norm(weights[each.module])
        assert each.relative == pytest.approx(expected.item(), rel=1e-4)
    whole = [sum(m.square().sum().item() for m in side.values()) for side in (updates, weights)]
    assert size.relative == pytest.approx((whole[0] / whole[1]) ** 0.5, rel=1e-4)
    assert size.kind == adapter.kind and size.strength == strength and not size.untrained


@pytest.mark.parametrize("letter", ["A", "B", "D"])
def test_the_effective_rank_is_that_of_the_full_svd(letter):
    adapter = read_adapter(FOLDERS[letter])
    size = adapter_size(BASE, adapter)
    for each in size.modules:
        values = torch.linalg.svdvals(full_updates(adapter, 1.0)[each.module])
        shares = (values / values.sum()).clamp(min=1e-300)
        expected = torch.exp(-(shares * shares.log()).sum()).item()
        assert each.effective_rank == pytest.approx(expected, rel=1e-2)
        assert 1 <= each.effective_rank <= each.rank


@pytest.mark.parametrize(
    ("values", "rank"),
    [([3.0], 1), ([2, 2, 2, 2], 4), ([1, 0, 0], 1), ([0, 0], 0), ([1, 1, 1e-12], 2)],
)
def test_effective_ranks_that_are_known(values, rank):
    assert effective_rank(torch.tensor(values, dtype=torch.float32)) == pytest.approx(
        rank, abs=1e-4
    )


def test_two_unequal_directions_count_for_less_than_two():
    # Shares 3/4 and 1/4: entropy 0.5623 nats
    assert effective_rank(torch.tensor([3.0, 1.0])) == pytest.approx(1.7548, abs=1e-4)


def test_singular_values_of_the_product_come_from_its_factors():
    generator = torch.Generator().manual_seed(0)
    up, down = (torch.randn(*shape, generator=generator) for shape in ((50, 6), (6, 70)))
    expected = torch.linalg.svdvals(up @ down)[:6]
    assert torch.allclose(low_rank_values(up, down), expected, rtol=1e-4)
    narrow = low_rank_values(up[:4], down)  # a rank that is more than the layer is wide
    assert torch.allclose(narrow[:4], torch.linalg.svdvals(up[:4] @ down), rtol=1e-4)


def test_doras_magnitudes_are_told_beside():
    adapter = read_adapter(FOLDERS["C"])
    size = adapter_size(BASE, adapter)
    module = adapter.modules[0]
    rows = torch.linalg.norm(BASE.get_submodule(module).weight, dim=1)
    change = adapter.weights[f"{module}.lora_magnitude_vector"] / rows - 1
    expected = change.square().mean().sqrt().item()
    assert size.modules[0].magnitude == pytest.approx(expected, rel=1e-5)
    assert size.magnitude is not None
    assert adapter_size(BASE, read_adapter(FOLDERS["A"])).magnitude is None


def test_an_adapter_before_its_first_step_has_no_size():
    a = read_adapter(FOLDERS["A"])
    zeros = {k: v * 0 if "lora_B" in k else v for k, v in a.weights.items()}
    size = adapter_size(BASE, replace(a, weights=zeros))
    assert size.untrained and (size.relative, size.effective_rank) == (0, 0)
    off = adapter_size(BASE, a, 0.0)
    assert not off.untrained and (off.relative, off.effective_rank) == (0, 0)


def test_the_report_gets_plain_numbers():
    values = adapter_size(BASE, read_adapter(FOLDERS["C"])).as_dict()
    assert json.loads(json.dumps(values, allow_nan=False))["modules"][0]["relative"] > 0


def test_what_does_not_fit_is_refused():
    a = read_adapter(FOLDERS["A"])
    with pytest.raises(AdapterError, match="does not fit"):
        adapter_size(torch.nn.Linear(3, 3), a)
    with pytest.raises(AdapterError, match="makes no sense"):
        adapter_size(BASE, a, float("nan"))
