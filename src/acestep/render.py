"""Prompt and adapters → audio: the core that every verb which makes music shares.

The text and the conditions come from the functions that preprocess uses, so what an adapter was
trained on is what it is played on.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.adapters.stack import AdaptedParts, choose_model
from acestep.config import GenerateConfig
from acestep.data.audio import read_audio, write_audio
from acestep.data.labels import (
    INSTRUMENTAL,
    PromptLabels,
    has_words,
    normalize_key,
    normalize_meter,
    read_key,
    read_language,
    read_meter,
)
from acestep.errors import ConfigError, ModelError
from acestep.events import Event, Notice, Progress
from acestep.model.condition import silence_context
from acestep.model.device import choose_device, choose_dtype
from acestep.model.flow import TURBO_STEPS, schedule
from acestep.model.prompt import Prompt, instruction_for
from acestep.model.sample import (
    Condition,
    Guidance,
    Sampling,
    denoise,
    draw_noise,
    other_seed,
    start_from_source,
    usual_sampling,
)
from acestep.model.scene import (
    Source,
    TaskWindow,
    encode_prompts,
    encode_reference,
    encode_source,
    null_condition,
    num_frames,
    task_context,
)
from acestep.model.tasks import (
    LONGEST_SECONDS,
    splice,
    task_problems,
    track_name,
    within_full_scale,
)
from acestep.model.vae import decode_audio

DEFAULT_SECONDS = 30.0


@dataclass(frozen=True)
class Sounds:
    """Audio that goes in, float32 ``(2, samples)`` at 48 kHz."""

    source: np.ndarray | None = None
    reference: np.ndarray | None = None


@dataclass(frozen=True)
class Rendition:
    """A finished piece: ``audio`` is float32 ``(2, samples)``, ``facts`` say how it was made.

    ``latents`` ``[T, C]`` (float32, CPU) are what the audio was decoded from.
    """

    audio: np.ndarray = field(repr=False)
    sample_rate: int
    seed: int
    prompt: Prompt = field(repr=False)
    facts: dict[str, Any] = field(repr=False)
    latents: Tensor = field(repr=False)

    @property
    def seconds(self) -> float:
        return self.audio.shape[1] / self.sample_rate

    def save(self, path: str | Path) -> Path:
        """Write the audio as the suffix says: .flac, .wav, .mp3, .ogg or .opus.

        Raises ``AudioError`` if the format is not known or the file cannot be written.
        """
        path = Path(path).expanduser()
        write_audio(path, self.audio, self.sample_rate)
        return path


@dataclass(frozen=True)
class Scene:
    """One piece before the first step: what the transformer is told, and the source if any."""

    condition: Condition
    later: Condition | None
    guidance: Guidance | None
    source: Source | None
    frames: int
    samples: int
    prompt: Prompt


def render(
    parts: AdaptedParts, config: GenerateConfig, sounds: Sounds
) -> Generator[Event, None, Rendition]:
    """Yield what happens, and return the piece (``rendition = yield from render(…)``).

    Of ``config`` only what describes the piece is read; the model, its adapters and the audio are
    in ``parts`` and ``sounds``. The same three give the same piece, bit for bit on a CPU, with or
    without offload. Raises ``ConfigError`` for inputs that do not fit together and ``ModelError``
    when memory runs out.
    """
    problems = request_problems(config, has_source=sounds.source is not None)
    if problems:
        raise ConfigError(problems)
    try:
        scene = yield from set_scene(parts, config, sounds)
        return (yield from play(parts, config, scene))
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"out of memory on {parts.device}: {str(error).splitlines()[0]}",
            hint="ask for a shorter duration, or use --offload",
        ) from error


def play(
    parts: AdaptedParts, config: GenerateConfig, scene: Scene
) -> Generator[Event, None, Rendition]:
    """The second half of :func:`render`: from the scene to the piece; yields the steps.

    It takes the transformer and the decoder. Raises ``torch.OutOfMemoryError``.
    """
    # Denoise
    sampling, _ = choose_sampling(config, parts.model.variant)
    times = schedule(sampling.steps, sampling.shift)
    latents = draw_noise(config.seed, scene.frames, parts.channels)
    if scene.source is not None:
        latents, times = start_from_source(
            scene.source.latents, latents, times, config.cover_noise_strength
        )
    steps = denoise(
        parts.transformer(),
        latents,
        times,
        scene.condition,
        guidance=scene.guidance,
        later=scene.later,
        switch_step=int(len(times) * config.cover_strength),
    )
    yield Progress("generate", 0, len(times), "steps")
    for done, cleaner in enumerate(steps, start=1):
        latents = cleaner
        yield Progress("generate", done, len(times), "steps")

    # Decode
    made = decode_audio(parts.vae(), latents)[:, : scene.samples]
    if config.task == "repaint" and scene.source is not None and scene.source.window is not None:
        audio = splice(scene.source.audio, made, scene.source.window, parts.rate)
    else:
        audio = within_full_scale(made)
    facts = {
        **render_facts(parts, config),
        "seconds": round(audio.shape[1] / parts.rate, 3),
        "caption_text": scene.prompt.caption_text,
        "lyrics_text": scene.prompt.lyrics_text,
    }
    return Rendition(audio, parts.rate, config.seed, scene.prompt, facts, latents[0].cpu())


def set_scene(
    parts: AdaptedParts, config: GenerateConfig, sounds: Sounds
) -> Generator[Event, None, Scene]:
    """The first half of :func:`render`: encode source, reference and text, and yield notices.

    The transformer is not touched. A scene can be played any number of times. Raises
    ``torch.OutOfMemoryError`` beside what ``render`` raises for sounds that do not fit.
    """
    sampling, notices = choose_sampling(config, parts.model.variant)
    yield from notices
    yield from (Notice(sentence) for sentence in parts.missing_tags(config.caption))
    source = reference = None
    if sounds.source is not None:
        audio = _shortened(sounds.source, config.duration, parts.rate)
        window = TaskWindow(config.repainting_start, config.repainting_end)
        source = encode_source(parts, audio, config.task, window, other_seed(config.seed, 1))
    if sounds.reference is not None:
        reference = encode_reference(parts, sounds.reference, other_seed(config.seed, 2))
        if reference is None:
            yield Notice("the reference is silent: its timbre is that of no reference")

    if source is None:
        seconds = config.duration or DEFAULT_SECONDS
        frames = num_frames(seconds)
        samples = frames * parts.hop
    else:
        seconds = source.audio.shape[1] / parts.rate
        frames, samples = source.latents.shape[1], source.audio.shape[1]
        if config.duration and config.duration > seconds:
            yield Notice(f"the source has {seconds:.1f} s, so has the piece", "info")
    labels, notices = prompt_labels(config, seconds)
    yield from notices

    instructions = [instruction_for(config.task, [track_name(track) for track in config.track])]
    if config.cover_strength < 1:
        instructions.append(instruction_for("text2music"))
    prompts, states = encode_prompts(parts, labels, instructions, reference)
    yield from (Notice(sentence) for sentence in prompts[0].cut)
    guidance = None
    if sampling.scale > 1:
        guidance = Guidance(
            null_condition(parts), sampling.scale, config.guidance_method, config.guidance_interval
        )
    silent = silence_context(parts.silence, frames, config.chunk_mask)
    contexts = [silent]
    if source is not None:
        contexts.insert(0, task_context(parts, config.task, source, config.chunk_mask))
    told = [
        Condition(state.to(parts.device), context.to(parts.device))
        for state, context in zip(states, contexts, strict=False)
    ]
    later = told[1] if len(told) > 1 else None
    return Scene(told[0], later, guidance, source, frames, samples, prompts[0])


def request_problems(config: GenerateConfig, *, has_source: bool) -> list[str]:
    """Which knobs do not go together, a sentence each."""
    window = TaskWindow(config.repainting_start, config.repainting_end)
    problems = task_problems(config.task, config.track, has_source, window.given)
    low, high = config.guidance_interval
    if not 0 <= low <= high <= 1:
        problems.append(f"--guidance-interval {low:g} {high:g}: must be 0 ≤ low ≤ high ≤ 1")
    for knob, value, idle in (
        ("--cover-strength", config.cover_strength, 1),
        ("--cover-noise-strength", config.cover_noise_strength, 0),
    ):
        if value != idle and config.task != "cover":
            problems.append(f"{knob} {value:g}: only the task cover has it, not {config.task}")
    return problems


def choose_sampling(config: GenerateConfig, variant: str) -> tuple[Sampling, list[Notice]]:
    """Steps, shift and guidance for a variant of the model, and what to say about them.

    turbo: 8 steps, shift 3, never guided; base and sft: 50 steps, shift 1, guidance 7.
    """
    notices = []
    usual = usual_sampling(variant)
    scale = usual.scale
    if variant != "turbo":
        scale = usual.scale if config.guidance is None else config.guidance
    elif config.guidance is not None and config.guidance > 1:
        notices.append(Notice(f"guidance {config.guidance:g} is ignored: a turbo model has none"))
    if variant == "turbo" and config.steps is not None and config.steps > TURBO_STEPS:
        notices.append(
            Notice(f"{config.steps} steps: a turbo model was made for {TURBO_STEPS}", "info")
        )
    return Sampling(config.steps or usual.steps, config.shift or usual.shift, scale), notices


def prompt_labels(config: GenerateConfig, seconds: float) -> tuple[PromptLabels, list[Notice]]:
    """The labels the prompt is made of; a key or metre that is not understood stays as it is."""
    notices = []
    key = read_key(_clean(config.keyscale or ""))
    metre = read_meter(_clean(config.timesignature or ""))
    if key and normalize_key(key) is None:
        notices.append(Notice(f"key {key!r} is not one the model knows, such as Bb major or Am"))
    if metre and normalize_meter(metre) is None:
        notices.append(Notice(f"time signature {metre!r} is not one the model knows: 2, 3, 4, 6"))
    labels = PromptLabels(
        caption=_clean(config.caption),
        lyrics=_clean(config.lyrics) if has_words(config.lyrics) else INSTRUMENTAL,
        bpm=config.bpm,
        keyscale=key,
        timesignature=metre,
        language=read_language(_clean(config.language)),
        seconds=seconds,
    )
    return labels, notices


def render_facts(parts: AdaptedParts, config: GenerateConfig) -> dict[str, Any]:
    """How the piece is made: model, device, adapters, sampler, seed."""
    sampling, _ = choose_sampling(config, parts.model.variant)
    return {
        "model": parts.model.name,
        "device": str(parts.device),
        "precision": str(parts.dtype).removeprefix("torch."),
        "adapters": parts.scales(),
        "task": config.task,
        "steps": sampling.steps,
        "shift": sampling.shift,
        "guidance": sampling.scale,
        "seed": config.seed,
    }


def open_parts(config: GenerateConfig) -> tuple[AdaptedParts, list[Notice]]:
    """The base model with the config's adapters on it, and what is to be said about them.

    Without a named model it is the one that the first adapter was trained on, if that is here.
    """
    adapters, model = choose_model(config.model, config.lora)
    device = choose_device(config.device)
    dtype = choose_dtype(device, config.precision)
    parts = AdaptedParts(model, device, dtype, offload=config.offload)
    notices = []
    scales = [*config.lora_scale, *[1.0] * len(adapters)]
    for (name, adapter), scale in zip(adapters.items(), scales, strict=False):
        notices += [Notice(line) for line in parts.add(adapter, name, scale)]
    return parts, notices


def read_sound(path: Path, seconds: float | None = None) -> np.ndarray:
    """Audio ``(2, samples)`` at 48 kHz: its first ``seconds``, or little more than can be used."""
    return read_audio(path.expanduser(), seconds=seconds or LONGEST_SECONDS + 1)


def _shortened(audio: np.ndarray, seconds: float | None, rate: int) -> np.ndarray:
    return audio if seconds is None else audio[:, : round(seconds * rate)]


def _clean(words: str) -> str:
    """Text that UTF-8 can hold."""
    return words.encode("utf-8", "replace").decode("utf-8")
