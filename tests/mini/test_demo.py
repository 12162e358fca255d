"""A much shortened demo, end to end: every file is there and the distances are reported."""

import json
import re
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from acestep.errors import RunError
from acestep.events import Finished, Notice, Saved, Stopped, Text, from_json
from acestep.mini import demo as module
from acestep.mini.compare import Row
from acestep.mini.demo import PROMPTED, Size, demo, judge, main
from acestep.mini.folder import FORMATS
from acestep.mini.teach import TAG, Lesson

SECONDS = 3.2
SMALL = Size(Lesson(songs=5, seconds=4.0, epochs=2), clips=1, clip_seconds=SECONDS, left=9.0)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    return root, list(demo(root, SMALL))


def test_it_runs_the_verbs_and_leaves_their_artefacts(ran):
    root, events = ran
    finished = [event.verb for event in events if isinstance(event, Finished)]
    assert finished == ["scan", "label", "preprocess", "train", "export", "demo"]
    assert {file.suffix for file in (root / "songs").iterdir()} == {*FORMATS, ".json", ".txt"}
    for name in ("dataset.json", "tensors/manifest.json", "runs/cumbia/loss.png", "index.html"):
        assert (root / name).stat().st_size > 0, name
    assert (root / "lora" / "adapter_model.safetensors").exists()
    for event in events:
        assert not isinstance(event, Saved) or (root.parent / event.path).exists(), event


def test_every_set_has_clips_that_sound(ran):
    root, _ = ran
    clips = {}
    for name in (
        "base",
        "base_all_labels",
        "adapter",
        "adapter_all_labels",
        "adapter_no_tag",
        "folder",
    ):
        clips[name], rate = soundfile.read(root / "clips" / f"{name}_1.wav", always_2d=True)
        assert rate == 48000 and clips[name].shape == (round(SECONDS * 48000), 2)
        assert 0.001 < np.sqrt(np.mean(clips[name] ** 2)) < 0.7
    assert np.abs(clips["base"] - clips["adapter"]).max() > 0.01
    assert len(list((root / "clips").glob("folder_*.wav"))) == 5


def test_the_page_shows_all_of_it(ran):
    root, _ = ran
    text = (root / "index.html").read_text(encoding="utf-8")
    links = {unquote(link) for link in re.findall(r'src="([^"]+)"', text)}
    assert all((root / link).is_file() for link in links)
    files = [*root.glob("clips/*"), *(f for f in root.glob("songs/*") if f.suffix in FORMATS)]
    assert links == {str(f.relative_to(root)) for f in files} | {"runs/cumbia/loss.png"}


def test_it_says_how_near_the_clips_are_and_where_to_look(ran):
    root, events = ran
    sets = json.loads((root / "report.json").read_text())["sets"]
    assert [*sets] == [*PROMPTED, "folder"]
    assert sets["folder"]["distance"] == 0 < sets["adapter"]["distance"]
    shown = "\n".join(event.text for event in events if isinstance(event, Text))
    for row in sets.values():
        assert all(f"{number:.2f}" in shown for number in row.values())
    assert str(root / "index.html") in shown and str(root / "lora") in shown
    assert f"$ acestep train {root / 'tensors'}" in shown
    before, after = (sets[name]["distance"] for name in ("base", "adapter"))
    assert f"{before:.2f} before, {after:.2f} after" in shown


def test_the_same_prompts_and_seeds_without_and_with(ran):
    root, events = ran
    shown = [event.text.strip() for event in events if isinstance(event, Text)]
    orders = [text for text in shown if text.startswith("$ acestep generate")]
    for without, with_it in (orders[:2], orders[2:4]):
        same = with_it.replace(f" --lora {root / 'lora'}", "").replace("adapter", "base")
        assert without == same != with_it
    untagged = orders[3].replace(f"{TAG}, ", "").replace("all_labels", "no_tag")
    assert untagged == orders[4] != orders[3] and "--lora" in orders[4]
    assert not any(isinstance(event, Notice) and TAG in event.message for event in events)


def test_an_adapter_that_moves_too_little_is_an_error(tmp_path):
    rows = {"base": Row(2.0, 0, 0), "adapter": Row(1.0, 0, 0)}
    judge(rows, 0.6, tmp_path)
    with pytest.raises(RunError, match="50% of the base's distance is left, under 40%"):
        judge(rows, 0.4, tmp_path)


def test_the_command_line_reports_and_has_the_exit_codes_of_acestep(tmp_path, monkeypatch, capsys):
    given = []

    def scripted(*events, error=None):
        def happening(root, size):
            given.append((root, size.lesson.model))
            yield from events
            if error:
                raise error

        monkeypatch.setattr(module, "demo", happening)

    options = ["-o", str(tmp_path), "--json"]
    scripted(Text("listen"))
    assert main(options) == 0
    scripted(Stopped("train", "runs/cumbia", "acestep train …"), Text("never"))
    assert main([*options, "--model", "other"]) == 130
    scripted(error=RunError("it did not move", hint="look"))
    assert main(options) == 1
    assert given == [(tmp_path, "mini"), (tmp_path, "other"), (tmp_path, "mini")]
    shown = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [type(event).__name__ for event in shown] == ["Text", "Stopped", "Failed"]
    assert shown[-1].message == "it did not move" and shown[-1].hint == "look"
