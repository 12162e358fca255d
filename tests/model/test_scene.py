"""Sources, references and prompts, encoded: shapes, windows, and what stays the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from acestep.data.labels import PromptLabels
from acestep.errors import AudioError, ConfigError
from acestep.model.base import find_model
from acestep.model.condition import silence_frames
from acestep.model.parts import Parts
from acestep.model.prompt import instruction_for
from acestep.model.scene import (
    TaskWindow,
    encode_prompts,
    encode_reference,
    encode_source,
    null_condition,
    num_frames,
    task_context,
    text2music_conditions,
)

TINY = str(Path(__file__).parents[1] / "golden/upstream_tiny/acestep-v15-turbo")
RATE, HOP, CHANNELS = 48000, 1920, 8
LABELS = PromptLabels("piano trio", "[Instrumental]", 90, "Bb major", "4", "unknown", 2.0)
EVERYWHERE = TaskWindow()


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts(find_model(TINY), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    samples = 2 * RATE + 700
    return np.random.default_rng(0).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def test_a_source_without_a_window(parts, audio):
    for task in ("cover", "extract", "complete", "lego"):
        source = encode_source(parts, audio, task, EVERYWHERE, 1)
        assert source.window is None and source.audio is audio
        assert source.latents.shape == (1, 50, CHANNELS)
    context = task_context(parts, "extract", source, 1.0)
    assert torch.equal(context[..., :CHANNELS], source.latents)
    assert (context[..., CHANNELS:] == 1).all()


def test_a_cover_hears_codes(parts, audio):
    source = encode_source(parts, audio, "cover", EVERYWHERE, 1)
    context = task_context(parts, "cover", source, 2.0)
    assert context.shape == (1, 50, 2 * CHANNELS)
    assert not torch.equal(context[..., :CHANNELS], source.latents)
    assert (context[..., CHANNELS:] == 2).all()


@pytest.mark.parametrize("task", ["repaint", "lego"])
def test_a_window(task, parts, audio):
    source = encode_source(parts, audio, task, TaskWindow(0.5, 1.0), 1)
    assert source.window == (RATE // 2, RATE)
    assert source.latents.shape == (1, 51, CHANNELS)
    context = task_context(parts, task, source, 1.0)
    mask = context[0, :, CHANNELS]
    assert mask.tolist() == [0] * 12 + [1] * 13 + [0] * 26
    inside = context[:, 12:25, :CHANNELS]
    assert torch.equal(inside, silence_frames(parts.silence, 51)[:, 12:25])
    assert torch.equal(context[:, 25:, :CHANNELS], source.latents[:, 25:])


def test_repaint_without_a_window_is_all_of_it(parts, audio):
    source = encode_source(parts, audio, "repaint", EVERYWHERE, 1)
    assert source.window == (0, audio.shape[1])
    assert (task_context(parts, "repaint", source, 1.0)[..., CHANNELS:] == 1).all()


def test_a_window_beyond_the_source_extends_it(parts, audio):
    source = encode_source(parts, audio, "repaint", TaskWindow(-1, 3), 1)
    assert source.audio.shape == (2, 4 * RATE) and source.window == (0, 4 * RATE)
    assert source.latents.shape == (1, 100, CHANNELS)


def test_sources_that_cannot_be_used(parts, audio):
    with pytest.raises(ConfigError, match="outside"):
        encode_source(parts, audio, "repaint", TaskWindow(3, 4), 1)
    with pytest.raises(AudioError, match="one latent frame"):
        encode_source(parts, audio[:, :1919], "cover", EVERYWHERE, 1)


def test_source_latents_depend_on_the_seed_alone(parts, audio):
    first, again, other = (
        encode_source(parts, audio, "cover", EVERYWHERE, seed).latents for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_reference_is_750_frames(parts, audio):
    assert encode_reference(parts, audio, 1).shape == (1, 750, CHANNELS)
    assert encode_reference(parts, np.zeros_like(audio), 1) is None


def test_text2music_conditions_are_those_of_the_prompt(parts):
    states, context = text2music_conditions(parts, LABELS, 50)
    prompts, (alone,) = encode_prompts(parts, LABELS, [instruction_for("text2music")])
    assert torch.equal(states, alone)
    tokens = len(prompts[0].caption_ids) + len(prompts[0].lyrics_ids)
    assert states.shape == (1, tokens + 1, 32)
    assert torch.equal(context[..., :CHANNELS], parts.silence[:, :50])
    assert (context[..., CHANNELS:] == 1).all()


def test_several_instructions_are_several_prompts(parts):
    wanted = [instruction_for("cover"), instruction_for("text2music")]
    prompts, states = encode_prompts(parts, LABELS, wanted)
    assert [prompt.caption_text.splitlines()[1] for prompt in prompts] == wanted
    assert torch.equal(states[1], text2music_conditions(parts, LABELS, 50)[0])


def test_without_a_reference_the_timbre_is_that_of_silence(parts):
    instruction = [instruction_for("text2music")]
    _, (silent,) = encode_prompts(parts, LABELS, instruction, parts.silence[:, :750])
    _, (none,) = encode_prompts(parts, LABELS, instruction)
    _, (other,) = encode_prompts(parts, LABELS, instruction, torch.randn(1, 750, CHANNELS))
    assert torch.equal(silent, none) and not torch.equal(other, none)


def test_null_condition(parts):
    assert null_condition(parts).shape == (1, 1, 32)


@pytest.mark.parametrize(
    ("seconds", "frames"), [(2, 50), (0.28, 7), (0.319, 7), (2.5, 62), (12.32, 308), (0.01, 1)]
)
def test_frames_of_a_duration(seconds, frames):
    assert num_frames(seconds) == frames
