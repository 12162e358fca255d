"""A much shortened demo, end to end: every file is there and the distances are reported."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from acestep.errors import RunError
from acestep.events import Finished, Saved, Stopped, Text, from_json
from acestep.mini import demo as module
from acestep.mini.demo import Size, demo, main
from acestep.mini.folder import FORMATS

SMALL = Size(songs=5, song_seconds=5.12, epochs=10, clips=1, clip_seconds=5.12, left=0.7)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    return root, list(demo(root, SMALL))


def test_it_runs_the_verbs_and_leaves_their_artefacts(ran):
    root, events = ran
    finished = [event.verb for event in events if isinstance(event, Finished)]
    assert finished == ["scan", "label", "preprocess", "train", "export", "demo"]
    assert {file.suffix for file in (root / "songs").iterdir()} == {*FORMATS, ".json", ".txt"}
    for name in ("dataset.json", "tensors/manifest.json", "runs/cumbia/loss.png", "demo.png"):
        assert (root / name).stat().st_size > 0, name
    assert (root / "lora" / "adapter_model.safetensors").exists()
    for event in events:
        assert not isinstance(event, Saved) or (root.parent / event.path).exists(), event


def test_clips_with_and_without_the_adapter_differ_and_are_music(ran):
    root, _ = ran
    clips = {}
    for name in ("base", "base_all_labels", "adapter", "adapter_all_labels", "folder"):
        clips[name], rate = soundfile.read(root / "clips" / f"{name}_1.wav", always_2d=True)
        assert rate == 48000 and clips[name].shape == (round(5.12 * 48000), 2)
        assert 0.01 < np.sqrt(np.mean(clips[name] ** 2)) < 0.5
    assert np.abs(clips["base"] - clips["adapter"]).max() > 0.1


def test_the_adapter_brings_the_sound_nearer_and_it_says_how_near(ran):
    root, events = ran
    sets = json.loads((root / "report.json").read_text())["sets"]
    assert sets["adapter"]["distance"] < SMALL.left * sets["base"]["distance"]
    assert sets["folder"]["distance"] == 0
    shown = "\n".join(event.text for event in events if isinstance(event, Text))
    for row in sets.values():
        assert f"{row['distance']:.2f}" in shown and f"{row['pulse']:.2f}" in shown
    for place in ("clips", "demo.png", "runs/cumbia/loss.png", "lora"):
        assert str(root / place) in shown
    assert f"$ acestep train {root / 'tensors'}" in shown


def test_a_second_run_gets_a_run_folder_of_its_own(ran):
    root, _ = ran
    before = (root / "runs" / "cumbia" / "events.jsonl").read_bytes()
    with closing(demo(root, replace(SMALL, epochs=1))) as again:
        for event in again:
            if isinstance(event, Finished) and event.verb == "train":
                break
    assert (root / "runs" / "cumbia" / "events.jsonl").read_bytes() == before
    assert (root / "runs" / "cumbia_2" / "loss.png").exists()


def test_the_command_line_reports_and_has_the_exit_codes_of_acestep(tmp_path, monkeypatch, capsys):
    def scripted(*events, error=None):
        def happening(root):
            yield from events
            if error:
                raise error

        monkeypatch.setattr(module, "demo", happening)

    options = ["-o", str(tmp_path), "--json"]
    scripted(Text("listen"))
    assert main(options) == 0
    scripted(Stopped("train", "runs/cumbia", "acestep train …"), Text("never"))
    assert main(options) == 130
    scripted(error=RunError("it did not move", hint="look"))
    assert main(options) == 1
    shown = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [type(event).__name__ for event in shown] == ["Text", "Stopped", "Failed"]
    assert shown[-1].message == "it did not move" and shown[-1].hint == "look"
