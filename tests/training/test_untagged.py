"""Prompts without the tag: what they are, what leaving them alone means, and that it does."""

from contextlib import ExitStack

import pytest
import torch
from training_data import TINY, tiny_tensors

from acestep.adapters.attach import trainable_parameters
from acestep.adapters.mount import disabled
from acestep.adapters.stack import AdaptedParts
from acestep.config import GenerateConfig, TrainConfig
from acestep.data.files import write_json
from acestep.data.tensors import MANIFEST, read_manifest
from acestep.errors import ConfigError, TensorError
from acestep.events import Finished, Step, Stopped
from acestep.model.base import find_model, load_transformer
from acestep.model.flow import interpolate
from acestep.render import Sounds, set_scene
from acestep.train import train
from acestep.training.draws import draw_sample
from acestep.training.run import RunFolder
from acestep.training.session import open_session
from acestep.training.step import (
    add_gradients,
    drawn_batch,
    kept_loss,
    members_of,
    optimizer_step,
    without_tag,
)
from acestep.training.untagged import MOST, UNTOLD, untagged_labels

CPU = torch.device("cpu")
LABELS = [
    {
        "caption": "mytag, warm jazz, piano",
        "bpm": 90,
        "keyscale": "A minor",
        "lyrics": "[verse]\na",
    },
    {"caption": "mytag"},
    {"caption": "quiet folk, guitar", "timesignature": "3"},
]
KNOBS = {"rank": 4, "epochs": 4, "device": "cpu", "dropout": 0.0, "validation": 0.0}


@pytest.fixture
def tensors(tmp_path):
    return tiny_tensors(tmp_path / "tensors", (24, 31, 17), labels=LABELS)


def config(tensors, output, **knobs):
    return TrainConfig(tensors=tensors, output=output, **(KNOBS | knobs))


def opened(tensors, output, **knobs):
    return open_session(config(tensors, output, **knobs), ExitStack())[0]


def moved(session, scale=0.1):
    """An adapter that does something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in session.parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return session


def kept_of(session, members, positions):
    """The kept loss of some of a step's clips at their draws."""
    batch = drawn_batch(session, members, positions, 0)
    places = [members[position] for position in positions]
    batch = without_tag(session.untagged, batch, places, session.null_condition)
    return kept_loss(session, batch).detach()


def test_prompts_say_what_else_the_songs_said(tensors, tmp_path):
    session = opened(tensors, tmp_path / "run", keep_untagged=1.0)
    labels = untagged_labels(session.split.train, session.manifest.dataset)
    assert [each and (each.caption, each.bpm, each.keyscale) for each in labels] == [
        ("warm jazz, piano", 90, "A minor"),
        (UNTOLD, None, None),
        None,
    ]
    assert labels[0].lyrics == "[verse]\na" and labels[0].seconds == 24 / 25


def test_they_are_what_generation_computes_for_the_same_words(tensors, tmp_path):
    session = opened(tensors, tmp_path / "run", keep_untagged=1.0)
    parts = AdaptedParts(find_model(str(TINY)), CPU, torch.float32)
    asked = GenerateConfig(
        caption="warm jazz, piano", lyrics="[verse]\na", bpm=90, keyscale="A minor",
        duration=24 / 25,
    )  # fmt: skip
    steps = set_scene(parts, asked, Sounds())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            scene = end.value
            break
    assert session.untagged is not None
    assert torch.equal(session.untagged.of(0), scene.condition.states)
    assert not torch.equal(session.untagged.of(1), scene.condition.states)


def test_each_clip_has_its_own_songs_prompt_and_many_take_turns(tmp_path):
    count = MOST + 3
    labels = [{"caption": f"mytag, song {n}" if n != 1 else "other music"} for n in range(count)]
    many = tiny_tensors(tmp_path / "many", (3,) * count, labels=labels)
    untagged = opened(many, tmp_path / "run", keep_untagged=1.0).untagged
    assert untagged.turns == [0, None, *range(1, MOST), 0, 1]
    assert len(untagged.conditions) == MOST and untagged.of(1) is None
    assert torch.equal(untagged.of(count - 1), untagged.of(2))


def test_a_song_without_the_tag_is_free_to_change(tensors, tmp_path):
    session = moved(opened(tensors, tmp_path / "run", keep_untagged=1.0))
    both, first = (kept_of(session, [0, 2], p) for p in ([0, 1], [0]))
    assert not kept_of(session, [2], [0])
    assert first > 0 and float(both) == pytest.approx(float(first), rel=1e-4)


def test_the_base_itself_is_kept(tensors, tmp_path):
    session = opened(tensors, tmp_path / "run", keep_untagged=1.0)
    assert not kept_of(session, [0, 1, 2], [0, 1, 2])
    assert kept_of(moved(session), [0, 1, 2], [0, 1, 2]) > 0


