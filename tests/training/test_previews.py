"""Previews sound as generate does, training does not notice them, and none is lost or doubled."""

import shutil
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from training_data import TINY, tiny_tensors

import acestep.training.previews as previews_module
from acestep.adapters.attach import attached
from acestep.config import GenerateConfig, TrainConfig
from acestep.data.audio import read_audio
from acestep.errors import ConfigError, ModelError
from acestep.events import Evaluation, Finished, Notice, Sample, Step, Stopped
from acestep.generate import generate
from acestep.train import train
from acestep.training.previews import Previews
from acestep.training.run import RunFolder
from acestep.training.session import open_session
from acestep.training.step import optimizer_step

LABELS = [
    {"caption": "warm jazz, piano, slow", "bpm": 90, "keyscale": "A minor"},
    {"caption": "bright funk, bass, fast", "bpm": 120, "keyscale": "C major"},
    {"caption": "quiet folk, guitar, lullaby", "bpm": 70},
]
KNOBS = {"rank": 4, "epochs": 4, "save_every": 2, "device": "cpu", "learning_rate": 5e-3}
LISTENING = {"preview_every": 2, "preview_seconds": 0.4}


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("data") / "tensors", (24, 30, 17), labels=LABELS)


@pytest.fixture(scope="module")
def plain(tensors, tmp_path_factory):
    return run(tensors, tmp_path_factory.mktemp("plain") / "run", dropout=0.2)


@pytest.fixture(scope="module")
def heard(tensors, tmp_path_factory):
    return run(tensors, tmp_path_factory.mktemp("heard") / "run", dropout=0.2, **LISTENING)


def config(tensors, output, **knobs):
    return TrainConfig(tensors=tensors, output=output, **(KNOBS | knobs))


def run(tensors, output, **knobs):
    list(train(config(tensors, output, **knobs)))
    return RunFolder(output)


def of(kind, folder):
    return [event for event in folder.read_events() if isinstance(event, kind)]


def weights(folder, name="epoch_4"):
    return (folder.checkpoints / name / "adapter_model.safetensors").read_bytes()


def assert_same_training(one, other, name="epoch_4"):
    assert weights(one, name) == weights(other, name)
    assert of(Step, one) == of(Step, other) != []
    assert of(Evaluation, one) == of(Evaluation, other) != []


def places(samples):
    return [(sample.epoch, sample.kind, sample.caption, sample.seed) for sample in samples]


def files(folder):
    return {
        path.relative_to(folder.samples).as_posix(): path.read_bytes()
        for path in folder.samples.rglob("*")
        if path.is_file()
    }


# Bit-identity


def test_training_with_dropout_does_not_notice_previews(plain, heard):
    assert_same_training(plain, heard)
    assert not plain.samples.exists() and of(Sample, plain) == []


@pytest.mark.parametrize(
    "knobs",
    [
        {"adapter": "dora", "dropout": 0.3, "targets": "attention+mlp"},
        {"adapter": "rslora", "dropout": 0, "teach_guidance": 2.0, "optimizer": "prodigy"},
        {"gradient_checkpointing": "on", "batch_size": 2, "condition_dropout": 0.5},
    ],
)
def test_nor_does_another_kind_of_run(tensors, tmp_path, knobs):
    knobs = {"epochs": 2, "validate_every": 1} | knobs
    one = run(tensors, tmp_path / "plain", **knobs)
    listening = {"preview": ["jazz"], "preview_every": 1, "preview_seconds": 0.4}
    other = run(tensors, tmp_path / "heard", **knobs, **listening)
    assert len(of(Sample, other)) == 3
    assert_same_training(one, other, "epoch_2")


def test_nor_does_the_small_model(tmp_path):
    tensors = tiny_tensors(tmp_path / "tensors", (25, 25), model="mini", shape=(64, 192))
    knobs = {"epochs": 1, "dropout": 0.1, "targets": "attention+mlp"}
    one = run(tensors, tmp_path / "plain", **knobs)
    other = run(tensors, tmp_path / "heard", **knobs, preview=["jazz"], preview_seconds=1)
    assert [sample.epoch for sample in of(Sample, other)] == [0, 1]
    assert_same_training(one, other, "epoch_1")


