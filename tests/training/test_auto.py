"""``train --auto``: what was not given is chosen, kept in the run, and found again on resuming."""

import json

import pytest
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import RunError
from acestep.events import Notice, Saved, Stopped
from acestep.train import train
from acestep.training.advice import advise
from acestep.training.auto import fill_in
from acestep.training.situation import look_at_tensors


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("data") / "tensors", lengths=(24, 30, 17))


def test_what_is_given_stays_and_the_rest_is_advice(tensors, tmp_path):
    config = TrainConfig(tensors=tensors, output=tmp_path / "r", auto=True, rank=3, seed=7)
    filled, notices = fill_in(config)
    expected = advise(look_at_tensors(tensors), {"rank": 3, "seed": 7}).values()
    assert filled.rank == 3 and filled.alpha == 6 and filled.seed == 7
    assert {name: vars(filled)[name] for name in expected} == expected
    assert expected.keys() <= filled.model_fields_set
    assert filled.output == config.output and filled.auto
    said = " ".join(notice.message for notice in notices)
    assert "--epochs" in said and "--rank" not in said and "predicted" in said


def test_a_run_keeps_what_was_chosen_and_goes_on_with_it_to_the_bit(tensors, tmp_path):
    def run(name, **more):
        config = TrainConfig(
            tensors=tensors, output=tmp_path / name, auto=True, epochs=4, device="cpu", **more
        )
        return list(train(config))

    whole = run("whole", save_every=1)
    assert any(isinstance(e, Notice) and e.message.startswith("--learning-rate") for e in whole)
    kept = json.loads((tmp_path / "whole" / "config.json").read_text())["config"]
    assert kept["rank"] == 2 and kept["targets"] == "attention+mlp" and kept["auto"] is True

    config = TrainConfig(
        tensors=tensors, output=tmp_path / "half", auto=True, epochs=4, save_every=1, device="cpu"
    )
    for event in train(config):
        if isinstance(event, Saved):
            (tmp_path / "half" / "STOP").touch()
        stopped = isinstance(event, Stopped)
    assert stopped
    resumed = TrainConfig(tensors=tensors, output=tmp_path / "half", resume=True)
    again = list(train(resumed))
    assert not any(isinstance(e, Notice) and "--learning-rate" in e.message for e in again)
    places = (tmp_path / name / "checkpoints" / "epoch_4" for name in ("whole", "half"))
    one, other = (load_file(place / "adapter_model.safetensors") for place in places)
    assert one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


def test_a_run_that_was_not_automatic_does_not_become_it(tensors, tmp_path):
    plain = {"tensors": tensors, "output": tmp_path / "run", "device": "cpu"}
    list(train(TrainConfig(**plain, epochs=1, rank=2)))
    with pytest.raises(RunError, match="--auto True: the run has False"):
        list(train(TrainConfig(**plain, auto=True, resume=True)))
