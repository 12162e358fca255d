"""What a run's checkpoints learned: the same numbers as while they were trained, and more."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import tiny_tensors

from acestep.adapters.files import read_adapter
from acestep.adapters.mount import mount, mounted
from acestep.config import TrainConfig
from acestep.errors import AdapterError, RunError
from acestep.events import Evaluation
from acestep.train import train
from acestep.training.draws import TimeLaw
from acestep.training.evaluate import SongLosses
from acestep.training.evidence import (
    BANDS,
    difference,
    evidence,
    evidence_of,
    measure_base,
    places_in,
    side,
)
from acestep.training.material import open_material

FOUR, TWELVE = (24, 30, 17, 24), (9, 10, 8, 9, 11, 8, 9, 10, 8, 9, 10, 8)
RUNS = {
    "lora": (FOUR, {}),
    "dora": (FOUR, {"adapter": "dora"}),
    "rslora": (FOUR, {"adapter": "rslora", "teach_guidance": 2.0}),
    "songs": (TWELVE, {"timesteps": "continuous"}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each kind, by name: its folder and its evaluations."""
    folder = tmp_path_factory.mktemp("evidence")
    made = {}
    for name, (lengths, knobs) in RUNS.items():
        tensors = folder / f"tensors {len(lengths)}"
        if not tensors.exists():
            tiny_tensors(tensors, lengths)
        config = TrainConfig(
            tensors=tensors, output=folder / name, device="cpu", rank=4, alpha=8.0, epochs=2,
            save_every=1, validate_every=1, learning_rate=5e-3, warmup_steps=0,
            targets="attention+mlp", **knobs,
        )  # fmt: skip
        found = [event for event in train(config) if isinstance(event, Evaluation)]
        made[name] = folder / name, found
    return made


@pytest.mark.parametrize("name", RUNS)
def test_checkpoints_measure_as_they_did_in_training(runs, name):
    run, evaluations = runs[name]
    material = open_material(run, device="cpu")
    found = list(evidence_of(run, material))
    assert [each.checkpoint for each in found] == ["epoch_1", "epoch_2"]
    for each, event in zip(found, evaluations[1:], strict=True):
        assert (each.epoch, each.step, each.strength) == (event.epoch, event.step, 1.0)
        held = each.held_out
        assert held.loss == pytest.approx(event.loss, rel=1e-5)
        assert held.base_loss == pytest.approx(event.base_loss, rel=1e-6)
        bands = {band: values.loss for band, values in held.bands.items()}
        assert bands == pytest.approx(event.bands, rel=1e-5)
        songs = {song: losses.loss for song, losses in held.songs.items()}
        assert songs == pytest.approx(event.songs, rel=1e-5)
        assert held.difference.low == pytest.approx(event.low, rel=1e-3, abs=1e-4)
        assert held.difference.high == pytest.approx(event.high, rel=1e-3, abs=1e-4)
        assert held.difference.low < held.difference.value < held.difference.high
        if name != "songs":
            assert each.training.loss == pytest.approx(event.training_loss, rel=1e-5)
            assert each.training.base_loss == pytest.approx(event.base_training_loss, rel=1e-5)
    assert found[1].held_out.relative.value < -0.01


def test_before_the_first_step_there_is_no_difference(runs):
    for _, evaluations in runs.values():
        first = evaluations[0]
        assert (first.step, first.low, first.high) == (0, 0, 0)
        assert first.songs == first.base_songs and first.bands == first.base_bands
        assert first.training_loss == first.base_training_loss


def test_whole_songs_are_judged_beside_all_training_songs(runs):
    run, _ = runs["songs"]
    (found, _) = evidence_of(run, open_material(run, device="cpu"))
    assert len(found.training.songs) == 11 and found.training.unit == "songs"
    assert (found.held_out.unit, found.held_out.count) == ("passages", 8)
    assert "nothing about other songs" in found.notes[0]
    assert found.loss == "plain flow loss" and found.how == "1 of 12 songs"


def test_parts_of_songs_are_judged_over_songs(runs):
    run, _ = runs["lora"]
    (found,) = evidence_of(run, open_material(run, device="cpu"), [run / "checkpoints/epoch_2"])
    assert (found.held_out.unit, found.held_out.count) == ("songs", 4)
    assert "the rest of each song was trained on" in found.notes[0]
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["held_out"]["relative"]["value"] == found.held_out.relative.value
    assert values["held_out"]["songs"]["song0"]["difference"] == pytest.approx(
        found.held_out.songs["song0"].loss - found.held_out.songs["song0"].base_loss
    )


