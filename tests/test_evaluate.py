"""A run judged from end to end: what is written, what is not made twice, what stops it."""

import json
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_data import TINY, tiny_tensors

from acestep.config import EvaluateConfig, GenerateConfig, TrainConfig
from acestep.data.audio import read_audio
from acestep.errors import AdapterError, ConfigError, RunError, TensorError
from acestep.evaluate import evaluate
from acestep.events import Finished, Notice, Progress, Skipped, Started, Stopped, Text
from acestep.judging.making import Voice
from acestep.judging.record import Judgement
from acestep.judging.report import read_report
from acestep.render import Sounds, open_parts, render_all
from acestep.train import train

FRAMES = 260  # a little more than a clip of 10 s


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("songs") / "tensors", (FRAMES,) * 3)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("other") / "tensors", (FRAMES,) * 2, seed=9)


@pytest.fixture(scope="module")
def run(tensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "jazz 🎷"
    settings = {"epochs": 2, "save_every": 1, "learning_rate": 5e-2, "rank": 4, "alpha": 8}
    list(train(TrainConfig(tensors=tensors, output=folder, device="cpu", **settings)))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """For quick evaluations: what was heard of the songs is kept from one to the next."""
    return tmp_path_factory.mktemp("quick")


@pytest.fixture(scope="module")
def judged(run, other):
    """The events of one evaluation."""
    return list(evaluate(config(run, other)))


def config(run, other, **changes):
    given = {"clips": 2, "strength": [0.5], "other": other, "device": "cpu", "prompt": ["my words"]}
    return EvaluateConfig(run=run, **{**given, **changes})


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_it_ends_with_a_report_and_its_page(run, judged):
    finished = judged[-1]
    assert isinstance(judged[0], Started) and judged[0].facts["checkpoints"] == 2
    assert isinstance(finished, Finished)
    assert Path(finished.path) == run / "evaluation" / "report.html"
    assert Path(finished.path).stat().st_size > 10_000
    assert finished.facts["verdict"]
    assert len(of(Text, judged)) == 1


def test_the_report_holds_every_condition(run, judged):
    report = read_report(run / "evaluation")
    names = [(one["name"], one["strength"]) for one in report["checkpoints"]]
    assert names == [("epoch_1", 1.0), ("epoch_2", 1.0)]
    assert report["about"]["clip_seconds"] == 10
    prompts = report["prompts"]
    assert [p["kind"] for p in prompts] == ["training", "new", "own"]
    assert prompts[-1]["caption"] == "mytag, my words"
    made = {}
    for clip in report["clips"]:
        made.setdefault((clip["adapter"], clip["strength"], clip["tag"]), []).append(clip)
        audio = read_audio(run / "evaluation" / clip["file"])
        assert audio.shape == (2, 480_000)
    for name in ("base", "epoch_1", "epoch_2"):
        # the base once more at other seeds, as a control
        assert len(made[name, 1.0, True]) == (6 if name == "base" else 3)
        assert len(made[name, 1.0, False]) == 3
    picked = report["choice"]["checkpoint"]
    if picked is not None:
        assert len(made[picked, 0.5, True]) == 3
    assert {row["checkpoint"] for row in report["tag"]} == {"epoch_1", "epoch_2"}
    assert report["controls"]["rows"][-1]["name"] == "planted copies"
    for one in report["checkpoints"]:
        assert one["evidence"]["training"]["loss"] > 0 and one["size"]["relative"] > 0
    json.dumps(report, allow_nan=False)


def test_base_and_adapter_have_the_same_prompts_and_seeds(run, judged):
    clips = read_report(run / "evaluation")["clips"]
    asked = {
        name: {(c["prompt"], c["seed"]) for c in clips if c["adapter"] == name and not c["tag"]}
        for name in ("base", "epoch_1", "epoch_2")
    }
    assert asked["base"] == asked["epoch_1"] == asked["epoch_2"]


def test_a_clip_is_what_generate_makes(run, judged):
    """The same prompt, seed and adapter by the other verb: the same sound, to 16 bit."""
    report = read_report(run / "evaluation")
    clip = next(c for c in report["clips"] if c["adapter"] == "epoch_2" and c["tag"])
    prompt = next(p for p in report["prompts"] if p["id"] == clip["prompt"])
    asked = GenerateConfig(
        model=str(TINY), lora=[run / "checkpoints" / "epoch_2"], caption=prompt["caption"],
        lyrics=prompt["lyrics"], seed=clip["seed"], duration=10, device="cpu",
    )  # fmt: skip
    parts, _ = open_parts(asked)
    *_, rendition = render_all(parts, [asked], Sounds())
    expected = rendition.audio
    made = read_audio(run / "evaluation" / clip["file"])
    assert np.abs(made - expected).max() < 2**-15


def test_only_what_is_lost_is_made_again_and_the_report_comes_out_the_same(run, other, judged):
    before = read_report(run / "evaluation")
    clips = sorted((run / "evaluation" / "clips").iterdir())
    times = {file: file.stat().st_mtime_ns for file in clips}
    content = clips[0].read_bytes()
    clips[0].unlink()
    events = list(evaluate(config(run, other)))
    making = [e.what for e in of(Progress, events) if e.verb == "evaluate" and e.what != "clips"]
    assert len(making) == 1
    assert clips[0].read_bytes() == content
    assert all(file.stat().st_mtime_ns == times[file] for file in clips[1:])
    after = read_report(run / "evaluation")
    assert {**after, "made": ""} == {**before, "made": ""}


def test_it_stops_between_two_clips_and_goes_on(run, other, tmp_path):
    folder = tmp_path / "judged it's"
    work = evaluate(config(run, other, output=folder))
    for event in work:
        if isinstance(event, Progress) and event.done == 3:
            signal.raise_signal(signal.SIGTERM)
            break
    *_, last = work
    assert isinstance(last, Stopped)
    assert last.resume.startswith("acestep evaluate ")
    made = len(list((folder / "clips").iterdir()))
    assert 3 <= made <= 5
    assert not (folder / "report.json").exists()
    first = next(e for e in evaluate(config(run, other, output=folder)) if isinstance(e, Progress))
    assert first.done == 0 and first.total + made == 24


def test_an_adapter_alone_with_its_tensors_quickly(run, other, tensors, folder):
    alone = run / "checkpoints" / "epoch_2" / "adapter_model.safetensors"
    asked = config(alone, other, tensors=tensors, quick=True, clips=2, prompt=[], output=folder)
    events = list(evaluate(asked))
    report = read_report(folder)
    assert report["about"]["kind"] == "adapter"
    assert [one["name"] for one in report["checkpoints"]] == ["adapter"]
    assert [row["checkpoint"] for row in report["tag"]] == ["adapter"]
    assert report["strengths"] == []
    assert isinstance(events[-1], Finished)


def test_an_adapter_of_zeros_raises_the_alarm_and_is_not_recommended(
    run, other, tensors, folder, tmp_path
):
    zeros = tmp_path / "zeros"
    shutil.copytree(run / "checkpoints" / "epoch_2", zeros)
    file = zeros / "adapter_model.safetensors"
    save_file({k: torch.zeros_like(v) for k, v in load_file(file).items()}, file)
    events = list(
        evaluate(
            config(zeros, other, tensors=tensors, quick=True, clips=2, prompt=[], output=folder)
        )
    )
    report = read_report(folder)
    assert report["checkpoints"][0]["alarm"]
    assert report["choice"]["checkpoint"] is None
    assert report["choice"]["candidates"][0]["out"] == "it does nothing"
    assert "did not learn" in report["verdict"]["headline"]
    assert any(report["checkpoints"][0]["alarm"] in e.message for e in of(Notice, events))


def test_a_damaged_checkpoint_is_skipped(run, other, tensors, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("evaluation"))
    (copy / "checkpoints" / "epoch_1" / "adapter_model.safetensors").write_bytes(b"")
    work = evaluate(config(copy, other, quick=True, clips=2, prompt=[]))
    assert next(event for event in work if isinstance(event, Skipped)).what == "epoch_1"
    work.close()
    (copy / "checkpoints" / "epoch_2" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(AdapterError):
        list(evaluate(config(copy, other)))


# What is refused


def test_what_is_no_adapter_or_has_no_songs(run, other, tmp_path):
    with pytest.raises(AdapterError, match="no such"):
        list(evaluate(config(tmp_path / "nothing", other)))
    with pytest.raises(RunError, match="does not say which songs"):
        next(iter(evaluate(config(run / "checkpoints" / "epoch_2" / "adapter_model.safetensors",
                                  other))))  # fmt: skip
    with pytest.raises(RunError, match="epoch_9"):
        list(evaluate(config(run, other, checkpoint=["epoch_9"])))
    with pytest.raises(TensorError):
        list(evaluate(config(run, other, tensors=tmp_path)))
    with pytest.raises(ConfigError, match="--strength"):
        config(run, other, strength=[0.0])
    with pytest.raises(ConfigError, match="--prompt"):
        config(run, other, prompt=["  "])


def test_two_do_not_write_into_one_folder(run, other, tmp_path):
    first = evaluate(config(run, other, output=tmp_path))
    next(first)
    with pytest.raises(RunError, match="another process"):
        list(evaluate(config(run, other, output=tmp_path)))
    first.close()


def test_votes_of_another_test_are_refused(run, other, judged, tmp_path):
    votes = tmp_path / "votes.json"
    votes.write_text('{"format": 1, "test": "nobody", "votes": []}', encoding="utf-8")
    with pytest.raises(RunError, match="another test"):
        list(evaluate(config(run, other, votes=votes)))


def test_clips_and_songs_have_names_for_people(run, judged):
    """What a judge says names the voice and the prompt, and the song's file."""
    report = read_report(run / "evaluation")
    assert report["about"]["other"] == "tiny"
    rows = report["checkpoints"][0]["copies"]["clips"]
    assert [row["label"] for row in rows] == [f"epoch_1, 0{number}" for number in (1, 2, 3)]
    files = {clip["file"] for clip in report["clips"]}
    assert {f"clips/{row['clip']}.flac" for row in rows} <= files
    assert rows[0]["matches"][0]["song"] in ("0.wav", "1.wav", "2.wav")


@pytest.mark.parametrize(
    ("grade", "near", "out"),
    [("collapsed", 0.5, True), ("collapsed", 0.12, False), ("narrow", 0.5, False),
     ("too few", None, False)],
)  # fmt: skip
def test_only_one_piece_again_and_again_is_out_of_the_race(grade, near, out):
    heard = SimpleNamespace(
        take=SimpleNamespace(broken=""),
        diversity=SimpleNamespace(grade=grade, near=SimpleNamespace(made=near)),
    )
    assert bool(Judgement(Voice("epoch_1"), None, heard).out(None)) is out


def test_votes_for_the_base_put_out_what_they_were_about():
    heard = SimpleNamespace(
        take=SimpleNamespace(broken=""), diversity=SimpleNamespace(grade="usual")
    )
    votes = {"checkpoint": "epoch_1", "strength": 0.8, "adapter": 1, "base": 11, "p": 0.006}
    about = Judgement(Voice("epoch_1", 0.8), None, heard)
    assert "listeners" in about.out(votes)
    assert about.out({**votes, "p": 0.1}) == ""
    assert about.out({**votes, "adapter": 11, "base": 1}) == ""
    assert Judgement(Voice("epoch_1"), None, heard).out(votes) == ""
