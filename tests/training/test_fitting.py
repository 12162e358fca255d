"""A step that runs out of memory is made again with less: nothing is lost, nothing counts twice."""

import json
import random
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import RunError
from acestep.events import Notice, Started, Step
from acestep.speed.pace import Choice
from acestep.train import train
from acestep.training.fitting import less
from acestep.training.session import open_session

KNOBS = {"rank": 4, "epochs": 3, "save_every": 3, "device": "cpu", "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("fitting") / "tensors")


class Shortage:
    """Runs out of memory at given calls of the blocks' layers, forward, again or backward."""

    def __init__(self, monkeypatch, calls):
        self.calls = set(calls)
        self.count = 0
        monkeypatch.setattr(torch.nn.functional, "linear", self.linear(torch.nn.functional.linear))

    def linear(self, usual):
        shortage = self

        class Metered(torch.autograd.Function):
            @staticmethod
            def forward(ctx, value):
                shortage.call()
                return value.view_as(value)

            @staticmethod
            def backward(ctx, gradient):
                shortage.call()
                return gradient

        def metered(value, *rest):
            return usual(Metered.apply(value) if torch.is_grad_enabled() else value, *rest)

        return metered

    def call(self):
        self.count += 1
        if self.count in self.calls:
            raise torch.OutOfMemoryError("CUDA out of memory (a test's)")


def run(tensors, output, **knobs):
    return list(train(TrainConfig(tensors=tensors, output=output, **(KNOBS | knobs))))


def adapter(folder):
    return load_file(folder / "checkpoints" / "epoch_3" / "adapter_model.safetensors")


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def said(events):
    return [event.message for event in of(Notice, events) if "memory ran out in" in event.message]


@pytest.mark.parametrize("seed", range(3))
def test_wherever_it_runs_out_the_adapter_is_that_of_an_undisturbed_run(
    tensors, tmp_path, monkeypatch, seed
):
    knobs = {"dropout": 0.2, "batch_size": 2, "gradient_checkpointing": "none"}
    with monkeypatch.context() as patch:
        counted = Shortage(patch, [])
        undisturbed = run(tensors, tmp_path / "a", **knobs)
        calls = random.Random(seed).sample(range(1, counted.count), 3)
    with monkeypatch.context() as patch:
        Shortage(patch, calls)
        disturbed = run(tensors, tmp_path / "b", **knobs)
    assert len(said(disturbed)) == 3
    before, after = adapter(tmp_path / "a"), adapter(tmp_path / "b")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert of(Step, disturbed) == of(Step, undisturbed)


def test_after_the_last_level_fewer_clips_go_at_once_and_then_it_is_an_error(
    tensors, tmp_path, monkeypatch
):
    """Lengths are 8, 9, 11 and 12 patches: 40 at once, 20, 10, one by one."""
    knobs = {"dropout": 0.0, "batch_size": 4, "gradient_checkpointing": "attention"}
    run(tensors, tmp_path / "alone", patches_at_once=0, **knobs)
    with monkeypatch.context() as patch:
        Shortage(patch, [100, 200, 400])
        events = run(tensors, tmp_path / "halved", patches_at_once=40, **knobs)
    assert [line.partition(": ")[2] for line in said(events)] == [
        "checkpointing attention → full from here on",
        "patches at once 40 → 20 from here on",
        "patches at once 20 → 10 from here on",
    ]
    alone, halved = adapter(tmp_path / "alone"), adapter(tmp_path / "halved")
    assert all(torch.allclose(alone[name], halved[name], atol=1e-4) for name in alone)
    with monkeypatch.context() as patch:
        Shortage(patch, range(100, 10_000))
        with pytest.raises(RunError, match="out of memory") as caught:
            run(tensors, tmp_path / "hopeless", patches_at_once=40, **knobs)
    assert "--segment-seconds" in caught.value.hint and "--rank" in caught.value.hint


def test_a_resumed_run_begins_where_the_run_came_down_to(tensors, tmp_path, monkeypatch):
    output = tmp_path / "run"
    knobs = {"schedule": "constant", "warmup_steps": 0}
    with monkeypatch.context() as patch:
        Shortage(patch, [50])
        run(tensors, output, epochs=1, **knobs)
    settings = json.loads((output / "config.json").read_text())
    assert settings["lowered"] and settings["pace"]["checkpointing"]["value"] == "products"
    events = run(tensors, output, epochs=3, resume=True)
    assert of(Started, events)[0].facts["pace"]["checkpointing"] == "products"
    run(tensors, tmp_path / "whole", **knobs)
    whole, resumed = adapter(tmp_path / "whole"), adapter(output)
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-5) for name in whole)
    again = TrainConfig(
        tensors=tensors, output=output, resume=True, epochs=4, gradient_checkpointing="none"
    )
    with ExitStack() as held:
        assert open_session(again, held)[0].pace.level == "none"


def test_the_words_of_older_runs_mean_what_they_did(tensors, tmp_path):
    run(tensors, tmp_path / "run", epochs=1, gradient_checkpointing="on")
    file = tmp_path / "run" / "config.json"
    settings = json.loads(file.read_text())
    assert settings["config"]["gradient_checkpointing"] == "full"
    settings["config"]["gradient_checkpointing"] = "on"
    del settings["pace"], settings["lowered"], settings["config"]["memory_limit"]
    file.write_text(json.dumps(settings))
    events = run(tensors, tmp_path / "run", resume=True)
    assert of(Started, events)[0].facts["pace"]["checkpointing"] == "full"
    assert of(Step, events)[-1].step == 12


def test_what_graphs_hold_is_given_up_first(tensors, tmp_path):
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", **KNOBS)
    with ExitStack() as held:
        session, _ = open_session(config, held)
        session.pace = replace(session.pace, graphs=Choice(True, "as asked for"))
        slower = less(session)
        assert slower is not None and slower.graphs.value is False and slower.level == "none"
        session.lower(slower)
        assert session.graphs is None and less(session).level == "products"
