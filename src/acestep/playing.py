"""From scenes to pieces: denoise, several side by side where that pays, and decode."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.adapters.stack import AdaptedParts
from acestep.config import GenerateConfig
from acestep.data.audio import write_audio
from acestep.events import Event, Notice, Progress
from acestep.model.device import free_memory
from acestep.model.flow import TURBO_STEPS, schedule
from acestep.model.prompt import Prompt
from acestep.model.sample import (
    Condition,
    Guidance,
    Sampling,
    denoise,
    draw_noise,
    side_by_side,
    start_from_source,
    times_from,
    usual_sampling,
)
from acestep.model.scene import Source
from acestep.model.tasks import splice, within_full_scale
from acestep.model.vae import decode_audio

PATCHES_AT_ONCE = 6_000  # in one pass on a GPU: beyond, time grows with every further patch


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
    sampling: Sampling
    source: Source | None
    frames: int
    samples: int
    prompt: Prompt


@dataclass(frozen=True)
class Piece:
    """What is to be played: the scene, and the knobs that say how."""

    config: GenerateConfig
    scene: Scene

    @property
    def times(self) -> list[float]:
        """The times to go through, from the noise or from the source under it."""
        sampling, scene = self.scene.sampling, self.scene
        strength = 0 if scene.source is None else self.config.cover_noise_strength
        return times_from(schedule(sampling.steps, sampling.shift), strength)

    @property
    def way(self) -> tuple[object, ...]:
        """What pieces have in common that can be sampled side by side."""
        config, scene = self.config, self.scene
        guided = scene.guidance and (scene.guidance.method, scene.guidance.interval)
        strengths = (config.cover_strength, config.cover_noise_strength)
        shape = (scene.frames, scene.source is None, scene.later is None)
        return (scene.sampling, guided, strengths, shape)


def play_all(parts: AdaptedParts, pieces: Sequence[Piece]) -> Iterator[Event | Rendition]:
    """Play pieces in their order: steps, and each piece when it is finished. The second half of
    :func:`acestep.render.render_all`.

    Neighbours that go the same way are sampled side by side where that pays
    (:func:`pieces_at_once`), and are then what they are alone to rounding. With offload all are
    sampled before any is decoded, so that each part comes to the device once. Raises
    ``torch.OutOfMemoryError`` where one piece alone is too much.
    """
    sampled: list[tuple[Piece, Tensor]] = []
    for item in _sample_all(parts, pieces):
        if not isinstance(item, tuple):
            yield item
            continue
        sampled.append(item)
        if not parts.offload:
            yield _decode(parts, *sampled.pop())
    for piece, latents in sampled:
        yield _decode(parts, piece, latents)


def pieces_at_once(parts: AdaptedParts, scene: Scene) -> int:
    """How many pieces go through the transformer together.

    On a CUDA device as many as fill it; elsewhere one at a time. On a CPU a batch was measured to
    save a tenth of the sampler's time for ten seconds of music, which is less than a twentieth of
    the whole, and nothing from thirty seconds on; and one at a time is the same to the bit.
    """
    if parts.device.type != "cuda":
        return 1
    patches = -(-scene.frames // parts.patch)
    return max(1, PATCHES_AT_ONCE // (patches * (1 if scene.guidance is None else 2)))


def _sample_all(
    parts: AdaptedParts, pieces: Sequence[Piece]
) -> Iterator[Event | tuple[Piece, Tensor]]:
    """Each piece with its latents ``[1, T, C]``; of a batch that is too much, half is tried."""
    waiting, most, done = list(pieces), len(pieces), 0
    total = sum(len(piece.times) for piece in pieces)
    while waiting:
        most = min(most, pieces_at_once(parts, waiting[0].scene))
        group = [piece for piece in waiting[:most] if piece.way == waiting[0].way]
        latents = None
        try:
            latents = yield from _sample(parts, group, done, total)
        except torch.OutOfMemoryError:
            if len(group) == 1:
                raise
        if latents is None:
            most = len(group) // 2
            free_memory(parts.device)
            yield Notice(f"{len(group)} pieces side by side need too much memory: {most} go on")
            continue
        yield from zip(group, latents.split(1), strict=True)
        done += len(group) * len(group[0].times)
        del waiting[: len(group)]


def _sample(
    parts: AdaptedParts, group: Sequence[Piece], done: int, total: int
) -> Generator[Event, None, Tensor]:
    """Latents ``[B, T, C]`` of pieces that go one way."""
    latents = torch.cat([_begin(parts, piece) for piece in group])
    first, times = group[0], group[0].times
    laters = [piece.scene.later for piece in group if piece.scene.later is not None]
    yield Progress("generate", done, total, "steps")
    steps = denoise(
        parts.transformer(),
        latents,
        times,
        side_by_side([piece.scene.condition for piece in group]),
        guidance=first.scene.guidance,
        later=side_by_side(laters) if laters else None,
        switch_step=int(len(times) * first.config.cover_strength),
    )
    for step, cleaner in enumerate(steps, start=1):
        latents = cleaner
        yield Progress("generate", done + step * len(group), total, "steps")
    return latents


def _begin(parts: AdaptedParts, piece: Piece) -> Tensor:
    """The first latents ``[1, T, C]``."""
    config, scene = piece.config, piece.scene
    noise = draw_noise(config.seed, scene.frames, parts.channels)
    if scene.source is None:
        return noise
    times = schedule(scene.sampling.steps, scene.sampling.shift)
    return start_from_source(scene.source.latents, noise, times, config.cover_noise_strength)[0]


def _decode(parts: AdaptedParts, piece: Piece, latents: Tensor) -> Rendition:
    config, scene = piece.config, piece.scene
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
