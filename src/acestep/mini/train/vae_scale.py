"""Latents for a diffusion model: of mean 0, and the larger, the more of the sound they carry.

Scaled to equal variance, a channel of hiss would count as much in the diffusion loss as the one
that holds the bass. Here a channel's deviation grows with what is missing when it is left out, so
that of important channels more stands out of the noise, earlier.
"""

from typing import Any

import torch
from torch import Tensor

from acestep.mini.train.vae_forward import decode, encode
from acestep.mini.train.vae_shapes import HOP, LATENTS, set_weight, weight
from acestep.mini.train.vae_start import set_deviation

POWER = 0.5  # of the importance in the deviation
LOWEST, HIGHEST = 0.5, 2.0  # deviations, before the mean square is made 1
CLIP_FRAMES = 40  # of each song, to measure importance on


@torch.no_grad()
def scale_latents(vae: Any, songs: Tensor) -> Tensor:
    """Scale and shift the latents by changing weights alone; returns their deviations ``[64]``.

    ``songs`` ``[B, 2, n]`` are what they are measured on. Decoded audio stays the same, except for
    the first and last frames, beyond which the decoder sees zeros.
    """
    audio = songs[..., : songs.shape[2] // HOP * HOP]
    latents = torch.cat([encode(vae, song[None])[0] for song in audio])
    mean, spread = latents.mean(0), latents.std(0)
    target = deviations(importance(vae, audio[..., : HOP * CLIP_FRAMES], mean))
    gain = target / spread
    last, first = vae.encoder.conv2, vae.decoder.conv1
    kernel, bias = weight(last).clone(), last.bias.clone()
    kernel[:LATENTS] *= gain[:, None, None]
    bias[:LATENTS] = gain * (bias[:LATENTS] - mean)
    set_weight(last, kernel)
    last.bias.copy_(bias)
    kernel, bias = weight(first).clone(), first.bias.clone()
    bias += (kernel.sum(2) * mean).sum(1)
    set_weight(first, kernel / gain[:, None])
    first.bias.copy_(bias)
    set_deviation(vae, target)
    return target


def deviations(importance: Tensor) -> Tensor:
    """A deviation for each channel, of mean square 1."""
    relative = importance / importance.clamp_min(1e-9).log().mean().exp()
    bounded = (relative**POWER).clamp(LOWEST, HIGHEST)
    return bounded / bounded.square().mean().sqrt()


@torch.no_grad()
def importance(vae: Any, audio: Tensor, mean: Tensor) -> Tensor:
    """RMS change of the decoded audio when a channel is held at its mean, for each channel."""
    latents = encode(vae, audio)
    whole = decode(vae, latents)
    lost = []
    for channel in range(LATENTS):
        without = latents.clone()
        without[..., channel] = mean[channel]
        lost.append((decode(vae, without) - whole).square().mean().sqrt())
    return torch.stack(lost)
