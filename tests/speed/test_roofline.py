"""Predicted passes against roofline estimates that were made operation by operation."""

from dataclasses import replace

import pytest

from acestep.model.shape import REFERENCE, SHAPES
from acestep.speed.roofline import (
    Batch,
    Chip,
    Way,
    attention_flops,
    pass_seconds,
    product_flops,
    update_seconds,
)

XL = SHAPES["acestep-v15-xl-base"]
CHIPS = {
    "H200": Chip(989, 4800),
    "A100": Chip(312, 2039),
    "RTX 4090": Chip(165, 1008),
    "RTX 3090": Chip(71, 936),
}
EAGER, COMPILED = Way(), Way(compiled=True)
GRAPH, RECOMPUTED = Way(compiled=True, graphs=True), Way("full", compiled=True)
# Milliseconds at rank 64 with AdamW: 2B at 60 s, 2B at 240 s, and XL at 240 s; counted operations
# and bytes, tile quantisation of the products, 85 % of the bandwidth
COLUMNS = [
    *[(REFERENCE, 750, way) for way in (EAGER, COMPILED, GRAPH, RECOMPUTED)],
    *[(REFERENCE, 3000, way) for way in (EAGER, COMPILED, GRAPH, RECOMPUTED)],
    (XL, 3000, COMPILED),
]
EXPECTED = {
    "H200": (60, 22, 17, 28, 93, 51, 50, 70, 119),
    "A100": (60, 34, 33, 48, 225, 131, 130, 184, 315),
    "RTX 4090": (98, 52, 51, 74, 390, 210, 210, 299, 510),
    "RTX 3090": (157, 107, 106, 156, 630, 438, 437, 627, 1120),
}


def milliseconds(shape, chip, way, batch):
    adapter = shape.adapter_parameters(64, "attention")
    return 1e3 * (pass_seconds(shape, chip, way, batch, adapter) + update_seconds(chip, adapter))


@pytest.mark.parametrize("card", EXPECTED)
def test_steps_are_predicted_as_operation_by_operation(card):
    found = [milliseconds(s, CHIPS[card], way, Batch(n)) for s, n, way in COLUMNS]
    ratios = [one / other for one, other in zip(found, EXPECTED[card], strict=True)]
    assert all(0.85 < ratio < 1.15 for ratio in ratios), ratios


def test_operations_are_those_that_were_counted_on_the_real_model():
    """TFLOP of a step, counted on fake tensors of the real size."""
    counted = {(REFERENCE, 375): 2.3, (REFERENCE, 750): 4.6, (REFERENCE, 3000): 20.7}
    counted |= {(XL, 750): 12.7, (XL, 3000): 56.9}
    for (shape, patches), tera in counted.items():
        batch = Batch(patches)
        adapter = shape.adapter_parameters(64, "attention")
        found = product_flops(shape, batch, adapter) + attention_flops(shape, batch)
        assert found / 1e12 == pytest.approx(tera, rel=0.06)


def test_four_clips_together_cost_less_than_four_alone():
    """44 ms on an H200, compiled, were predicted for four clips of 60 s, 22 for one."""
    four = milliseconds(REFERENCE, CHIPS["H200"], COMPILED, Batch(750, 4))
    assert four == pytest.approx(44, rel=0.15)
    one = milliseconds(REFERENCE, CHIPS["H200"], COMPILED, Batch(750))
    assert four < 0.6 * 4 * one


def test_what_is_done_again_or_beside_it_takes_time():
    chip, batch = CHIPS["RTX 3090"], Batch(750)

    def took(**changes):
        return milliseconds(REFERENCE, chip, replace(EAGER, **changes), batch)

    levels = [took(level=level) for level in ("none", "products", "attention", "full")]
    assert levels == sorted(set(levels))
    assert 1.3 < levels[-1] / levels[0] < 1.5  # a forward pass more
    assert 1.2 < took(dora=True) / took() < 1.9
    assert 1.02 < took(dropout=True) / took() < 1.2
    assert 1.02 < took(stored=True) / took() < 1.2


def test_dora_issues_half_as_many_operations_again():
    """14,640 operations instead of 9,468 were counted, which is what an H200 waits for at 60 s."""
    plain, dora = (
        milliseconds(REFERENCE, CHIPS["H200"], Way(dora=dora), Batch(750)) for dora in (False, True)
    )
    assert dora / plain == pytest.approx(14640 / 9468, rel=0.05)


def test_time_goes_with_length_and_falls_with_the_card():
    chip = CHIPS["A100"]
    lengths = [milliseconds(REFERENCE, chip, COMPILED, Batch(n)) for n in (1500, 3000, 6000)]
    assert 1.8 < lengths[1] / lengths[0] < 2.3 and 2 < lengths[2] / lengths[1] < 2.5
    twice = Chip(2 * chip.peak, 2 * chip.bandwidth)
    faster = milliseconds(REFERENCE, twice, COMPILED, Batch(6000))
    assert 0.5 < faster / lengths[2] < 0.6
