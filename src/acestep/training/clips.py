"""Training samples on their device, and which frames of them are trained on or held out."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from acestep.data.tensors import Sample
from acestep.errors import TensorError
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.training.draws import SPLIT, generator_for

FEW_SONGS = 10  # below this, whole held-out songs would cost too much of the data
RESIDENT_SHARE = 0.25  # of the free device memory that samples may take
_ROUNDING = 1e-6  # seconds


@dataclass(frozen=True)
class Clip:
    """One sample with a leading batch dimension of 1; ``frames`` are those whose loss counts.

    ``origin`` is the song that this one is a variant of, if it is one; ``labels`` are the song's.
    With ``on_disk`` the tensors are mapped files: :meth:`to` reads them, each time it is called,
    and gives condition and context that dtype.
    """

    name: str
    song: str
    latents: Tensor
    condition: Tensor
    context: Tensor
    frames: slice
    origin: str = ""
    speed: float = 1.0
    start: float = 0.0
    labels: dict[str, Any] = field(default_factory=dict, repr=False)
    on_disk: torch.dtype | None = None

    @property
    def root(self) -> str:
        """The song that this clip and all its variants belong to."""
        return self.origin or self.song

    def times(self, frames: slice) -> tuple[float, float]:
        """Where some of its frames lie in the root song, in seconds."""
        first, last = (
            (self.start + place / FRAMES_PER_SECOND) * self.speed
            for place in (frames.start, frames.stop)
        )
        return first, last

    def to(self, device: torch.device) -> "Clip":
        """The clip on the computing device; a copy from pinned memory does not wait.

        Raises ``TensorError`` if it comes from the disk and is not finite.
        """
        clip = self._read(device) if self.on_disk else self
        latents, condition, context = (
            tensor.to(device, non_blocking=True)
            for tensor in (clip.latents, clip.condition, clip.context)
        )
        return replace(clip, latents=latents, condition=condition, context=context)

    def _read(self, device: torch.device) -> "Clip":
        """The clip in memory, where kernels like it, or in pinned memory for a CUDA device."""
        dtypes = (self.latents.dtype, self.on_disk, self.on_disk)
        tensors = [
            tensor.to(dtype, copy=True)
            for tensor, dtype in zip(
                (self.latents, self.condition, self.context), dtypes, strict=True
            )
        ]
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
            raise TensorError(
                f"{self.name} holds NaN or Inf", hint="encode it again with acestep preprocess"
            )
        latents, condition, context = tensors
        clip = replace(self, latents=latents, condition=condition, context=context, on_disk=None)
        return _pinned(clip) if device.type == "cuda" else clip


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out; ``how`` says it in words."""

    train: list[Clip]
    held_out: list[Clip]
    how: str


def make_clips(samples: Iterable[Sample], device: torch.device, dtype: torch.dtype) -> list[Clip]:
    """Samples as clips in the model's dtype (latents stay float32), on the device if they fit.

    Those whose tensors are on disk stay there until a step needs them.
    """
    clips = [_clip(sample, dtype) for sample in samples]
    on_disk = any(clip.on_disk for clip in clips)
    if device.type == "cpu" or on_disk:
        return clips
    if _bytes(clips) < RESIDENT_SHARE * _free_bytes(device):
        return [clip.to(device) for clip in clips]
    return [_pinned(clip) for clip in clips] if device.type == "cuda" else clips


def _clip(sample: Sample, dtype: torch.dtype) -> Clip:
    latents = sample.latents[None]
    texts = (sample.condition[None], sample.context[None])
    if not sample.mapped:
        texts = (texts[0].to(dtype), texts[1].to(dtype))
    return Clip(
        sample.name,
        sample.song,
        latents,
        *texts,
        frames=slice(0, latents.shape[1]),
        origin=sample.origin,
        speed=sample.speed,
        start=sample.start,
        labels=sample.metadata,
        on_disk=dtype if sample.mapped else None,
    )


def split_clips(clips: list[Clip], share: float, seed: int) -> Split:
    """Hold out whole songs; with fewer than ten songs, the last part of each clip.

    A held-out part is still heard by the model as surroundings, in training too, so that each clip
    keeps its true length, text and context; only its loss never counts in training.

    Variants of a song are no songs of their own: nothing of what is held out is trained on in any
    of them, and only the song itself is evaluated (if it is not there, the first of its variants).
    """
    if share == 0:
        return Split(clips, [], "nothing")
    songs = sorted({clip.root for clip in clips})
    variants = ", and of its variants" if any(clip.origin for clip in clips) else ""
    if len(songs) < FEW_SONGS:
        number = "1 song" if len(songs) == 1 else f"{len(songs)} songs"
        how = f"the last {100 * share:g}% of each{variants} (only {number})"
        return _last_parts(clips, share, how)
    count = min(len(songs) - 1, max(1, round(share * len(songs))))
    order = torch.randperm(len(songs), generator=generator_for(seed, SPLIT)).tolist()
    chosen = {songs[index] for index in order[:count]}
    train = [clip for clip in clips if clip.root not in chosen]
    held = [clip for clip in _judges(clips) if clip.root in chosen]
    with_them = ", with their variants" if variants else ""
    return Split(train, held, f"{count} of {len(songs)} songs{with_them}")


def _last_parts(clips: list[Clip], share: float, how: str) -> Split:
    """Hold out the last part of each judge, and the same music in the variants."""
    judges = _judges(clips)
    names = {clip.name for clip in judges}
    held = []
    for clip in judges:
        end = clip.frames.stop
        cut = max(1, min(end - 1, round(end * (1 - share))))
        if cut < end:
            held.append(replace(clip, frames=slice(cut, end)))
    train = []
    for clip in clips:
        secret = [
            other.times(other.frames)
            for other in held
            if other.root == clip.root and (other.name == clip.name or clip.name not in names)
        ]
        frames = _longest_outside(clip, secret)
        if frames.stop > frames.start:
            train.append(replace(clip, frames=frames))
    return Split(train, held, how)


def _judges(clips: list[Clip]) -> list[Clip]:
    """The clips that are evaluated: of each song itself, or of one variant where it is missing."""
    judge: dict[str, str] = {}
    for clip in clips:
        best = judge.setdefault(clip.root, clip.song)
        if not clip.origin or (best != clip.root and clip.song < best):
            judge[clip.root] = clip.song
    return [clip for clip in clips if judge[clip.root] == clip.song]


def _longest_outside(clip: Clip, secret: list[tuple[float, float]]) -> slice:
    """The longest run of a clip's frames that touches none of these times of its root song."""
    end = clip.frames.stop
    edges = (clip.start + torch.arange(end + 1, dtype=torch.float64) / FRAMES_PER_SECOND) * (
        clip.speed
    )
    open_ = torch.ones(end, dtype=torch.bool)
    for first, last in secret:
        open_ &= (edges[1:] <= first + _ROUNDING) | (edges[:-1] >= last - _ROUNDING)
    best = slice(0, 0)
    start = 0
    for place, is_open in enumerate([*open_.tolist(), False]):
        if not is_open:
            if place - start > best.stop - best.start:
                best = slice(start, place)
            start = place + 1
    return best


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