def test_state_is_as_it_was_after_a_preview(tensors, tmp_path):
    knobs = {"dropout": 0.2, **LISTENING}
    with ExitStack() as held:
        session, _ = open_session(config(tensors, tmp_path / "run", **knobs), held)
        optimizer_step(session, 0, 1e-3)
        loss = sum(p.square().sum() for p in session.parameters.values())
        loss.backward()
        layers = attached(session.transformer)
        before = state(session)
        listened = list(Previews(session, lambda: False).begin())
        assert len(listened) == 3 and state(session) == before
        assert attached(session.transformer) == layers  # the same objects
        assert all(p.grad is not None for p in session.parameters.values())


def state(session):
    return (
        torch.get_rng_state().tolist(),
        [(name, id(part), part.training) for name, part in session.transformer.named_modules()],
        [
            (name, id(p), p.requires_grad, p.detach().clone().flatten().tolist())
            for name, p in session.transformer.named_parameters()
        ],
        [p.grad.flatten().tolist() for p in session.parameters.values()],
    )


# What is heard


def test_the_three_prompts_of_a_dataset_at_every_point(heard):
    samples = of(Sample, heard)
    assert [sample.epoch for sample in samples] == [0, 0, 0, 2, 2, 2, 4, 4, 4]
    assert [sample.step for sample in samples[::3]] == [0, 6, 12]
    assert [sample.kind for sample in samples[:3]] == ["training", "new", "untagged"]
    captions = [sample.caption for sample in samples[:3]]
    assert captions[0] == "mytag, warm jazz, piano, slow"
    assert captions[1] == f"mytag, {captions[2]}" and "mytag" not in captions[2]
    assert {sample.seed for sample in samples} == {42}
    for sample in samples:
        name = f"epoch_{sample.epoch}" if sample.epoch else "base"
        assert sample.path.startswith(str(heard.samples / name))
        audio = read_audio(sample.path)
        assert audio.shape[1] / 48000 == sample.seconds == 0.4
        with open(sample.picture, "rb") as picture:
            assert picture.read(4) == b"\x89PNG"
    assert len({np.abs(read_audio(sample.path)).sum() for sample in samples}) == 9


@pytest.mark.parametrize("epoch", [0, 2, 4])
def test_a_preview_is_what_generate_makes_of_the_checkpoint(heard, tmp_path, epoch):
    sample = next(event for event in of(Sample, heard) if event.epoch == epoch)
    lora = [heard.checkpoints / f"epoch_{epoch}"] if epoch else []
    order = GenerateConfig(
        model=str(TINY), lora=lora, caption=sample.caption, bpm=90, keyscale="A minor",
        duration=0.4, output=tmp_path / "song.flac", device="cpu",
    )  # fmt: skip
    list(generate(order))
    assert np.array_equal(read_audio(tmp_path / "song.flac"), read_audio(sample.path))


def test_own_captions_are_heard_at_every_checkpoint_and_named_safely(tensors, tmp_path):
    captions = [
        "../../etc/passwd", '<script>alert("1")</script>', "🎷 재즈", "a, " * 3000, "", "x", "x",
    ]  # fmt: skip
    folder = run(tensors, tmp_path / "run", epochs=2, preview=captions, preview_seconds=0.01)
    samples = of(Sample, folder)
    assert [sample.caption for sample in samples] == captions * 2
    assert {sample.kind for sample in samples} == {"own"}
    names = {name for name in files(folder) if name.startswith("base/") and name.endswith("flac")}
    assert len(names) == len(captions) and {"base/3_재즈.flac", "base/5.flac"} <= names
    assert {path.parent.name for path in folder.samples.rglob("*.flac")} == {"base", "epoch_2"}
    assert all(len(name) < 80 for name in names)


def test_odd_values(tensors, tmp_path):
    assert config(tensors, tmp_path, preview=["a\udcff"]).preview == ["a?"]
    assert config(tensors, tmp_path, preview=["a"]).preview_every == KNOBS["save_every"]
    assert config(tensors, tmp_path, preview=["a"], preview_every=0).preview_every == 0
    with pytest.raises(ConfigError, match="preview-every"):
        config(tensors, tmp_path, preview_every=-1)


# Stopping and going on


def test_a_stop_during_previews_is_heeded_and_they_are_made_up_for(tensors, heard, tmp_path):
    folder = RunFolder(tmp_path / "run")
    knobs = {"dropout": 0.2, **LISTENING}
    seen = []
    for event in train(config(tensors, folder.path, **knobs)):
        seen.append(event)
        if isinstance(event, Sample) and event.epoch == 2:
            folder.stop_file.touch()
    assert isinstance(seen[-1], Stopped) and seen[-2].kind == "training"
    assert [event.step for event in seen if isinstance(event, Step)][-1] == 6
    base = [path.stat().st_mtime_ns for path in sorted((folder.samples / "base").iterdir())]
    run(tensors, folder.path, resume=True)
    assert_same_training(folder, heard)
    assert places(of(Sample, folder)) == places(of(Sample, heard))
    assert files(folder) == files(heard)
    assert base == [path.stat().st_mtime_ns for path in sorted((folder.samples / "base").iterdir())]


