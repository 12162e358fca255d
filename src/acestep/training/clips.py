"""Training samples on their device, and which frames of them are trained on or held out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from acestep.data.tensors import Sample
from acestep.training.draws import SPLIT, generator_for

FEW_SONGS = 10  # below this, whole held-out songs would cost too much of the data
RESIDENT_SHARE = 0.25  # of the free device memory that samples may take


@dataclass(frozen=True)
class Clip:
    """One sample with a leading batch dimension of 1; ``frames`` are those whose loss counts."""

    name: str
    song: str
    latents: Tensor
    condition: Tensor
    context: Tensor
    frames: slice

    def to(self, device: torch.device) -> "Clip":
        """The clip on the computing device; a copy from pinned memory does not wait."""
        latents, condition, context = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.latents, self.condition, self.context)
        )
        return replace(self, latents=latents, condition=condition, context=context)


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out; ``how`` says it in words."""

    train: list[Clip]
    held_out: list[Clip]
    how: str


def make_clips(samples: Iterable[Sample], device: torch.device, dtype: torch.dtype) -> list[Clip]:
    """Samples as clips in the model's dtype (latents stay float32), on the device if they fit."""
    clips = []
    for sample in samples:
        frames = slice(0, sample.latents.shape[0])
        latents, condition, context = (
            sample.latents[None],
            sample.condition[None].to(dtype),
            sample.context[None].to(dtype),
        )
        clips.append(Clip(sample.name, sample.song, latents, condition, context, frames))
    if device.type == "cpu":
        return clips
    if _bytes(clips) < RESIDENT_SHARE * _free_bytes(device):
        return [clip.to(device) for clip in clips]
    return [_pinned(clip) for clip in clips] if device.type == "cuda" else clips


def split_clips(clips: list[Clip], share: float, seed: int) -> Split:
    """Hold out whole songs; with fewer than ten songs, the last part of each clip.

    A held-out part is still heard by the model as surroundings, in training too, so that each clip
    keeps its true length, text and context; only its loss never counts in training.
    """
    if share == 0:
        return Split(clips, [], "nothing")
    songs = sorted({clip.song for clip in clips})
    if len(songs) < FEW_SONGS:
        cut = {
            clip.name: min(clip.frames.stop - 1, round(clip.frames.stop * (1 - share)))
            for clip in clips
        }
        train = [replace(clip, frames=slice(0, max(1, cut[clip.name]))) for clip in clips]
        held = [
            replace(clip, frames=slice(max(1, cut[clip.name]), clip.frames.stop))
            for clip in clips
            if clip.frames.stop > 1
        ]
        number = "1 song" if len(songs) == 1 else f"{len(songs)} songs"
        return Split(train, held, f"the last {100 * share:g}% of each (only {number})")
    count = min(len(songs) - 1, max(1, round(share * len(songs))))
    order = torch.randperm(len(songs), generator=generator_for(seed, SPLIT)).tolist()
    chosen = {songs[index] for index in order[:count]}
    train = [clip for clip in clips if clip.song not in chosen]
    held = [clip for clip in clips if clip.song in chosen]
    return Split(train, held, f"{count} of {len(songs)} songs")


def _bytes(clips: list[Clip]) -> int:
    return sum(
        t.numel() * t.element_size()
        for clip in clips
        for t in (clip.latents, clip.condition, clip.context)
    )


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()


def _pinned(clip: Clip) -> Clip:
    return replace(
        clip,
        latents=clip.latents.pin_memory(),
        condition=clip.condition.pin_memory(),
        context=clip.context.pin_memory(),
    )
