"""What an adapter changes at one seed, and the alarm when that is nothing."""

import json
from dataclasses import replace

import pytest
import torch
from adapter_data import FOLDERS, tiny_transformer

from acestep.adapters.effect import Effect, OutputChange, effect, output_change
from acestep.adapters.files import read_adapter
from acestep.adapters.mount import mount, mounted
from acestep.model.sample import Condition
from acestep.speed.attention import install_attention

TRANSFORMER = tiny_transformer()
install_attention(TRANSFORMER)
GENERATOR = torch.Generator().manual_seed(0)
CONDITION = Condition(
    torch.randn(1, 5, 32, generator=GENERATOR), torch.randn(1, 20, 16, generator=GENERATOR)
)
GOOD = read_adapter(FOLDERS["A"])


def scaled(adapter, factor):
    weights = {k: v * factor if "lora_B" in k else v for k, v in adapter.weights.items()}
    return replace(adapter, weights=weights)


def alarm(adapter, **knobs):
    return effect(TRANSFORMER, adapter, CONDITION, **knobs).alarm


@pytest.mark.parametrize("letter", FOLDERS)
def test_an_adapter_that_changes_the_piece_raises_no_alarm(letter):
    found = effect(TRANSFORMER, read_adapter(FOLDERS[letter]), CONDITION)
    assert found.alarm is None
    assert found.change.share > 0.2 and found.size.relative > 0.01


def test_the_change_is_measured_at_the_same_seed_against_another_one():
    change = output_change(TRANSFORMER, GOOD, CONDITION)
    assert output_change(TRANSFORMER, GOOD, CONDITION) == change
    assert output_change(TRANSFORMER, GOOD, CONDITION, strength=0.0).relative == 0
    half = output_change(TRANSFORMER, GOOD, CONDITION, strength=0.5)
    assert 0 < half.relative < change.relative and half.seeds == change.seeds
    assert output_change(TRANSFORMER, GOOD, CONDITION, seed=7).seeds != change.seeds
    assert change.share == change.relative / change.seeds


def test_what_was_mounted_before_has_no_say_and_stays():
    expected = output_change(TRANSFORMER, GOOD, CONDITION)
    worn = tiny_transformer()
    install_attention(worn)
    mount(worn, read_adapter(FOLDERS["B"]), "other", 0.7)
    assert output_change(worn, GOOD, CONDITION) == expected
    assert mounted(worn) == {"other": 0.7}


def test_zeros_do_nothing_and_were_never_trained():
    found = alarm(scaled(GOOD, 0.0))
    assert (found.code, found.level, found.value) == ("does-nothing", "error", 0)
    assert "never trained" in found.advice and "0.00 %" in found.message


def test_a_strength_of_zero_is_named():
    found = alarm(GOOD, strength=0.0)
    assert "strength is 0" in found.advice and "trained" not in found.advice


def test_a_learning_rate_that_was_too_low_is_named():
    weak = replace(scaled(GOOD, 1e-5), card={"learning_rate": 1e-7, "step": 4})
    found = alarm(weak)
    assert found.code == "does-nothing"
    assert "too low" in found.advice and "1e-07" in found.advice and "4 steps" in found.advice


def test_a_missing_tag_is_named_if_nothing_else_happens():
    tagged = replace(scaled(GOOD, 0.0), card={"dataset": {"tag": "zz <b>'é'"}})
    assert "lacks its tag" in alarm(tagged, caption="a waltz").advice
    assert "tag" not in alarm(tagged, caption="ZZ <b>'é', a waltz").advice
    assert "tag" not in alarm(tagged).advice


def test_weights_without_effect_are_told_apart_from_small_ones():
    """Keys of the attention to the prompt move each score alike: ΔW is large, nothing changes."""
    silent = {k: v for k, v in GOOD.weights.items() if "cross_attn.to_k" in k}
    alphas = {k: v for k, v in GOOD.alphas.items() if "cross_attn.to_k" in k}
    one_word = Condition(CONDITION.states[:, :1], CONDITION.context)
    found = effect(TRANSFORMER, replace(GOOD, weights=silent, alphas=alphas), one_word)
    assert found.size.relative > 0.01
    assert found.alarm is not None and "matter little" in found.alarm.advice


def test_modules_of_another_base_are_an_alarm():
    stranger = {k.replace("layers.", "blocks."): v for k, v in GOOD.weights.items()}
    alphas = {k.replace("layers.", "blocks."): v for k, v in GOOD.alphas.items()}
    found = effect(TRANSFORMER, replace(GOOD, weights=stranger, alphas=alphas), CONDITION)
    assert (found.size, found.change, found.alarm.code) == (None, None, "does-not-fit")
    assert "do not match" in found.alarm.message


def test_an_adapter_that_overflows_breaks_the_output():
    found = effect(TRANSFORMER, scaled(GOOD, 1e30), CONDITION)
    assert found.alarm.code == "breaks-output"
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["change"]["share"] is None


def test_the_report_gets_plain_values():
    values = json.loads(json.dumps(effect(TRANSFORMER, GOOD, CONDITION).as_dict()))
    assert values["alarm"] is None and values["size"]["kind"] == "lora"
    assert values["change"]["share"] > 0
    assert Effect(None, None, None).as_dict() == {"size": None, "change": None, "alarm": None}
    assert OutputChange(0.1, 0.0, 1, 1.0).as_dict()["share"] is None
