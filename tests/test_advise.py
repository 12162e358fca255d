"""``acestep advise`` on tensors, a dataset and a run, as a user calls it."""

import json
import shlex

import pytest
from training_data import tiny_tensors

from acestep.advise import advise
from acestep.cli import main
from acestep.config import AdviseConfig, TrainConfig
from acestep.errors import AceStepError, ConfigError, DatasetError
from acestep.events import Finished, Text
from acestep.flags import parse
from acestep.train import train


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("my songs") / "tensors", lengths=(24, 30, 17))


def said(*events):
    return "\n".join(event.text for event in events if isinstance(event, Text))


def test_tensors_get_settings_reasons_cost_and_a_command_that_runs(tensors):
    *events, last = advise(AdviseConfig(source=tensors, device="cpu"))
    text = said(*events)
    assert "RED" in text and "--learning-rate" in text and "timed here" in text
    assert isinstance(last, Finished) and last.facts["memory"]["fits"]
    assert {light["item"] for light in last.facts["lights"]} >= {"songs", "consistency"}
    json.dumps(last.facts)
    line = text.strip().splitlines()[-1]
    _, name, *arguments = shlex.split(line)
    config = parse(name, arguments).config
    assert config.tensors == tensors and str(config.output) == "runs/my-songs0"
    assert config.rank == next(s["value"] for s in last.facts["settings"] if s["knob"] == "rank")


def test_another_card_is_predicted_and_not_timed(tensors):
    *events, last = advise(AdviseConfig(source=tensors, gpu="12GB", model="acestep-v15-turbo"))
    assert "12 GB" in said(*events) and "predicted for a card" in last.facts["time"]["how"]
    quiet = list(advise(AdviseConfig(source=tensors, device="cpu", probe=False)))
    assert "timed here" not in said(*quiet)


def test_a_dataset_gets_advice_before_anything_is_encoded(tmp_path, capsys):
    songs = [{"audio_path": "a.wav", "caption": "x", "duration": 200}] * 9
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"dataset_name": "d", "samples": songs}))
    assert main(["advise", str(path), "--gpu", "24GB", "--model", "acestep-v15-turbo"]) == 0
    shown = capsys.readouterr().out
    assert "--rank 64" in shown and "not measured yet" in shown and "acestep train tensors" in shown


def test_a_run_is_told_what_to_change(tensors, tmp_path):
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", epochs=8, rank=2,
                         learning_rate=1e-9, validate_every=2, device="cpu")  # fmt: skip
    list(train(config))
    *events, last = advise(AdviseConfig(source=tmp_path / "run"))
    assert last.facts["verdict"] == "does not fall" or last.facts["verdict"] == "no effect"
    assert "--learning-rate" in said(*events) and "next time" in said(*events)


def test_what_is_none_of_these_is_refused(tmp_path):
    for source in (tmp_path, tmp_path / "gone", tmp_path / "x.json"):
        (tmp_path / "x.json").write_bytes(b"")
        with pytest.raises(AceStepError):
            list(advise(AdviseConfig(source=source)))
    with pytest.raises(DatasetError, match="neither tensors nor a run"):
        list(advise(AdviseConfig(source=tmp_path)))
    with pytest.raises(ConfigError, match="one of the two"):
        AdviseConfig(source=tmp_path, gpu="12GB", device="cpu")
