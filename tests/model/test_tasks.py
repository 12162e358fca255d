"""Contexts of the six tasks, windows, references, splices: golden data and arithmetic."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
)
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from acestep.model.tasks import (
    code_hints,
    extend_source,
    reference_clip,
    source_context,
    splice,
    task_problems,
    track_name,
    whole_frames,
    window_frames,
    window_problems,
    within_full_scale,
)

GOLDEN = Path(__file__).parents[1] / "golden"
RATE, HOP = 48000, 1920


@pytest.fixture(scope="module")
def turbo() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "generation_turbo.safetensors")


@pytest.fixture(scope="module")
def silence() -> torch.Tensor:
    return load_file(
        GOLDEN / "diffusers_tiny/condition_encoder/diffusion_pytorch_model.safetensors"
    )["silence_latent"]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (2, samples)).astype(np.float32)


def test_repaint_context(turbo, silence):
    source = turbo["cover_src_latents"][:1]
    context = source_context(source, silence, window=(15, 35))
    assert context.shape == (1, 50, 16)
    assert torch.equal(context[..., 8:], turbo["repaint_chunk_masks"][:1])
    assert torch.equal(context[:, 15:35, :8], silence[:, 15:35])
    assert torch.equal(context[:, :15, :8], source[:, :15])
    assert torch.equal(context[:, 35:, :8], source[:, 35:])


def test_repaint_context_is_the_golden_one(turbo, silence):
    golden = turbo["repaint_src_latents"][:1]
    assert torch.equal(golden[:, 15:35], silence[:, 15:35])
    context = source_context(golden, silence, window=(15, 35))
    assert torch.equal(context[..., :8], golden)


def test_context_without_a_window_is_the_source_everywhere(turbo, silence):
    source = turbo["cover_src_latents"][:1]
    context = source_context(source, silence, chunk_mask=2.0)
    assert torch.equal(context[..., :8], source)
    assert (context[..., 8:] == 2).all()


def test_chunk_mask_value_fills_the_window_only(turbo, silence):
    mask = source_context(turbo["cover_src_latents"][:1], silence, window=(1, 3), chunk_mask=2.0)
    assert mask[0, :, 8].tolist() == [0, 2, 2] + [0] * 47


def test_code_hints(silence):
    golden = load_file(GOLDEN / "tokenizer.safetensors")
    tiny = GOLDEN / "diffusers_tiny"
    tokenizer = AceStepAudioTokenizer.from_pretrained(tiny / "audio_tokenizer").eval()
    detokenizer = AceStepAudioTokenDetokenizer.from_pretrained(
        tiny / "audio_token_detokenizer"
    ).eval()
    for case, frames in (("pad", 13), ("exact", 50)):
        hints = code_hints(tokenizer, detokenizer, golden[f"{case}.latents"], silence)
        expected = golden[f"{case}.detokenized_25hz"][:, :frames]
        torch.testing.assert_close(hints, expected, rtol=0, atol=2e-5)


def test_window_inside_the_source():
    audio = noise(10 * RATE)
    extended, window = extend_source(audio, 2, 5, RATE)
    assert np.array_equal(extended, audio)
    assert window == (2 * RATE, 5 * RATE)
    assert window_frames(window, extended.shape[1], HOP) == (50, 125)


def test_window_to_the_end():
    extended, window = extend_source(noise(10 * RATE + 700), 9, None, RATE)
    assert window == (9 * RATE, 10 * RATE + 700)
    assert window_frames(window, extended.shape[1], HOP) == (225, 251)
    assert whole_frames(extended, HOP).shape == (2, 251 * HOP)


def test_a_negative_start_extends_to_the_left():
    audio = noise(4 * RATE)
    extended, window = extend_source(audio, -2, 1, RATE)
    assert window == (0, 3 * RATE)
    assert not extended[:, : 2 * RATE].any()
    assert np.array_equal(extended[:, 2 * RATE :], audio)


def test_an_end_behind_the_source_extends_to_the_right():
    audio = noise(4 * RATE)
    extended, window = extend_source(audio, 3, 6, RATE)
    assert window == (3 * RATE, 6 * RATE)
    assert np.array_equal(extended[:, : 4 * RATE], audio)
    assert not extended[:, 4 * RATE :].any()
    assert extended.shape[1] == 6 * RATE


def test_a_tiny_window_is_one_frame():
    assert window_frames((RATE, RATE + 10), 10 * RATE, HOP) == (25, 26)


@given(st.floats(0, 20), st.floats(0.001, 20))
def test_window_frames_round_down_like_the_original(start, length):
    samples = 60 * RATE
    _, window = extend_source(np.zeros((2, samples), np.float32), start, start + length, RATE)
    first, last = window_frames(window, samples, HOP)
    assert first == int(start * 48000 // 1920)
    assert last == max(first + 1, int((start + length) * 48000 // 1920))


@given(st.integers(0, 900), st.integers(2, 900), st.integers(0, 5))
def test_a_splice_keeps_the_outside_bit_for_bit(start, length, seed):
    source, made = noise(2000, seed), 3 * noise(2000, seed + 1)
    start, end = start, min(2000, start + length)
    result = splice(source, made, (start, end), 1000)
    assert np.array_equal(result[:, :start], source[:, :start])
    assert np.array_equal(result[:, end:], source[:, end:])
    assert np.abs(result).max() <= 1


def test_a_splice_is_the_made_audio_inside_with_short_fades():
    source, made = noise(RATE, 1), noise(RATE, 2)
    result = splice(source, made, (10000, 30000), RATE)
    fade = round(0.03 * RATE)
    plain = slice(10000 + fade, 30000 - fade)
    assert np.array_equal(result[:, plain], made[:, plain])
    middle = 10000 + fade // 2
    np.testing.assert_allclose(
        result[:, middle], (made[:, middle] + source[:, middle]) / 2, rtol=0, atol=1e-3
    )


def test_a_splice_does_not_fade_where_the_song_begins_or_ends():
    source, made = noise(RATE, 1), noise(RATE, 2)
    assert np.array_equal(splice(source, made, (0, RATE), RATE), made)


def test_only_the_made_part_is_brought_within_full_scale():
    source, made = 1.5 * noise(RATE, 1), 4 * noise(RATE, 2)
    result = splice(source, made, (20000, 40000), RATE)
    assert np.array_equal(result[:, :20000], source[:, :20000])
    assert np.abs(result[:, 24000:36000]).max() == pytest.approx(1, abs=0.01)


def test_full_scale():
    quiet = noise(100)
    assert np.array_equal(within_full_scale(quiet), quiet)
    assert np.abs(within_full_scale(2 * quiet)).max() == pytest.approx(1)
    assert within_full_scale(quiet[:, :0]).shape == (2, 0)


def test_a_reference_of_thirty_seconds_is_taken_whole():
    audio = noise(30 * 1000)
    assert np.array_equal(reference_clip(audio, 7, 1000), audio)


def test_a_short_reference_is_repeated():
    audio = noise(10 * 1000)
    assert np.array_equal(reference_clip(audio, 7, 1000), np.tile(audio, (1, 3)))


def test_a_long_reference_gives_ten_seconds_of_each_third():
    audio = np.tile(np.arange(90 * 1000, dtype=np.float32), (2, 1))
    clip = reference_clip(audio, 7, 1000)
    assert clip.shape == (2, 30 * 1000)
    for third in range(3):
        piece = clip[0, third * 10000 : (third + 1) * 10000]
        assert (np.diff(piece) == 1).all()
        assert third * 30000 <= piece[0] and piece[-1] < (third + 1) * 30000
    assert np.array_equal(clip, reference_clip(audio, 7, 1000))
    assert not np.array_equal(clip, reference_clip(audio, 8, 1000))


@pytest.mark.parametrize(
    ("task", "tracks", "has_source", "has_window", "said"),
    [
        ("cover", [], False, False, "needs a source"),
        ("text2music", [], True, False, "takes no source"),
        ("text2music", [], False, True, "has no window"),
        ("cover", ["drums"], True, False, "takes no track"),
        ("extract", ["drums", "bass"], True, False, "takes one track"),
        ("complete", ["kazoo"], True, False, "woodwinds"),
    ],
)
def test_wrong_inputs_are_named(task, tracks, has_source, has_window, said):
    problems = task_problems(task, tracks, has_source, has_window)
    assert len(problems) == 1 and said in problems[0]


def test_right_inputs():
    assert not task_problems("text2music", [], False, False)
    assert not task_problems("repaint", [], True, True)
    assert not task_problems("lego", ["Backing vocals"], True, True)
    assert not task_problems("complete", ["drums", "bass"], True, False)


def test_all_problems_come_at_once():
    assert len(task_problems("cover", ["kazoo"], False, True)) == 3


def test_track_names():
    assert track_name("Backing-Vocals ") == "backing_vocals"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (5, 5, "empty"),
        (6, 5, "empty"),
        (10.5, 12, "outside"),
        (-3, -1, "outside"),
        (-400, 300, "600"),
    ],
)
def test_impossible_windows(start, end, said):
    problems = window_problems(start, end, 10.0)
    assert len(problems) == 1 and said in problems[0]


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 10), (-5, 2), (8, 15), (10, 12)])
def test_possible_windows(start, end):
    assert not window_problems(start, end, 10.0)