def test_taught_guidance_is_measured_as_it_was_trained_or_plainly(runs):
    run, _ = runs["rslora"]
    material = open_material(run, device="cpu")
    (taught, _), (plain, _) = evidence_of(run, material), evidence_of(run, material.plain())
    assert taught.loss == "flow loss with guidance 2 taught" and "guidance 2" in taught.notes[1]
    assert plain.loss == "plain flow loss" and len(plain.notes) == 1
    assert taught.held_out.base_loss != plain.held_out.base_loss


def test_zeros_make_no_difference_and_strengths_count(runs):
    run, _ = runs["dora"]
    material = open_material(run, device="cpu")
    base, adapter = measure_base(material), read_adapter(run)
    off, half, full = (
        evidence(material, adapter, base, strength=strength).held_out for strength in (0, 0.5, 1)
    )
    assert off.difference.value == off.difference.low == off.difference.high == 0
    assert full.difference.value < half.difference.value < 0
    lora = read_adapter(runs["lora"][0])
    zeros = {k: v * 0 if "lora_B" in k else v for k, v in lora.weights.items()}
    nothing = evidence(material, replace(lora, weights=zeros), base)
    assert set(nothing.held_out.differences().values()) == {0.0}


def test_what_is_mounted_has_no_say_and_stays(runs):
    run, _ = runs["lora"]
    material = open_material(run, device="cpu")
    (expected, _) = evidence_of(run, material)
    mount(material.transformer, read_adapter(runs["dora"][0]), "other", 0.8)
    (found, _) = evidence_of(run, open_material(run, transformer=material.transformer))
    assert found == expected
    assert mounted(material.transformer) == {"other": 0.8}


def test_a_run_without_checkpoints_and_adapters_of_others_are_refused(runs, tmp_path):
    run, _ = runs["lora"]
    material = open_material(run, device="cpu")
    with pytest.raises(RunError, match="no checkpoint"):
        next(evidence_of(tmp_path, material))
    adapter = read_adapter(run)
    name = adapter.modules[0]
    strange = {k.replace(name, "nowhere"): v for k, v in adapter.weights.items()}
    alphas = {k.replace(name, "nowhere"): v for k, v in adapter.alphas.items()}
    with pytest.raises(AdapterError, match="does not fit"):
        evidence(material, replace(adapter, weights=strange, alphas=alphas), measure_base(material))


@pytest.mark.parametrize("kind", ["turbo", "continuous"])
@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0])
def test_every_time_lies_in_one_band_and_no_band_is_empty(kind, shift):
    times = TimeLaw(kind, shift).fixed()
    placed = [places_in(times, *edges) for edges in BANDS.values()]
    assert all(placed) and sorted(sum(placed, [])) == list(range(8))


def test_the_bands_of_the_turbo_steps():
    times = TimeLaw("turbo", 3.0).fixed()
    bands = {name: [round(times[n], 3) for n in places_in(times, *edges)]
             for name, edges in BANDS.items()}  # fmt: skip
    assert bands == {
        "high": [1.0, 0.955, 0.9, 0.833], "middle": [0.75, 0.643, 0.5], "low": [0.3],
    }  # fmt: skip


def losses(values, passages=None):
    means = torch.tensor([values])
    return SongLosses(means, means if passages is None else torch.tensor(passages))


def test_differences_are_means_over_songs_of_the_times_in_question():
    base = {f"s{n}": losses([1.0, 2.0]) for n in range(4)}
    songs = {f"s{n}": losses([1.0 - n, 2.0 + 10 * n]) for n in range(4)}
    assert difference(songs, base, [0]).value == -1.5
    assert difference(songs, base, [1]).value == 15
    assert difference(songs, base, [0, 1]).value == 6.75
    whole = side(songs, base, [0.9, 0.1])
    assert set(whole.bands) == {"high", "low"}
    assert whole.bands["low"].difference.value == 15 and whole.bands["high"].loss == -0.5
    assert whole.loss == np.mean([1.5 + 4.5 * n for n in range(4)])


def test_a_few_songs_have_the_interval_of_their_passages():
    base = {"one": losses([1.0], [[1.0]] * 8)}
    steady = {"one": losses([0.5], [[0.5]] * 8)}
    wild = {"one": losses([0.5], [[0.0], [1.0]] * 4)}
    assert difference(steady, base, [0]).low == difference(steady, base, [0]).high == -0.5
    assert difference(wild, base, [0]).low < -0.6 and difference(wild, base, [0]).high > -0.4
