"""Clips that go through the model together: who with whom, and padded to one length.

The loss of each clip, and its gradient, is what it would be alone: attention sees no padding
(:func:`acestep.speed.attention.clip_lengths`) and the loss counts none. Only the adapter's dropout
draws other masks, since it draws them for the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acestep.speed.padding import together, upload
from acestep.training.clips import Clip
from acestep.training.draws import Draw


@dataclass(frozen=True)
class Batch:
    """Padded clips with their draws.

    ``data``, ``noise`` ``[B, T, C]`` float32, ``time`` ``[B]``, ``condition`` ``[B, L, H]``,
    ``context`` ``[B, T, 2C]``; ``weights`` ``[B, T]`` gives each frame that counts its share of its
    clip's mean. ``patches`` and ``conditions`` are the true lengths.
    """

    data: Tensor
    noise: Tensor
    time: Tensor
    condition: Tensor
    context: Tensor
    weights: Tensor
    patches: tuple[int, ...]
    conditions: tuple[int, ...]


def patches_of(clip: Clip, patch: int) -> int:
    """How many patches a clip becomes; an odd frame makes one of its own."""
    return -(-clip.latents.shape[1] // patch)


def groups(lengths: Sequence[int], at_once: int) -> list[list[int]]:
    """Places of clips that go together: the longest first, like with like, in as few groups as
    ``at_once`` patches allow, padding counted. A clip that is longer goes alone; 0: each alone, in
    the order given."""
    if at_once == 0:
        return [[place] for place in range(len(lengths))]
    found: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        longest = lengths[found[-1][0]] if found else 0
        if found and (len(found[-1]) + 1) * longest <= at_once:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def gather(clips: Sequence[Clip], draws: Sequence[Draw], nothing: Tensor, patch: int) -> Batch:
    """Clips that are on their device, and their draws, as one batch.

    ``nothing`` is the condition of no prompt, ``[1, 1, H]``, for those whose condition is dropped.
    """
    conditions = [
        nothing.expand_as(clip.condition) if draw.drop_condition else clip.condition
        for clip, draw in zip(clips, draws, strict=True)
    ]
    device = clips[0].latents.device
    return Batch(
        data=together([clip.latents for clip in clips]),
        noise=upload(together([draw.noise for draw in draws]), device),
        time=upload(torch.cat([draw.time for draw in draws]), device),
        condition=together(conditions),
        context=together([clip.context for clip in clips]),
        weights=upload(together([_weights(clip) for clip in clips]), device),
        patches=tuple(patches_of(clip, patch) for clip in clips),
        conditions=tuple(part.shape[1] for part in conditions),
    )


def _weights(clip: Clip) -> Tensor:
    weights = torch.zeros(1, clip.latents.shape[1])
    weights[:, clip.frames] = 1 / (clip.frames.stop - clip.frames.start)
    return weights
