"""Attention in matrix products: the fused kernel's numbers, where it is taken, its rounding."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

import acestep.speed.products as products_module
from acestep.speed.products import ROWS, attend, products_are_faster, written_out

GROUPS, WIDTH = 2, 16


def tensors(queries, keys, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = ((queries, 1.5), (keys, 1.5), (keys, 1.0))
    return [
        (size * torch.randn(2, GROUPS, count, WIDTH, generator=generator))
        .to(dtype)
        .requires_grad_()
        for count, size in shapes
    ]


def results(how, given, mask):
    for tensor in given:
        tensor.grad = None
    heard = how(*given, mask, 0.25)
    heard.square().sum().backward()
    return [heard.detach(), *(tensor.grad.clone() for tensor in given)]


def fused(query, key, value, mask, scale):
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


@pytest.mark.parametrize("queries", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 300])
@pytest.mark.parametrize("masked", ["no", "rows", "one row for all", "each clip its own"])
def test_they_are_attention_forward_and_backward(queries, masked):
    given = tensors(queries, 37)
    mask = None
    if masked != "no":
        shape = {"rows": (queries, 37), "one row for all": (1, 37)}
        shape = shape.get(masked, (2, 1, queries, 37))
        hidden = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.3
        mask = torch.zeros(shape, dtype=torch.float64).masked_fill(hidden, -torch.inf)
    for one, other in zip(
        results(written_out, given, mask), results(fused, given, mask), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_in_bfloat16_they_are_as_near_as_bfloat16_is():
    exact = results(fused, tensors(300, 200, torch.float32), None)
    near = results(written_out, tensors(300, 200, torch.bfloat16), None)
    for one, other in zip(near, exact, strict=True):
        assert (one.float() - other).norm() < 0.02 * other.norm()


@pytest.mark.parametrize("faster", [True, False])
def test_they_are_taken_in_bfloat16_where_products_are_faster(faster, monkeypatch):
    monkeypatch.setattr(products_module, "products_are_faster", lambda: faster)
    asked = []
    monkeypatch.setattr(products_module, "written_out", lambda *given: asked.append(given))
    attend(*tensors(3, 3, torch.float32), None, 1.0)
    assert asked == []
    attend(*tensors(3, 3, torch.bfloat16), None, 1.0)
    assert len(asked) == faster


def test_what_the_processor_can_is_asked_of_torch():
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if can.get("architecture") != "x86_64":
        pytest.skip("capabilities of another architecture")
    assert products_are_faster() == (can["avx512_bf16"] and not can["amx_tile"])
