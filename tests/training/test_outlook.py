"""``train --dry-run``: what a start would take, and what it would refuse; nothing is written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.data.tensors import read_manifest, write_manifest
from acestep.errors import (
    AceStepError,
    AdapterError,
    ConfigError,
    ModelError,
    RunError,
    TensorError,
)
from acestep.events import Finished, Notice, Started, Step, Text
from acestep.train import train
from acestep.training.disk import Disk


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("data") / "tensors")


def dry(tensors, tmp_path, **knobs):
    knobs = {"device": "cpu", "output": tmp_path / "run", **knobs}
    return list(train(TrainConfig(tensors=tensors, dry_run=True, **knobs)))


def said(events):
    return "\n".join(event.text for event in events if isinstance(event, Text))


def noticed(events):
    return "\n".join(event.message for event in events if isinstance(event, Notice))


def everything_in(folder: Path):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_says_what_the_run_will_take_and_writes_nothing(tensors, tmp_path):
    before = everything_in(tensors.parent)
    events = dry(tensors, tmp_path, epochs=6, batch_size=2, save_every=3)
    facts = events[-1].facts
    assert not list(tmp_path.iterdir()) and everything_in(tensors.parent) == before
    assert not any(isinstance(event, Step) for event in events)
    assert facts["timed"] and facts["memory"]["fits"] and facts["disk"]["checkpoints"] == 2
    for line in ("memory", "time", "disk", "a step", "steps", "checkpointing", "attention"):
        assert f"\n{line} " in said(events)
    assert "timed here" in said(events) and "2 clips (batch 2 × accumulation 1 × 1 process)" in (
        said(events)
    )
    json.dumps(facts)

    real = list(train(TrainConfig(tensors=tensors, output=tmp_path / "run", device="cpu", epochs=6,
                                  batch_size=2, save_every=3)))  # fmt: skip
    started = next(event for event in real if isinstance(event, Started)).facts
    same = ("total_steps", "effective_batch", "held_out")
    assert {name: facts[name] for name in same} == {name: started[name] for name in same}
    pace = {name: choice["value"] for name, choice in facts["switches"].items()}
    assert pace == started["pace"] and facts["clips"] == started["samples"]
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2


def test_a_card_that_is_elsewhere_is_predicted(tensors, tmp_path):
    events = dry(tensors, tmp_path, gpu="RTX 3060 12GB", device=None)
    facts = events[-1].facts
    assert facts["machine"] == "RTX 3060" and not facts["timed"] and facts["disk"]["free"] is None
    assert "predicted for RTX 3060, ±30 %" in said(events) and "12.0 GiB" in said(events)
    assert facts["switches"]["attention"]["value"] == "varlen"
    chosen = dry(tensors, tmp_path, gpu="8GB", device=None, auto=True)
    assert "--rank 2" in noticed(chosen) and chosen[-1].facts["machine"] == "a card with 8 GB"


@pytest.mark.parametrize(
    ("knobs", "error", "words"),
    [
        ({"gpu": "toaster", "device": None}, ConfigError, "--gpu toaster"),
        ({"targets": "nothing.*"}, AdapterError, "matches none"),
        ({"targets": "("}, ConfigError, "regular expression"),
        ({"model": "mini"}, TensorError, "was made with"),
        ({"model": "no-such-model"}, ModelError, "no-such-model"),
        ({"device": "mps"}, ConfigError, "mps"),
    ],
)
def test_what_a_start_refuses_is_refused(knobs, error, words, tensors, tmp_path):
    with pytest.raises(error, match=words):
        dry(tensors, tmp_path, **knobs)
    if "gpu" not in knobs:
        start = {"device": "cpu", "output": tmp_path / "r", "tensors": tensors, **knobs}
        with pytest.raises(error, match=words):
            list(train(TrainConfig(**start)))
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_used_are_refused(tensors, tmp_path):
    with pytest.raises(TensorError):
        dry(tmp_path / "none", tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(AceStepError, match="is a file"):
        dry(tensors, tmp_path, output=tmp_path / "file")
    with pytest.raises(RunError, match="cannot write"):
        dry(tensors, tmp_path, output=tmp_path / "file" / "run")
    list(train(TrainConfig(tensors=tensors, output=tmp_path / "run", device="cpu", epochs=1)))
    with pytest.raises(RunError, match="already holds a run"):
        dry(tensors, tmp_path)


def test_going_on_with_a_run_counts_what_is_done_and_is_refused_alike(tensors, tmp_path):
    knobs = {"device": "cpu", "output": tmp_path / "run", "tensors": tensors}
    list(train(TrainConfig(**knobs, epochs=2, save_every=1)))
    before = everything_in(tmp_path / "run")
    events = dry(tensors, tmp_path, resume=True, epochs=4)
    assert events[-1].facts["steps_done"] == 8 and "of which 8 are done" in said(events)
    assert events[-1].facts["total_steps"] == 16 and "epochs: 2 → 4" in noticed(events)
    with pytest.raises(RunError, match="samples per step"):
        dry(tensors, tmp_path, resume=True, batch_size=2)
    with pytest.raises(RunError, match="the run has lora"):
        dry(tensors, tmp_path, resume=True, adapter="dora")
    assert everything_in(tmp_path / "run") == before
    for file in (tmp_path / "run" / "checkpoints").rglob("*.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(RunError, match="no checkpoint"):
        dry(tensors, tmp_path, resume=True)
    assert list(train(TrainConfig(tensors=tensors, output=tmp_path / "new", device="cpu",
                                  resume=True, epochs=1, dry_run=True)))  # fmt: skip


def test_a_model_that_is_not_here_is_known_by_its_size(tmp_path):
    """Tensors of a published model can be planned for where it is not installed."""
    tensors = tiny_tensors(tmp_path / "tensors", shape=(64, 2048))
    manifest = read_manifest(tensors)
    model = {**manifest.model, "name": "acestep-v15-turbo", "source": "acestep-v15-turbo"}
    write_manifest(tensors, replace(manifest, model=model))
    events = dry(tensors, tmp_path, gpu="8GB", device=None)
    assert "is not on this machine" in noticed(events)
    assert events[-1].facts["base"] == "acestep-v15-turbo"
    assert events[-1].facts["memory"]["base"] == pytest.approx(2.93 * 2**30, rel=0.01)
    moved = {**model, "source": "/gone/acestep-v15-turbo"}
    write_manifest(tensors, replace(manifest, model=moved))
    assert dry(tensors, tmp_path, gpu="8GB", device=None)[-1].facts["base"] == "acestep-v15-turbo"
    with pytest.raises(ModelError, match="not there"):
        dry(tensors, tmp_path)  # which a start here would say


def test_what_is_short_is_said_with_its_cure(tmp_path, monkeypatch):
    tensors = tiny_tensors(tmp_path / "tensors", lengths=(6000,), shape=(64, 2048))
    manifest = read_manifest(tensors)
    name = "acestep-v15-xl-turbo"
    write_manifest(
        tensors, replace(manifest, model={**manifest.model, "name": name, "source": name})
    )
    monkeypatch.setattr(Disk, "fits", False)
    wanted = {"gpu": "8GB", "device": None}
    events = dry(tensors, tmp_path, **wanted)
    assert isinstance(events[-1], Finished) and not events[-1].facts["memory"]["fits"]
    assert "memory is short" in noticed(events)
    assert "train --base-precision int8" in noticed(events)
    assert "the disk is too small" in noticed(events)
    cured = dry(tensors, tmp_path, **wanted, base_precision="int8")
    assert cured[-1].facts["memory"]["fits"] and "memory is short" not in noticed(cured)
    auto = dry(tensors, tmp_path, **wanted, auto=True)
    assert auto[-1].facts["memory"]["fits"]
    assert auto[-1].facts["switches"]["base_precision"]["value"] == "int8"
    assert auto[-1].facts["switches"]["checkpointing"]["value"] in ("attention", "full")
