"""What a run is measured on: found by its folder, and refused where it is no longer the same."""

import json
import shutil

import pytest
import torch
from training_data import TINY, tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import ModelError, RunError, TensorError
from acestep.train import train
from acestep.training.guidance import TaughtGuidance
from acestep.training.material import open_material, open_tensors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    tensors = tiny_tensors(folder / "tensors", (12, 300))
    list(
        train(
            TrainConfig(
                tensors=tensors, output=folder / "run", device="cpu", rank=2, epochs=1, seed=7,
                validation=0.2, shift=2.0, teach_guidance=1.5,
            )
        )
    )  # fmt: skip
    return folder / "run"


def copied(run, tmp_path, **changes):
    """The run with another ``config.json``."""
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(settings | changes), encoding="utf-8")
    return tmp_path


def test_a_run_says_what_it_was_trained_with(run):
    material = open_material(run, device="cpu")
    assert (material.seed, material.guidance, material.law.shift) == (7, 1.5, 2.0)
    assert material.split.how == "the last 20% of each (only 2 songs)"
    learner = material.learner()
    assert isinstance(learner, TaughtGuidance) and learner.scale == 1.5
    assert material.plain().learner() is material.transformer


def test_the_prompt_is_the_first_clips_for_ten_seconds_at_most(run):
    condition = open_material(run, device="cpu").condition()
    assert condition.states.shape == (1, 5, 32) and condition.context.shape == (1, 12, 16)
    long = open_tensors(tiny_tensors(run.parent / "long", (300,)), device="cpu").condition()
    assert long.context.shape == (1, 250, 16)


def test_a_transformer_that_is_loaded_is_used(run):
    loaded = open_material(run, device="cpu").transformer.to(torch.bfloat16)
    material = open_material(run, transformer=loaded)
    assert material.transformer is loaded
    assert material.split.train[0].condition.dtype == torch.bfloat16 == material.nothing.dtype


def test_tensors_may_have_moved_but_not_changed(run, tmp_path):
    moved = shutil.copytree(run.parent / "tensors", tmp_path / "moved")
    gone = copied(run, tmp_path, tensors={"path": "/nowhere", "fingerprint": "folder0[12, 300]"})
    with pytest.raises(TensorError, match="nowhere"):
        open_material(gone, device="cpu")
    assert len(open_material(gone, tensors=moved, device="cpu").split.train) == 2
    other = tiny_tensors(tmp_path / "other", (12, 300), seed=3)
    with pytest.raises(RunError, match="has changed since"):
        open_material(run, tensors=other, device="cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": {}},
        {"plan": {"law": {"kind": "turbo", "speed": 2}}},
        {"config": {}},
        {"config": None},
        {"tensors": []},
        {"model": {}},
        {"config": {"validation": "much", "seed": 1}},
    ],
)
def test_settings_that_say_too_little_are_refused(run, tmp_path, changes):
    with pytest.raises(RunError, match="does not say what the run was trained with"):
        open_material(copied(run, tmp_path, **changes), device="cpu")


def test_what_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(RunError, match="cannot be read"):
        open_material(tmp_path, device="cpu")
    with pytest.raises(ModelError, match="was made with a base model that is not there"):
        open_material(copied(run, tmp_path, model={"source": "/nowhere/at/all"}), device="cpu")


def test_for_an_adapter_alone_every_song_is_a_training_song(run):
    material = open_tensors(run.parent / "tensors", model=str(TINY), device="cpu")
    assert (len(material.split.train), material.split.held_out) == (2, [])
    assert (material.law.kind, material.law.shift, material.guidance) == ("turbo", 3.0, 1.0)


def test_tensors_of_the_original_program_need_the_name_of_their_model(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", (12,))
    (tensors / "manifest.json").unlink()
    (tensors / "sample_0.pt").rename(tensors / "a.pt")
    with pytest.raises(TensorError, match="does not say which model"):
        open_tensors(tensors, device="cpu")
    assert open_tensors(tensors, model=str(TINY), device="cpu").split.train[0].name == "a"
