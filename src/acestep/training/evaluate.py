"""Held-out loss: fixed times, fixed noise, the adapter and the base on the same draws."""

from collections import defaultdict

import torch
from torch import nn

from acestep.model.flow import frame_losses
from acestep.training.clips import Clip
from acestep.training.draws import HELD_OUT, TimeLaw, generator_for


@torch.no_grad()
def held_out_losses(
    transformer: nn.Module, clips: list[Clip], law: TimeLaw, seed: int, device: torch.device
) -> dict[str, float]:
    """Mean loss of each song over its held-out frames at the law's eight fixed times.

    The noise depends on the seed, the clip's place and the time's place alone, so two calls differ
    by the weights only. The transformer is put into eval mode for the call: no dropout.
    """
    was_training = transformer.training
    transformer.eval()
    per_song: dict[str, list[torch.Tensor]] = defaultdict(list)
    for place, clip in enumerate(clips):
        moved = clip.to(device)
        for index, time in enumerate(law.fixed()):
            noise = torch.randn(
                clip.latents.shape, generator=generator_for(seed, HELD_OUT, place, index)
            )
            losses = frame_losses(
                transformer,
                moved.latents,
                noise.to(device),
                torch.tensor([time], device=device),
                moved.condition,
                moved.context,
            )
            per_song[clip.song].append(losses[:, clip.frames].mean())
    transformer.train(was_training)
    return {song: torch.stack(losses).mean().item() for song, losses in per_song.items()}


@torch.no_grad()
def is_sound(transformer: nn.Module, clip: Clip, law: TimeLaw, device: torch.device) -> bool:
    """Whether the model as it is now gives a finite loss on a clip, at one of the fixed times."""
    was_training = transformer.training
    transformer.eval()
    clip = clip.to(device)
    time = torch.tensor([law.fixed()[-1]], device=device)
    losses = frame_losses(
        transformer,
        clip.latents,
        torch.zeros_like(clip.latents),
        time,
        clip.condition,
        clip.context,
    )
    transformer.train(was_training)
    return bool(torch.isfinite(losses).all())


def mean(losses: dict[str, float]) -> float:
    """The mean over songs."""
    return sum(losses.values()) / len(losses)
