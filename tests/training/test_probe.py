"""A few real steps are timed, and nothing stays behind."""

import tempfile
import time
from pathlib import Path

import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.errors import TensorError
from acestep.training.estimate import estimate
from acestep.training.probe import is_cheap, time_steps, with_probe
from acestep.training.situation import look_at_tensors
from acestep.training.timing import Time


def test_steps_are_timed_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    tensors = tiny_tensors(tmp_path / "tensors")
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", epochs=50, rank=2, device="cpu")
    begun = time.perf_counter()
    found = time_steps(config)
    assert 0 < found.time.seconds < 200 * (time.perf_counter() - begun)
    assert "200 steps" in found.time.sentence and "timed here" in found.time.sentence
    assert found.pace.attention.value == "local" and found.peak is None and found.notices == []
    assert not (tmp_path / "run").exists() and not list((tmp_path / "temporary").iterdir())


def test_what_cannot_be_trained_on_is_the_error_that_training_gives(tmp_path):
    with pytest.raises(TensorError):
        time_steps(TrainConfig(tensors=Path(tmp_path / "none")))


def test_only_what_takes_under_a_minute_is_timed():
    assert is_cheap(Time(1.0, 1000, "")) and not is_cheap(Time(20.0, 1, ""))


def test_what_was_timed_takes_the_predictions_place(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors")
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", epochs=5, device="cpu")
    predicted, probed = estimate(look_at_tensors(tensors), config), time_steps(config)
    found = with_probe(predicted, probed)
    assert found.time.step == probed.time.step and found.time.beside == predicted.time.beside
    assert found.time.steps == probed.time.steps and found.disk == predicted.disk
    assert {name: c.value for name, c in found.switches.items()} == probed.pace.values()
