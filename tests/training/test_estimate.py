"""What a run takes by arithmetic, against what runs do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from situations import LARGE
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.data.tensors import load_samples, read_manifest
from acestep.training.clips import make_clips, split_clips
from acestep.training.estimate import Parts, estimate, expected_parts, unlearned
from acestep.training.situation import look_at_tensors


def config(**knobs):
    return TrainConfig(tensors=Path("t"), **knobs)


def test_the_guides_example_on_a_card():
    found = estimate(LARGE, config(batch_size=2, gradient_accumulation=4))
    assert found.samples_per_step == 8 and found.time.steps == 500
    assert found.memory.fits and found.memory.level == "products"
    assert found.disk.checkpoints == 3 and found.disk.each == pytest.approx(528e6, rel=0.01)
    assert found.disk.free is None  # of a machine that is elsewhere
    assert "RTX 3060, ±30 %" in found.time.how
    facts = found.as_dict()
    assert json.loads(json.dumps(facts))["total_steps"] == 500
    assert facts["time"]["seconds"] == pytest.approx(found.time.seconds)
    assert facts["switches"]["checkpointing"]["value"] == "products"


def test_more_processes_make_fewer_steps():
    one, four = (estimate(LARGE, config(), processes=n) for n in (1, 4))
    assert (one.time.steps, four.time.steps) == (4000, 1000)
    assert four.samples_per_step == 4 and four.time.step == one.time.step


@pytest.mark.parametrize(
    ("knob", "slower"),
    [({"adapter": "dora"}, True), ({"teach_guidance": 2.0}, True), ({"dropout": 0.0}, False)],
)
def test_knobs_cost_what_they_cost(knob, slower):
    plain, other = estimate(LARGE, config()), estimate(LARGE, config(**knob))
    assert (other.time.step > plain.time.step) == slower


def test_a_base_in_fewer_bits_takes_less_memory_and_more_time():
    plain, stored = (
        estimate(LARGE, config(base_precision=kept, gradient_checkpointing="full"))
        for kept in ("auto", "int8")
    )
    assert plain.memory.base - stored.memory.base == pytest.approx(1.41 * 2**30, rel=0.02)
    assert stored.time.step > plain.time.step


@pytest.mark.parametrize("lengths", [(24, 30, 17), (20,) * 12])
@pytest.mark.parametrize("validation", [0.0, 0.1, 0.5])
def test_clips_divide_as_a_run_divides_them(lengths, validation, tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", lengths=lengths)
    clips = make_clips(
        load_samples(tensors, read_manifest(tensors)), torch.device("cpu"), torch.float32
    )
    split = split_clips(clips, validation, 42)
    expected = expected_parts(look_at_tensors(tensors), config(validation=validation))
    assert expected.trained == len(split.train)
    assert (expected.measured > 0) == bool(split.held_out)


def test_evaluations_and_previews_take_time():
    parts = Parts(8, 8)
    assert unlearned(LARGE, config(epochs=100), Parts(8, 0)) == 0
    assert unlearned(LARGE, config(epochs=100, validate_every=50), parts) == 3 * 8 * 8
    heard = config(epochs=100, validate_every=50, preview_every=100, preview_seconds=225)
    assert unlearned(LARGE, heard, parts) == 3 * 8 * 8 + 2 * 3 * 8
    base = replace(LARGE, base=replace(LARGE.base, variant="base"))
    assert unlearned(base, heard, Parts(8, 0)) == 2 * 3 * 100
    quiet = config(epochs=100, validate_every=50)
    assert estimate(LARGE, heard).time.beside > estimate(LARGE, quiet).time.beside > 0
