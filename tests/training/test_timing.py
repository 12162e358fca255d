"""Predicted times of whole runs, and how they are said."""

from dataclasses import replace

import pytest

from acestep.model.shape import REFERENCE, find_base
from acestep.speed.roofline import Way
from acestep.training.machine import GIB, Machine, named_machine
from acestep.training.timing import Time, Work, cpu_chip, duration, predict_time, short_time

CPU = Machine("this CPU", "cpu", 16 * GIB, here=True)
SONG = 2812.5  # patches of 225 s
RUN = Work(steps=4000, samples=1, patches=SONG)
EAGER = Way()
LORA = REFERENCE.adapter_parameters(64, "attention")


def run_on(card, way=EAGER, work=RUN):
    return predict_time(REFERENCE, named_machine(card), LORA, way, work)


@pytest.mark.parametrize(
    ("card", "guide"), [("RTX 3090", 3600), ("RTX 4090", 2400), ("A100", 1800)]
)
def test_a_run_takes_less_than_the_guides(card, guide):
    """8 songs and 500 epochs: 1 h, 40 min and half an hour with the original program, whose
    attention is dense. Windows take a third to a half of that away, compiling as much again."""
    eager, compiled = (run_on(card, Way(compiled=on)).seconds for on in (False, True))
    assert 0.4 * guide < eager < 0.9 * guide
    assert 0.2 * guide < compiled < 0.65 * guide
    assert f"predicted for {card}, ±30 %" in run_on(card).sentence


def test_ten_thousand_steps_of_240_s_take_what_was_estimated_for_four_cards():
    """8, 22, 35 and 73 minutes, compiled."""
    work = Work(steps=10_000, samples=1, patches=3000)
    for card, minutes in (("H200", 8), ("A100", 22), ("RTX 4090", 35), ("RTX 3090", 73)):
        found = run_on(card, Way(compiled=True), work).seconds / 60
        assert found == pytest.approx(minutes, rel=0.2)


def test_time_goes_with_steps_samples_and_passes():
    once = run_on("3090")
    assert run_on("3090", work=replace(RUN, steps=8000)).seconds == 2 * once.seconds
    assert run_on("3090", work=replace(RUN, samples=4)).step == pytest.approx(
        4 * once.step, rel=0.01
    )
    taught = run_on("3090", work=replace(RUN, taught=True))
    assert taught.seconds == pytest.approx(once.seconds * 4 / 3, rel=0.01)
    kept = run_on("3090", work=replace(RUN, kept=True))
    assert kept.seconds == pytest.approx(once.seconds * 7 / 3, rel=0.01)
    judged = run_on("3090", work=replace(RUN, unlearned=300))
    assert judged.beside == pytest.approx(100 * once.step, rel=0.02)
    assert judged.seconds == judged.beside + once.seconds


def test_short_clips_are_faster_together():
    work = Work(steps=100, samples=4, patches=750)
    way = Way(compiled=True)
    alone, together = (run_on("H200", way, replace(work, at_once=n)).step for n in (0, 3000))
    assert together < 0.6 * alone


def test_a_cpu_is_judged_by_a_product_that_is_timed():
    found = predict_time(REFERENCE, CPU, LORA, Way(), Work(10, 1, 750))
    assert "guess" in found.sentence and "timed" in found.sentence
    assert 1e-3 < cpu_chip(2048, 6144).peak < 50
    assert found.step > 0.2  # 5 TFLOP, and no CPU does 25 a second
    tiny = predict_time(find_base("mini").shape, CPU, 10_000, Way(), Work(10, 1, 125))
    assert tiny.step < 0.2 * found.step
    mac = predict_time(REFERENCE, replace(CPU, kind="mps", name="this Mac"), LORA, Way(), RUN)
    assert "rough guess for this Mac" in mac.sentence


def test_lengths_of_time_for_people():
    spoken = [duration(seconds) for seconds in (3.2, 89, 600, 7200, 90_000, 900_000)]
    assert spoken == ["3 s", "89 s", "10 min", "2.0 h", "25.0 h", "10 days"]
    assert [short_time(s) for s in (0.0352, 1.42, 240)] == ["35.2 ms", "1.4 s", "4 min"]
    assert Time(1.5, 1, "timed here").sentence == "timed here: 2 s (1 step of 1.5 s)"