def test_a_killed_run_makes_later_previews_again_and_none_twice(tensors, plain, tmp_path):
    knobs = {"dropout": 0.2, "preview": ["jazz"], "preview_every": 1, "preview_seconds": 0.4}
    folder = RunFolder(tmp_path / "run")
    happening = train(config(tensors, folder.path, **knobs))
    for event in happening:
        if isinstance(event, Sample) and event.epoch == 3:
            happening.close()
    assert (folder.samples / "epoch_3").is_dir()
    going_on = train(config(tensors, folder.path, resume=True, preview_every=4))
    next(going_on)
    assert not list((folder.samples / "epoch_3").iterdir())  # that past is undone
    list(going_on)
    assert [sample.epoch for sample in of(Sample, folder)] == [0, 1, 2, 4]
    assert_same_training(folder, plain)


def test_a_run_moved_and_finished_has_nothing_to_make(tensors, heard, tmp_path):
    shutil.copytree(heard.path, tmp_path / "moved")
    folder = RunFolder(tmp_path / "moved")
    events = list(train(config(tensors, folder.path, resume=True, dropout=0.2)))
    assert not [event for event in events if isinstance(event, Sample)]
    assert len(of(Sample, folder)) == 9 and files(folder) == files(heard)


def test_a_run_that_had_none_gets_previews_with_captions(tensors, plain, tmp_path):
    shutil.copytree(plain.path, tmp_path / "run")
    listening = {"preview": ["jazz"], "preview_seconds": 0.4}
    folder = run(tensors, tmp_path / "run", resume=True, dropout=0.2, **listening)
    assert [(sample.epoch, sample.caption) for sample in of(Sample, folder)] == [
        (0, "jazz"),
        (4, "jazz"),
    ]
    assert RunFolder(folder.path).read_settings()["config"]["preview_every"] == 2
    assert_same_training(folder, plain)


def test_a_stop_is_heeded_within_a_piece(tensors, tmp_path):
    calls = []
    with ExitStack() as held:
        session, _ = open_session(config(tensors, tmp_path / "run", **LISTENING), held)
        previews = Previews(session, lambda: calls.append(1) or len(calls) > 4)
        assert list(previews.begin()) == []
        assert len(calls) == 5 and not session.run.samples.exists()  # of eight steps and more
        assert attached(session.transformer)


# Failures


def failing(error):
    def fail(*arguments):
        raise error
        yield

    return fail


def test_a_preview_that_cannot_be_written_is_said_and_training_goes_on(tensors, plain, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.samples.write_text("in the way", encoding="utf-8")
    events = list(train(config(tensors, folder.path, dropout=0.2, **LISTENING)))
    assert isinstance(events[-1], Finished)
    said = [e.message for e in events if isinstance(e, Notice) and "no preview" in e.message]
    assert [line.split(":")[0] for line in said] == [
        f"no preview of {who}, training goes on" for who in ("the base", "epoch 2", "epoch 4")
    ]
    assert "samples" in said[0]
    assert_same_training(folder, plain)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), ModelError("x")])
def test_so_it_is_without_memory(tensors, plain, tmp_path, monkeypatch, error):
    monkeypatch.setattr(previews_module, "play_all", failing(error))
    folder = run(tensors, tmp_path / "run", dropout=0.2, **LISTENING)
    said = [e.message for e in of(Notice, folder) if str(error) in e.message]
    assert len(said) == 3 and of(Sample, folder) == []
    assert_same_training(folder, plain)


def test_prompts_that_cannot_be_encoded_cost_only_the_previews(
    tensors, plain, tmp_path, monkeypatch
):
    error = torch.OutOfMemoryError("CUDA out of memory")
    monkeypatch.setattr(previews_module, "set_scene", failing(error))
    folder = run(tensors, tmp_path / "run", dropout=0.2, **LISTENING)
    assert [e.level for e in of(Notice, folder) if "there will be no previews" in e.message] == [
        "warning"
    ]
    assert_same_training(folder, plain)