def test_gradients_are_those_of_the_formula(tensors, tmp_path):
    """Against the formula written out, with a base that never had an adapter."""
    weight, step = 3.0, 5
    plain, kept = (
        moved(opened(tensors, tmp_path / str(w), batch_size=3, keep_untagged=w, timesteps="turbo"))
        for w in (0.0, weight)
    )
    add_gradients(plain, step)
    add_gradients(kept, step)
    bare = load_transformer(find_model(str(TINY)), CPU, torch.float32)
    adapted, parameters = plain.transformer, trainable_parameters(plain.transformer)
    members = members_of(plain, step)
    total = torch.zeros(())
    for position, member in enumerate(members):
        if kept.untagged.of(member) is None:
            continue
        clip = plain.split.train[member]
        draw = draw_sample(plain.plan.law, clip.latents.shape[1:], 0.0, 42, step, position)
        x = interpolate(clip.latents, draw.noise, draw.time)
        given = {
            "hidden_states": x, "timestep": draw.time, "timestep_r": draw.time,
            "context_latents": clip.context, "encoder_hidden_states": kept.untagged.of(member),
        }  # fmt: skip
        with torch.no_grad():
            base = bare(**given).sample
        total = total + weight * (adapted(**given).sample - base).square().mean() / 3
    total.backward()  # on top of the plain loss's gradients
    for name, parameter in trainable_parameters(kept.transformer).items():
        assert torch.allclose(parameter.grad, parameters[name].grad, rtol=1e-4, atol=1e-7), name
    assert any(p.grad.abs().max() > 1e-4 for p in parameters.values())


def test_a_trained_adapter_leaves_the_base_alone_where_the_tag_is_missing(tensors, tmp_path):
    def after(weight):
        session = opened(
            tensors, tmp_path / str(weight), keep_untagged=weight, batch_size=3, targets="cross"
        )
        for step in range(60):
            optimizer_step(session, step, 5e-3)
        session.untagged = session.untagged or untagged
        far = float(kept_of(session, [0, 1, 2], [0, 1, 2]))
        with torch.no_grad():
            clip = session.split.train[0]
            given = {
                "hidden_states": clip.latents, "timestep": torch.ones(1),
                "timestep_r": torch.ones(1), "context_latents": clip.context,
                "encoder_hidden_states": clip.condition,
            }  # fmt: skip
            own = session.transformer(**given).sample
            with disabled(session.transformer):
                change = (own - session.transformer(**given).sample).square().mean()
        return far, float(change)

    untagged = opened(tensors, tmp_path / "first", keep_untagged=1.0).untagged
    (loose, loose_change), (kept, kept_change) = after(0.0), after(4.0)
    assert kept < 0.4 * loose and kept_change > 0.4 * loose_change


def test_a_stopped_run_goes_on_to_the_bit(tensors, tmp_path):
    knobs = {"keep_untagged": 2.0, "learning_rate": 1e-3, "dropout": 0.2}
    list(train(config(tensors, tmp_path / "whole", **knobs)))
    for event in train(config(tensors, tmp_path / "stopped", **knobs)):
        if isinstance(event, Step) and event.step == 5:
            RunFolder(tmp_path / "stopped").stop_file.touch()
    assert isinstance(event, Stopped)
    *_, last = train(config(tensors, tmp_path / "stopped", resume=True, **knobs))
    assert isinstance(last, Finished)
    whole, stopped = (
        (tmp_path / name / "checkpoints" / "epoch_4" / "adapter_model.safetensors").read_bytes()
        for name in ("whole", "stopped")
    )
    assert whole == stopped


def test_clips_that_go_together_are_kept_as_alone(tensors, tmp_path):
    sessions = [
        moved(
            opened(tensors, tmp_path / str(n), keep_untagged=2.0, batch_size=3, patches_at_once=n)
        )
        for n in (0, 1000)
    ]
    losses = [add_gradients(session, 0) for session in sessions]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    one, other = (trainable_parameters(session.transformer) for session in sessions)
    assert all(torch.allclose(one[n].grad, other[n].grad, rtol=1e-3, atol=1e-6) for n in one)


def test_without_a_tag_there_is_nothing_to_leave_out(tensors, tmp_path):
    untold = tiny_tensors(tmp_path / "untold")
    with pytest.raises(TensorError, match="no prompt in .*untold has a tag"):
        opened(untold, tmp_path / "a", keep_untagged=1.0)
    record = read_manifest(tensors)
    record.dataset["tag"] = ""
    values = {key: value for key, value in vars(record).items() if key != "foreign"}
    write_json(tensors / MANIFEST, {"format": 1, **values})
    with pytest.raises(TensorError, match="no prompt in .*tensors has a tag") as caught:
        opened(tensors, tmp_path / "b", keep_untagged=1.0)
    assert "acestep edit --tag" in caught.value.hint


def test_a_recorded_pass_cannot_leave_the_adapter_out(tensors, tmp_path):
    with pytest.raises(ConfigError, match="--keep-untagged --cuda-graphs"):
        config(tensors, tmp_path / "run", keep_untagged=1.0, cuda_graphs=True)
