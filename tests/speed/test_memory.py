"""The formula against whole steps of the real models, counted on tensors without data."""

from dataclasses import replace

import pytest
import torch
from live_memory import shape_of, step_bytes

from acestep.model.shape import REFERENCE, SHAPES
from acestep.speed.levels import LEVELS
from acestep.speed.memory import GIB, STORED, Load, fill, peaks, usable
from acestep.speed.precision import stored_bytes

XL = SHAPES["acestep-v15-xl-base"]


def counted(size, patches, level, **knobs):
    """The peak of all blocks, from that of two and of three: the rest are as the third."""
    full = shape_of(size).layers
    statics, peaks = zip(
        *(step_bytes(size, patches, level, layers=layers, **knobs) for layers in (2, 3)),
        strict=True,
    )
    return tuple(two + (full - 2) * (three - two) for two, three in (statics, peaks))


def test_the_shapes_are_those_of_the_published_models():
    assert shape_of("2B") == REFERENCE and shape_of("XL") == XL


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("size", "patches", "knobs"),
    [
        ("2B", 750, {"dropout": 0.0}),
        ("2B", 3000, {"dropout": 0.1, "targets": "attention+mlp", "rank": 32}),
        ("XL", 3000, {"dropout": 0.0}),
        ("2B", 1500, {"dropout": 0.1, "adapter": "dora"}),
        ("XL", 750, {"dropout": 0.1, "dtype": torch.float32, "targets": "cross"}),
    ],
    ids=str,
)
def test_peaks_are_those_of_the_real_transformer(size, patches, level, knobs):
    static, peak = counted(size, patches, level, **knobs)
    weights = str(knobs.pop("dtype", torch.bfloat16)).removeprefix("torch.")
    load = Load(shape_of(size), weights=weights, level=level, **knobs)
    assert load.static == pytest.approx(static, rel=0.005)
    assert load.peak(patches) == pytest.approx(peak, rel=0.04)


def test_one_whole_model_at_full_depth():
    """Nothing is extrapolated: 24 blocks, 240 s, everything but attention computed again."""
    _, peak = step_bytes("2B", 3000, "attention", dropout=0.0)
    load = Load(REFERENCE, dropout=0.0, level="attention")
    assert load.peak(3000) == pytest.approx(peak, rel=0.02)


@pytest.mark.parametrize(
    ("size", "int8", "most"),
    [("2B", False, 5), ("2B", True, 3.2), ("XL", False, 11), ("XL", True, 7)],
)
def test_240_seconds_fit_where_all_is_computed_again(size, int8, most):
    """Rank 64, batch 1; in units of 10⁹ bytes without dropout, in GiB with the usual one."""
    _, peak = counted(size, 3000, "full", int8=int8, dropout=0.0)
    assert peak < most * 1e9
    stored = "int8" if int8 else "auto"
    load = Load(shape_of(size), level="full", base_precision=stored, dropout=0.0)
    assert load.peak(3000) == pytest.approx(peak, rel=0.03)
    assert replace(load, dropout=0.1).peak(3000) < most * GIB


def test_few_bits_take_what_their_library_takes():
    for kept, each in STORED.items():
        assert each == pytest.approx(stored_bytes(6144, 2048, kept) / (6144 * 2048), rel=0.001)
    sizes = [Load(XL, base_precision=kept).base for kept in ("bf16", "int8", "nf4")]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.3 * sizes[0]


def test_memory_grows_with_what_it_should_and_shrinks_with_the_level():
    load = Load(REFERENCE, dropout=0.0)
    for changed in (
        {"rank": 128},
        {"targets": "attention+mlp"},
        {"adapter": "dora"},
        {"dropout": 0.1},
        {"weights": "float32"},
        {"condition": 769},
        {"optimizer": "prodigy"},
        {"fused": False},
        {"shape": XL},
    ):
        assert replace(load, **changed).peak(1500) > load.peak(1500), changed
    peaks = [replace(load, level=level).peak(1500) for level in LEVELS]
    assert peaks == sorted(peaks, reverse=True)
    eager = replace(load, dropout=0.1)
    assert replace(eager, compiled=True).peak(1500) < 0.85 * eager.peak(1500)
    assert replace(load, compiled=True).peak(1500) == load.peak(1500)
    assert replace(load, optimizer="adamw8bit").peak(1500) < load.peak(1500)
    assert load.peak(3000, 4) > load.peak(3000)


def choose(load, longest, enough, room):
    return fill(peaks(load, longest), longest, enough, room)


@pytest.mark.parametrize(
    ("shape", "card", "seconds", "stored", "level"),
    [
        (REFERENCE, 6, 60, "auto", "products"),
        (REFERENCE, 24, 240, "auto", "none"),
        (REFERENCE, 12, 240, "auto", "none"),
        (REFERENCE, 6, 240, "int8", "attention"),
        (XL, 16, 240, "auto", "attention"),
        (XL, 12, 240, "auto", "full"),
        (XL, 8, 60, "nf4", "none"),
        (XL, 80, 240, "auto", "none"),
        (XL, 24, 240, "auto", "products"),
    ],
)
def test_what_fits_on_which_card(shape, card, seconds, stored, level):
    load = Load(shape, dropout=0.0, base_precision=stored)
    longest = seconds * 25 // 2
    fit = choose(load, longest, 3000, usable(card * GIB))
    assert fit.level == level and fit.fits and fit.peak <= usable(card * GIB)
    assert longest <= fit.patches_at_once <= max(longest, 3000)


def test_what_fits_nowhere_is_not_said_to_fit():
    fit = choose(Load(XL), 3000, 6000, usable(4 * GIB))
    assert not fit.fits and fit.level == "full" and fit.patches_at_once == 3000
    assert usable(0) == 0
    assert choose(Load(REFERENCE), 100, 0, usable(80 * GIB)).patches_at_once == 100
