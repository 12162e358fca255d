"""From a config to audio: golden latents from strings, the six tasks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep.adapters.stack import AdaptedParts
from acestep.config import GenerateConfig
from acestep.data.labels import PromptLabels
from acestep.errors import AudioError, ConfigError
from acestep.events import Notice
from acestep.model.base import find_model
from acestep.model.flow import schedule
from acestep.model.sample import Condition, denoise, draw_noise
from acestep.model.scene import text2music_conditions
from acestep.model.tasks import within_full_scale
from acestep.model.vae import decode_audio
from acestep.playing import Rendition, choose_sampling
from acestep.render import Sounds, prompt_labels, render_all

GOLDEN = Path(__file__).parent / "golden"
RATE = 48000
CPU = torch.device("cpu")
LAYOUTS = ("diffusers_tiny", "upstream_tiny/acestep-v15-turbo")
TEXT = json.loads((GOLDEN / "text.json").read_text())


def open_model(name: str, **options) -> AdaptedParts:
    return AdaptedParts(find_model(name), CPU, torch.float32, **options)


@pytest.fixture(scope="module")
def mini() -> AdaptedParts:
    return open_model("mini")


@pytest.fixture(scope="module")
def source() -> np.ndarray:
    """Three seconds of a chord that swells, not a whole number of frames."""
    time = np.arange(3 * RATE + 700) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.5, 330))
    left = 0.2 * chord * np.clip(time, 0.2, 1)
    return np.stack([left, 0.8 * left]).astype(np.float32)


def finished(parts, config, sounds=None) -> tuple[Rendition, list]:
    *events, rendition = render_all(parts, [config], sounds or Sounds())
    return rendition, events


def make(parts, source=None, reference=None, **knobs) -> Rendition:
    config = GenerateConfig(**{"caption": "techno, 125 bpm", "duration": 2, "steps": 2, **knobs})
    return finished(parts, config, Sounds(source, reference))[0]


def golden_config(index: int) -> GenerateConfig:
    metas = {key: value for key, value in TEXT["metas"][index].items() if value != "N/A"}
    return GenerateConfig(
        caption=TEXT["captions"][index],
        lyrics=TEXT["lyrics"][index],
        language=TEXT["languages"][index],
        seed=TEXT["seeds"][index],
        **metas,
    )


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_golden_latents_from_strings(layout, index):
    parts = open_model(str(GOLDEN / layout))
    labels, notices = prompt_labels(golden_config(index), 2.0)
    assert not notices
    assert isinstance(labels, PromptLabels)
    states, context = text2music_conditions(parts, labels, TEXT["latent_frames"])
    noise = draw_noise(TEXT["seeds"][index], TEXT["latent_frames"], parts.channels)
    steps = denoise(parts.transformer(), noise, schedule(8, 3), Condition(states, context))
    latents = list(steps)[-1]
    expected = load_file(GOLDEN / "text.safetensors")[f"single{index}.target_latents"]
    torch.testing.assert_close(latents, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_golden_audio_from_a_config(layout):
    parts = open_model(str(GOLDEN / layout))
    rendition, _ = finished(parts, golden_config(0))
    expected = load_file(GOLDEN / "text.safetensors")["single0.target_latents"]
    audio = within_full_scale(decode_audio(parts.vae(), expected))
    np.testing.assert_allclose(rendition.audio, audio, rtol=0, atol=1e-3 * np.abs(audio).max())
    assert rendition.prompt.caption_text == TEXT["formatted_text"][0]
    assert rendition.prompt.lyrics_text == TEXT["formatted_lyrics"][0]


def test_a_piece_has_the_whole_frames_of_the_length_asked_for(mini):
    piece = make(mini, duration=1.01)
    assert piece.audio.shape == (2, 25 * 1920) and piece.audio.dtype == np.float32
    assert piece.seconds == pytest.approx(1.0)
    assert "duration: 1 seconds" in piece.prompt.caption_text
    assert np.abs(piece.audio).max() <= 1


def test_same_seed_same_piece(mini):
    first, again, other = make(mini), make(mini), make(mini, seed=7)
    assert np.array_equal(first.audio, again.audio)
    assert not np.array_equal(first.audio, other.audio)


def test_offload_changes_nothing_and_keeps_one_part(mini, source):
    parts = open_model("mini", offload=True)
    for knobs in ({}, {"task": "cover", "source": source, "cover_strength": 0.5}):
        assert np.array_equal(make(parts, **knobs).audio, make(mini, **knobs).audio)
        assert parts.loaded() == ["vae"]
    parts.free()
    assert parts.loaded() == []


@pytest.mark.parametrize(
    ("task", "knobs", "instruction"),
    [
        ("cover", {}, "Generate audio semantic tokens"),
        ("repaint", {"repainting_start": 1.0, "repainting_end": 2.0}, "Repaint the mask area"),
        ("extract", {"track": ["drums"]}, "Extract the DRUMS track"),
        ("lego", {"track": ["backing vocals"]}, "Generate the BACKING_VOCALS track"),
        ("lego", {"repainting_start": 1.0}, "Generate the track"),
        ("complete", {"track": ["drums", "Bass"]}, "Complete the input track with DRUMS | BASS:"),
    ],
)
def test_tasks_with_a_source(task, knobs, instruction, mini, source):
    piece = make(mini, source, task=task, duration=None, **knobs)
    whole = source.shape[1] if "repainting_start" in knobs else source.shape[1] // 1920 * 1920
    assert piece.audio.shape == (2, whole)
    assert np.isfinite(piece.audio).all() and np.abs(piece.audio).max() > 0.01
    assert instruction in piece.prompt.caption_text
    assert "duration: 3 seconds" in piece.prompt.caption_text


def test_repaint_keeps_the_outside_bit_for_bit(mini, source):
    knobs = {"task": "repaint", "repainting_start": 1.013, "repainting_end": 2.2, "duration": None}
    piece = make(mini, source, **knobs)
    start, end = int(1.013 * RATE), int(2.2 * RATE)
    assert np.array_equal(piece.audio[:, :start], source[:, :start])
    assert np.array_equal(piece.audio[:, end:], source[:, end:])
    inside = slice(start + 1440, end - 1440)
    assert not np.array_equal(piece.audio[:, inside], source[:, inside])


def test_repaint_to_the_end_and_beyond(mini, source):
    knobs = {"task": "repaint", "duration": None}
    start = 2 * RATE
    piece = make(mini, source, repainting_start=2, **knobs)
    assert piece.audio.shape == source.shape
    assert np.array_equal(piece.audio[:, :start], source[:, :start])
    longer = make(mini, source, repainting_start=2, repainting_end=4, **knobs)
    assert longer.audio.shape == (2, 4 * RATE)
    assert np.array_equal(longer.audio[:, :start], source[:, :start])
    before = make(mini, source, repainting_start=-1, repainting_end=0.5, **knobs)
    assert before.audio.shape == (2, source.shape[1] + RATE)
    assert np.array_equal(before.audio[:, 3 * RATE // 2 :], source[:, RATE // 2 :])


def test_repaint_of_a_loud_source_is_not_normalised_outside(mini, source):
    loud = 6 * source
    knobs = {"repainting_start": 1, "repainting_end": 2, "duration": None}
    piece = make(mini, loud, task="repaint", **knobs)
    assert np.array_equal(piece.audio[:, :RATE], loud[:, :RATE])


def test_a_source_is_shortened_to_the_duration(mini, source):
    assert make(mini, source, task="complete", duration=2).audio.shape == (2, 2 * RATE)
    config = GenerateConfig(task="complete", duration=9, steps=1)
    piece, events = finished(mini, config, Sounds(source))
    assert piece.seconds == pytest.approx(3, abs=0.05)
    assert any(isinstance(event, Notice) and event.level == "info" for event in events)


def test_cover_strength_and_noise_matter(mini, source):
    knobs = {"source": source, "task": "cover", "steps": 4}
    full, half, none = (make(mini, cover_strength=value, **knobs) for value in (1.0, 0.5, 0.0))
    assert not np.array_equal(full.audio, half.audio)
    assert not np.array_equal(half.audio, none.audio)
    near = make(mini, cover_noise_strength=0.7, **knobs)
    assert not np.array_equal(full.audio, near.audio)


def test_a_cover_of_strength_0_is_text2music(mini, source):
    cover = make(mini, source, task="cover", cover_strength=0.0)
    assert np.array_equal(cover.audio, make(mini).audio)


def test_a_reference_changes_the_piece(mini, source):
    plain, coloured = make(mini), make(mini, reference=source)
    assert not np.array_equal(plain.audio, coloured.audio)


def test_no_draw_shares_its_seed_with_the_pieces_noise(mini, source, monkeypatch):
    seeds = []

    def heard(vae, audio, *, seed):
        seeds.append(seed)
        return torch.zeros(1, audio.shape[1] // 1920, mini.channels)

    monkeypatch.setattr("acestep.model.scene.encode_audio", heard)
    make(mini, source, source, task="complete", seed=9)
    assert len({9, *seeds}) == 3


def test_a_silent_reference_is_none(mini):
    silent = np.zeros((2, RATE), np.float32)
    config = GenerateConfig(caption="techno, 125 bpm", duration=2, steps=2)
    piece, events = finished(mini, config, Sounds(None, silent))
    assert np.array_equal(piece.audio, make(mini).audio)
    assert "silent" in next(event.message for event in events if isinstance(event, Notice))


@pytest.fixture
def base_model(tmp_path) -> AdaptedParts:
    """The tiny golden model, called a base model."""
    folder = shutil.copytree(GOLDEN / "diffusers_tiny", tmp_path / "tiny-base")
    file = folder / "transformer/config.json"
    config = {**json.loads(file.read_text()), "is_turbo": False, "model_version": "base"}
    file.write_text(json.dumps(config))
    return open_model(str(folder))


def test_base_models_are_guided(base_model):
    apg, adg, plain = (
        make(base_model, steps=3, **knobs)
        for knobs in ({}, {"guidance_method": "adg"}, {"guidance": 1})
    )
    assert apg.facts["guidance"] == 7 and plain.facts["guidance"] == 1
    assert not np.array_equal(apg.audio, plain.audio)
    assert not np.array_equal(apg.audio, adg.audio)
    outside = make(base_model, steps=3, guidance_interval=(0.01, 0.02))
    assert np.array_equal(outside.audio, plain.audio)


@pytest.mark.parametrize(
    ("variant", "expected"), [("turbo", (8, 3, 1)), ("base", (50, 1, 7)), ("sft", (50, 1, 7))]
)
def test_sampling_defaults(variant, expected):
    sampling, notices = choose_sampling(GenerateConfig(), variant)
    assert (sampling.steps, sampling.shift, sampling.scale) == expected and not notices
    config = GenerateConfig(steps=5, shift=2, guidance=1)
    sampling, _ = choose_sampling(config, variant)
    assert (sampling.steps, sampling.shift, sampling.scale) == (5, 2, 1)


def test_guidance_on_turbo_is_announced(mini):
    config = GenerateConfig(duration=0.5, steps=1, guidance=5)
    piece, events = finished(mini, config)
    assert "guidance" in next(event.message for event in events if isinstance(event, Notice))
    assert piece.facts["guidance"] == 1


def test_a_caption_that_was_cut_is_announced(mini):
    config = GenerateConfig(duration=0.5, steps=1, caption="very " * 400 + "long")
    piece, events = finished(mini, config)
    assert "caption" in next(event.message for event in events if isinstance(event, Notice))
    assert piece.prompt.caption_text.endswith("- duration: 0 seconds\n<|endoftext|>\n")


def test_keys_and_metres_are_normalised():
    config = GenerateConfig(keyscale="A#maj", timesignature="3/4", language="EN", lyrics=" ")
    labels, notices = prompt_labels(config, 5)
    assert not notices
    assert (labels.keyscale, labels.timesignature) == ("A# major", "3")
    assert (labels.language, labels.lyrics) == ("en", "[Instrumental]")
    labels, notices = prompt_labels(GenerateConfig(keyscale="H dur", timesignature="x"), 5)
    assert (labels.keyscale, labels.timesignature) == ("H dur", "x") and len(notices) == 2


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"task": "cover"}, ["--task cover"]),
        ({"task": "extract", "track": ["kazoo"]}, ["--task extract", "woodwinds"]),
        ({"guidance_interval": (0.8, 0.2)}, ["--guidance-interval"]),
        ({"cover_strength": 0.5}, ["--cover-strength"]),
        ({"repainting_start": 3}, ["--repainting-start"]),
    ],
)
def test_inputs_that_do_not_fit_together(knobs, said, mini):
    with pytest.raises(ConfigError) as caught:
        make(mini, **knobs)
    assert len(caught.value.problems) == len(said)
    assert all(word in str(caught.value) for word in said)


@pytest.mark.parametrize(("start", "end"), [(2, 1), (5, 6), (-3, -1)])
def test_windows_outside_the_source(start, end, mini, source):
    with pytest.raises(ConfigError, match="window"):
        make(mini, source, task="repaint", repainting_start=start, repainting_end=end)


def test_a_source_without_a_frame(mini):
    with pytest.raises(AudioError, match="1000 samples"):
        make(mini, np.ones((2, 1000), np.float32), task="cover")


def test_a_source_that_is_too_long(mini):
    long = np.ones((2, 601 * RATE), np.float32)
    with pytest.raises(AudioError, match="600 s") as caught:
        make(mini, long, task="cover", duration=None)
    assert "duration" in caught.value.hint
