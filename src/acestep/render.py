"""Prompt and adapters → audio: the core that every verb which makes music shares.

The text and the conditions come from the functions that preprocess uses, so what an adapter was
trained on is what it is played on.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from acestep.adapters.stack import AdaptedParts, choose_model
from acestep.config import GenerateConfig
from acestep.data.audio import read_audio
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
from acestep.events import Event, Notice
from acestep.model.condition import silence_context
from acestep.model.device import choose_device, choose_dtype
from acestep.model.prompt import instruction_for
from acestep.model.sample import Condition, Guidance, other_seed
from acestep.model.scene import (
    TaskWindow,
    encode_prompts,
    encode_reference,
    encode_source,
    null_condition,
    num_frames,
    task_context,
)
from acestep.model.tasks import LONGEST_SECONDS, task_problems, track_name
from acestep.playing import Piece, Rendition, Scene, choose_sampling, play_all

DEFAULT_SECONDS = 30.0
SCENES_AT_ONCE = 16  # encoded before the first of them is played: sources take memory


@dataclass(frozen=True)
class Sounds:
    """Audio that goes in, float32 ``(2, samples)`` at 48 kHz."""

    source: np.ndarray | None = None
    reference: np.ndarray | None = None


def render_all(
    parts: AdaptedParts, configs: Sequence[GenerateConfig], sounds: Sounds
) -> Iterator[Event | Rendition]:
    """Pieces in order: what happens, and each when it is finished.

    Of a config only what describes the piece is read; the model, its adapters and the audio are in
    ``parts`` and ``sounds``. The same three give the same piece, bit for bit on a CPU, with or
    without offload. Raises ``ConfigError`` for inputs that do not fit together and ``ModelError``
    when memory runs out.

    Where configs differ in the seed alone and no sound goes in, the text is encoded once. Pieces go
    through the transformer side by side where that pays: :func:`acestep.playing.play_all`.
    """
    for config in configs:
        problems = request_problems(config, has_source=sounds.source is not None)
        if problems:
            raise ConfigError(problems)
    said: set[Event] = set()
    with memory_is_named(parts):
        for first in range(0, len(configs), SCENES_AT_ONCE):
            block = configs[first : first + SCENES_AT_ONCE]
            scenes = yield from set_scenes(parts, block, sounds, said)
            yield from play_all(parts, list(map(Piece, block, scenes)))


@contextmanager
def memory_is_named(parts: AdaptedParts) -> Iterator[None]:
    """Raise ``ModelError`` where memory runs out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"out of memory on {parts.device}: {str(error).splitlines()[0]}",
            hint="ask for a shorter duration, or use --offload",
        ) from error


def set_scenes(
    parts: AdaptedParts, configs: Sequence[GenerateConfig], sounds: Sounds, said: set[Event]
) -> Generator[Event, None, list[Scene]]:
    """A scene for each config, the same one for all that differ in the seed alone.

    Sources and references are encoded with noise of the seed: with them each has its own. What has
    been ``said`` is not yielded again.
    """
    scenes: list[Scene] = []
    known: dict[str, Scene] = {}
    silent = sounds.source is None and sounds.reference is None
    for config in configs:
        prompt = config.model_dump_json(exclude={"seed", "count", "output"})
        if not silent or prompt not in known:
            steps = set_scene(parts, config, sounds)
            known[prompt] = yield from _once(steps, said)
        scenes.append(known[prompt])
    return scenes


def _once(steps: Generator[Event, None, Scene], said: set[Event]) -> Generator[Event, None, Scene]:
    """Pass on what has not been said."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if event not in said:
            said.add(event)
            yield event


def set_scene(
    parts: AdaptedParts, config: GenerateConfig, sounds: Sounds
) -> Generator[Event, None, Scene]:
    """The first half of :func:`render_all`: encode source, reference and text, and yield notices.

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
    return Scene(told[0], later, guidance, sampling, source, frames, samples, prompts[0])


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
