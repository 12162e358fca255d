"""Settings by the size of a card: each fits, and none computes again what it need not."""

from dataclasses import replace
from pathlib import Path

import pytest

from acestep.model.shape import REFERENCE, SHAPES
from acestep.speed.levels import LEVELS
from acestep.speed.memory import CONTEXT, GIB, SLACK, Load, usable
from acestep.training.cost import room
from acestep.training.machine import named_machine
from acestep.training.presets import (
    PRECISIONS,
    SIZES,
    choose_preset,
    longest_clip,
    patches_in,
    presets_table,
    seconds_of,
)

MODELS = {"2B": REFERENCE, "XL": SHAPES["acestep-v15-xl-base"]}
CASES = [(gib, model, seconds) for model in MODELS for seconds in (60, 240) for gib in SIZES]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "speed.md"


def preset_of(gib, model, seconds, **more):
    load = Load(MODELS[model], **more)
    return load, choose_preset(load, patches_in(load, seconds), usable(gib * GIB))


def peak(load, preset, patches, **more):
    chosen = replace(
        load, **{"base_precision": preset.base_precision, "level": preset.fit.level, **more}
    )
    return chosen.peak(patches)


@pytest.mark.parametrize(("gib", "model", "seconds"), CASES)
def test_every_preset_fits_with_slack(gib, model, seconds):
    load, preset = preset_of(gib, model, seconds)
    patches = patches_in(load, seconds)
    assert preset.fit.fits
    for together in (patches, preset.fit.patches_at_once):
        assert peak(load, preset, together) * SLACK + CONTEXT <= gib * GIB * 1.001
    assert patches <= preset.fit.patches_at_once <= max(3000, patches)
    assert preset.longest >= seconds


@pytest.mark.parametrize(("gib", "model", "seconds"), CASES)
def test_none_computes_again_or_stores_in_fewer_bits_what_it_need_not(gib, model, seconds):
    load, preset = preset_of(gib, model, seconds)
    patches, limit = patches_in(load, seconds), usable(gib * GIB)
    level, kept = LEVELS.index(preset.fit.level), PRECISIONS.index(preset.base_precision)
    if level > 0:
        assert peak(load, preset, patches, level=LEVELS[level - 1]) > limit
    if kept > 0:
        more = PRECISIONS[kept - 1]
        assert peak(load, preset, patches, level=LEVELS[-1], base_precision=more) > limit


def test_presets_are_what_was_found_by_hand():
    """A table that was made before the model: what fits which card at rank 64."""
    found = {case: preset_of(*case)[1] for case in CASES}

    def kept(*case):
        return found[case].base_precision, found[case].fit.level

    assert kept(24, "2B", 240) == kept(16, "2B", 60) == kept(80, "XL", 240) == ("auto", "none")
    assert kept(8, "2B", 240) == ("auto", "attention")
    assert kept(12, "2B", 240) == ("auto", "products")
    assert kept(24, "XL", 240) == ("auto", "products")
    assert kept(16, "XL", 240) == ("auto", "attention")
    assert found[8, "XL", 60].base_precision == "int8"
    assert found[6, "XL", 60].base_precision == "nf4"
    assert {found[gib, "2B", 60].base_precision for gib in SIZES} == {"auto"}


def test_the_longest_clip_is_the_last_that_fits():
    for gib in (6, 12):
        load = Load(REFERENCE, level="full")
        most = longest_clip(load, usable(gib * GIB))
        assert load.peak(most) <= usable(gib * GIB) < load.peak(most + 12)
    assert longest_clip(Load(MODELS["XL"]), usable(6 * GIB)) == 0  # not even the base
    assert seconds_of(Load(REFERENCE), 750) == 60


def test_where_nothing_fits_the_least_is_taken_and_said():
    _, preset = preset_of(2, "XL", 240)
    assert not preset.fit.fits and preset.longest == 0
    assert (preset.base_precision, preset.fit.level) == ("nf4", "full")
    load = Load(REFERENCE)
    asked = choose_preset(load, 3000, usable(8 * GIB), precisions=["auto"], levels=["none"])
    assert not asked.fit.fits and asked.fit.level == "none"


def test_what_is_trained_counts():
    assert preset_of(12, "2B", 60)[1].fit.level == "none"
    more = {"rank": 256, "targets": "attention+mlp"}
    assert preset_of(12, "2B", 60, **more)[1].fit.level != "none"


def test_the_documentation_has_these_presets():
    """``scripts/write_presets.py`` writes them there."""
    assert presets_table() in DOCS.read_text(encoding="utf-8")
    assert all(room(named_machine(f"{gib}GB")) == usable(gib * GIB) for gib in SIZES)
