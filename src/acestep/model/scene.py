"""Everything the transformer is told about one piece: text, timbre, source.

These functions load the parts they need, one after the other, and leave the transformer alone.
Text goes the way it goes in preprocess: ``build_prompt → text_states → encode_condition``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from acestep.data.labels import PromptLabels
from acestep.errors import AudioError, ConfigError
from acestep.model.condition import encode_condition, silence_context, text_states
from acestep.model.flow import frames_in
from acestep.model.parts import Parts
from acestep.model.prompt import Prompt, build_prompt, instruction_for
from acestep.model.tasks import (
    LONGEST_SECONDS,
    WINDOW_TASKS,
    Window,
    code_hints,
    extend_source,
    reference_clip,
    source_context,
    whole_frames,
    window_frames,
    window_problems,
)
from acestep.model.vae import encode_audio


@dataclass(frozen=True)
class Source:
    """A task's source: audio ``(2, samples)``, the window in it (samples), latents ``[1, T, C]``.

    Where the window reaches beyond the song, the audio is already extended with silence.
    """

    audio: np.ndarray
    window: Window | None
    latents: Tensor


@dataclass(frozen=True)
class TaskWindow:
    """The part to make anew, in seconds of the source; ``end`` None is the source's end."""

    start: float = 0.0
    end: float | None = None

    @property
    def given(self) -> bool:
        return self.start != 0 or self.end is not None


def text2music_conditions(
    parts: Parts, labels: PromptLabels, frames: int, chunk_mask: float = 1.0
) -> tuple[Tensor, Tensor]:
    """What the transformer is told for text2music: states ``[1, L, H]``, context ``[1, T, 2C]``.

    Bit for bit what preprocess stores for a song with these labels and this many frames.
    """
    _, (states,) = encode_prompts(parts, labels, [instruction_for("text2music")])
    return states, silence_context(parts.silence, frames, chunk_mask)


def encode_prompts(
    parts: Parts,
    labels: PromptLabels,
    instructions: Sequence[str],
    reference: Tensor | None = None,
) -> tuple[list[Prompt], list[Tensor]]:
    """A prompt and condition states ``[1, L, H]`` for the same labels under each instruction.

    ``reference`` are 750 latents of a clip whose timbre to take; without one it is silence.
    """
    tokenizer, text_encoder = parts.text_encoder()
    prompts = [build_prompt(labels, tokenizer, instruction) for instruction in instructions]
    texts = [text_states(text_encoder, prompt, parts.device) for prompt in prompts]
    encoder = parts.condition_encoder()
    if reference is not None:
        reference = reference.to(parts.device, parts.dtype)
    return prompts, [
        encode_condition(encoder, *text, reference, is_xl=parts.model.is_xl) for text in texts
    ]


def encode_source(
    parts: Parts, audio: np.ndarray, task: str, window: TaskWindow, seed: int
) -> Source:
    """Encode a task's source ``(2, samples)``; repaint and lego may have a window in it.

    Raises ``ConfigError`` for a window that is empty or outside the source, ``AudioError`` for a
    source shorter than one latent frame or longer than ten minutes.
    """
    if audio.shape[1] < parts.hop:
        raise AudioError(
            f"the source has {audio.shape[1]} samples; one latent frame takes {parts.hop}",
            hint="give at least a second of audio",
        )
    if audio.shape[1] > LONGEST_SECONDS * parts.rate:
        raise AudioError(
            f"the source is longer than {LONGEST_SECONDS} s",
            hint="set a duration: the source's first seconds are used",
        )
    if task not in WINDOW_TASKS or not (window.given or task == "repaint"):
        return Source(audio, None, encode_audio(parts.vae(), audio, seed=seed))
    problems = window_problems(window.start, window.end, audio.shape[1] / parts.rate)
    if problems:
        raise ConfigError(problems)
    audio, inside = extend_source(audio, window.start, window.end, parts.rate)
    latents = encode_audio(parts.vae(), whole_frames(audio, parts.hop), seed=seed)
    return Source(audio, inside, latents)


def encode_reference(parts: Parts, audio: np.ndarray, seed: int) -> Tensor | None:
    """Latents ``[1, 750, C]`` of thirty seconds of a reference ``(2, samples)``.

    A silent one gives None: the original takes it for no reference at all.
    """
    if not audio.any():
        return None
    return encode_audio(parts.vae(), reference_clip(audio, seed, parts.rate), seed=seed)


def task_context(parts: Parts, task: str, source: Source, chunk_mask: float) -> Tensor:
    """Context ``[1, T, 2C]`` of a task with a source (the table in :mod:`acestep.model.tasks`)."""
    latents = source.latents.to(parts.dtype)
    window = None
    if task == "cover":
        tokenizer, detokenizer = parts.audio_tokenizer()
        latents = code_hints(
            tokenizer, detokenizer, latents.to(parts.device), parts.silence.to(parts.device)
        ).to("cpu")
    elif source.window is not None:
        window = window_frames(source.window, source.audio.shape[1], parts.hop)
    return source_context(latents, parts.silence, window=window, chunk_mask=chunk_mask)


def null_condition(parts: Parts) -> Tensor:
    """The learned condition "nothing said" ``[1, 1, H]``, for guidance."""
    return parts.condition_encoder().get_parameter("null_condition_emb").detach()


def num_frames(seconds: float) -> int:
    """Latent frames of a new piece: the whole ones in ``seconds``, and one at least.

    Part of a frame at the end is dropped, as the original does and as encoding a song of that
    length does: a song and its prompt are trained on and generated with the same context.
    """
    return max(1, frames_in(seconds))
