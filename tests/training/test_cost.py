"""Predicted memory in words, against what a machine has."""

from dataclasses import replace

import pytest

from acestep.model.shape import REFERENCE, SHAPES
from acestep.speed.memory import GIB, Load
from acestep.training.cost import allowed, predict_memory, room
from acestep.training.machine import named_machine

CARD = named_machine("24GB")


def test_memory_is_base_adapter_and_activations():
    """Base in bfloat16 and adapter with AdamW of the 2B model: 2.93 and .66 GiB by count; 1.6 GiB
    are kept at 60 s without dropout, counted on the real shapes."""
    memory = predict_memory(Load(REFERENCE, dropout=0), CARD, 750)
    assert memory.base / GIB == pytest.approx(2.93, abs=0.02)
    assert memory.adapter / GIB == pytest.approx(0.656, abs=0.002)
    assert memory.activations / GIB == pytest.approx(1.60, rel=0.05)
    assert memory.total / GIB == pytest.approx((3.59 + 1.60) * 1.08 + 0.6, rel=0.03)
    assert memory.fits and "fits into 24.0 GiB" in memory.sentence
    assert "predicted" in memory.sentence and "all activations kept" in memory.sentence


def test_what_does_not_fit_says_so_and_a_limit_counts():
    xl = Load(SHAPES["acestep-v15-xl-base"], level="full")
    small = predict_memory(xl, named_machine("8GB"), 750)
    assert not small.fits and "does not fit into 8.0 GiB" in small.sentence
    assert small.as_dict()["fits"] is False and small.as_dict()["base"] == small.base
    held = predict_memory(Load(REFERENCE, level="full"), CARD, 750, limit=4)
    assert not held.fits and "does not fit into 4.0 GiB" in held.sentence
    assert allowed(CARD, 4) == 4 * GIB and allowed(CARD, 400) == allowed(CARD) == 24 * GIB


def test_fitting_and_the_room_for_tensors_are_one_thing():
    for gib in (6, 8.5, 12):
        machine = named_machine(f"{gib}GB")
        for patches in range(100, 6000, 700):
            load = replace(Load(REFERENCE), level="products")
            fits = load.peak(patches) <= room(machine)
            assert predict_memory(load, machine, patches).fits == fits
