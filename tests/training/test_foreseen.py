"""Switches that are told before a run, against what a run chooses."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from situations import LARGE
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import ConfigError
from acestep.speed.pace import Choice
from acestep.training.estimate import estimate
from acestep.training.foreseen import (
    expected_compiling,
    expected_filling,
    expected_graphs,
    expected_kernel,
    expected_precision,
    load_of,
    patches_of,
)
from acestep.training.machine import GIB, Machine, named_machine
from acestep.training.session import open_session
from acestep.training.situation import look_at_tensors


def config(**knobs):
    return TrainConfig(tensors=Path("t"), **knobs)


@pytest.mark.parametrize("knobs", [{}, {"batch_size": 3}, {"gradient_checkpointing": "full"}])
def test_a_run_here_chooses_what_was_foreseen(knobs, tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors")
    asked = TrainConfig(tensors=tensors, output=tmp_path / "run", device="cpu", **knobs)
    foreseen = estimate(look_at_tensors(tensors, device="cpu"), asked).switches
    with ExitStack() as held:
        session, _ = open_session(asked, held)
    chosen = session.pace.values()
    assert {name: foreseen[name].value for name in chosen} == chosen


def test_precision_follows_knobs_and_machine():
    assert expected_precision(LARGE, config()).value == "bfloat16"
    assert expected_precision(LARGE, config(precision="float32")).value == "float32"
    assert expected_precision(LARGE, config(precision="float16")).value == "float32"
    assert expected_precision(LARGE, config(base_precision="bf16")).value == "bfloat16"
    narrow = replace(LARGE.base.shape, width=192)
    cpu = Machine("this CPU", "cpu", 16 * GIB, here=True)
    here = replace(LARGE, machine=cpu, base=replace(LARGE.base, shape=narrow))
    assert expected_precision(here, config()).value == "float32"
    assert expected_precision(replace(here, base=LARGE.base), config()).value in (
        "float32",
        "bfloat16",
    )


@pytest.mark.parametrize(
    ("card", "kernel"), [("RTX 3060", "varlen"), ("T4", "flex"), ("RTX 2080 Ti", "flex")]
)
def test_a_cards_kernel_is_told_by_its_age(card, kernel):
    s = replace(LARGE, machine=named_machine(card))
    choice = expected_kernel(s, expected_precision(s, config()))
    assert choice.value == kernel and choice.slower == (kernel != "varlen")
    assert expected_kernel(s, expected_precision(s, config(precision="float32"))).value == "local"


def test_the_level_is_what_fits_and_what_is_asked_for_stays():
    def level(s=LARGE, samples=4, **knobs):
        asked = config(**knobs)
        return expected_filling(s, asked, load_of(s, asked, expected_precision(s, asked)), samples)

    assert level()[0].value == "products" and level()[1].value == 3000
    assert level(gradient_checkpointing="full")[0].why == "as asked for"
    assert level(memory_limit=5)[0].value in ("attention", "full")
    assert level(samples=1)[1].value == 0 and level(patches_at_once=900)[1].value == 900
    short = level(memory_limit=3)
    assert short[0].slower and short[1].value == 0 and "where there are" in short[0].why
    assert level(memory_limit=3, base_precision="int8")[0].value == "full"


def test_a_clip_has_at_least_one_patch():
    assert [patches_of(LARGE, s) for s in (0.0, 0.04, 0.08, 60)] == [1, 1, 1, 750]


def test_compiling_is_foreseen_by_the_length_of_a_run_and_what_stands_in_its_way():
    def compiled(passes, **knobs):
        return expected_compiling(LARGE, config(**knobs), passes, 3000)

    assert compiled(20_000).value and not compiled(5).value and "%" in compiled(5).why
    assert not compiled(20_000, compile="off").value and compiled(5, compile="on").value
    for knobs in ({"adapter": "dora"}, {"base_precision": "int8"}):
        choice = compiled(20_000, **knobs)
        assert not choice.value and choice.slower
    cpu = replace(LARGE, machine=Machine("this CPU", "cpu", 16 * GIB, here=True))
    assert not expected_compiling(cpu, config(), 0, 3000).value


def test_graphs_are_refused_as_a_start_refuses_them():
    def graphs(s=LARGE, level="none", **knobs):
        asked = config(cuda_graphs=True, **knobs)
        kernel = expected_kernel(s, expected_precision(s, asked))
        return expected_graphs(s, asked, kernel, Choice(level, ""))

    assert graphs().value and not expected_graphs(LARGE, config(), *[Choice("none", "")] * 2).value
    with pytest.raises(ConfigError, match="nf4"):
        graphs(base_precision="nf4")
    with pytest.raises(ConfigError, match="dropout"):
        graphs(level="full")
    with pytest.raises(ConfigError, match="cpu"):
        graphs(replace(LARGE, machine=Machine("this CPU", "cpu", 16 * GIB, here=True)))
