"""What a run computes in: as asked, as begun, on a CPU what is faster; all processes the same."""

import json

import pytest
import torch
from training_data import TINY, tiny_tensors

import acestep.speed.computing as computing_module
from acestep.config import TrainConfig
from acestep.model.base import find_model
from acestep.processes import Processes
from acestep.speed.computing import (
    NARROW,
    choose_computing,
    dtype_of,
    faster_on_cpu,
    product_seconds,
)
from acestep.speed.pace import Choice
from acestep.train import train
from acestep.training.run import RunFolder

CPU, F32, BF16 = torch.device("cpu"), torch.float32, torch.bfloat16


class Wide:
    """A base model of which only the widths are asked."""

    def __init__(self, hidden):
        self.hidden = hidden

    def config(self, component):
        assert component == "transformer"
        return {"hidden_size": self.hidden, "intermediate_size": 3 * self.hidden}


def choose(asked="auto", device=CPU, model=None, kept=None):
    return choose_computing(asked, model or Wide(NARROW), Processes(0, 1, device), kept)


def timed(monkeypatch, float32, bfloat16):
    monkeypatch.setattr(
        computing_module, "product_seconds", lambda hidden, inner: {F32: float32, BF16: bfloat16}
    )


def test_what_is_asked_for_is_not_measured(monkeypatch):
    monkeypatch.setattr(computing_module, "product_seconds", None)
    assert choose("bfloat16") == Choice("bfloat16", "as asked for")
    assert choose("float32").value == "float32"
    assert choose("float16") == Choice("float32", "float16 overflows in training")
    assert choose(device=torch.device("cuda")) == Choice("bfloat16", "usual on cuda")
    assert choose(device=torch.device("mps")).value == "float32"
    assert choose("bfloat16", torch.device("mps")).value == "bfloat16"
    assert choose(kept="bfloat16") == Choice("bfloat16", "as the run was started")


def test_a_narrow_model_stays_in_float32(monkeypatch):
    monkeypatch.setattr(computing_module, "product_seconds", None)
    choice = choose(model=find_model("mini"))
    assert choice == Choice("float32", "a model of 192 channels, below 512")
    assert choose(model=Wide(NARROW - 1)).value == "float32"


@pytest.mark.parametrize(
    ("seconds", "value"), [(1.0, "float32"), (1.49, "float32"), (4, "bfloat16")]
)
def test_the_faster_one_is_taken(monkeypatch, seconds, value):
    timed(monkeypatch, seconds, 1.0)
    choice = choose()
    assert choice.value == value and f"{seconds:.1f} times" in choice.why
    assert dtype_of(choice) == (BF16 if value == "bfloat16" else F32)


def test_it_is_measured_quickly_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    seconds = product_seconds(NARROW, 3 * NARROW)
    assert torch.equal(state, torch.get_rng_state())
    assert set(seconds) == {F32, BF16}
    assert all(0 < value < 1 for value in seconds.values())
    assert faster_on_cpu(64, 64).value in ("float32", "bfloat16")


def test_the_first_process_measures_for_all(monkeypatch):
    """Each of two would find differently; both take what the first found."""
    answers = {}

    class Together(Processes):
        def collect(self, items):
            answers[self.rank] = items[0]
            return [answers.get(0), answers.get(1)]

    timed(monkeypatch, 4.0, 1.0)
    first = choose_computing("auto", Wide(NARROW), Together(0, 2, CPU))
    timed(monkeypatch, 1.0, 1.0)
    second = choose_computing("auto", Wide(NARROW), Together(1, 2, CPU))
    assert first == second and first.value == "bfloat16" and answers[1] is None


def run_to(folder, tensors, **knobs):
    shared = {"rank": 2, "save_every": 1, "device": "cpu", "dropout": 0}
    list(train(TrainConfig(tensors=tensors, output=folder, **(shared | knobs))))
    return RunFolder(folder)


def precision_of(run):
    return run.read_settings()["pace"]["precision"]


def test_a_run_keeps_what_it_began_in(tmp_path, monkeypatch):
    """Also where another machine, or a busier hour, would choose differently."""
    tensors = tiny_tensors(tmp_path / "tensors", (24, 17))
    monkeypatch.setattr(computing_module, "NARROW", 1)
    timed(monkeypatch, 4.0, 1.0)
    run = run_to(tmp_path / "run", tensors, epochs=1)
    assert precision_of(run)["value"] == "bfloat16"
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["machine"]["precision"] == "bfloat16"
    timed(monkeypatch, 1.0, 4.0)
    run_to(run.path, tensors, resume=True, epochs=2)
    assert precision_of(run) == {
        "value": "bfloat16", "why": "as the run was started", "slower": False,
    }  # fmt: skip


def test_an_older_run_goes_on_in_float32(tmp_path, monkeypatch):
    tensors = tiny_tensors(tmp_path / "tensors", (24, 17))
    run = run_to(tmp_path / "run", tensors, epochs=1)
    settings = json.loads(run.settings_file.read_text())
    del settings["pace"], settings["device"]
    run.settings_file.write_text(json.dumps(settings))
    monkeypatch.setattr(computing_module, "NARROW", 1)
    timed(monkeypatch, 4.0, 1.0)
    run_to(run.path, tensors, resume=True, epochs=2)
    assert precision_of(run)["value"] == "float32"


def test_generation_does_not_choose():
    from acestep.model.device import choose_dtype

    assert choose_dtype(CPU) == F32 and find_model(str(TINY)).variant == "turbo"
