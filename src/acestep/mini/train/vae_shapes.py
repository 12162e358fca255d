"""The small autoencoder: 48 kHz stereo to 64 channels at 25 Hz, cheap enough for a CPU.

What costs in an ``AutoencoderOobleck`` is the stage at the full rate. Here it is exactly linear:
its residual units are zero, its Snakes identities, the first and the last convolution pass channels
0 and 1 through. So all of it up to 2400 Hz is one matrix (:mod:`acestep.mini.train.vae_forward`),
and a loader may leave the idle modules out without changing a bit.
"""

import warnings
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck, Snake1d
from torch import Tensor, nn

CONFIG = {
    "encoder_hidden_size": 128,
    "downsampling_ratios": [20, 4, 4, 6],  # even ones only: the class loses samples at odd ones
    "channel_multiples": [1, 1, 1, 1],
    "decoder_channels": 96,
    "decoder_input_channels": 64,
    "audio_channels": 2,
    "sampling_rate": 48_000,
}
LATENTS = 64
HOP = 1920  # samples in a latent frame
# A Snake is x + sin²(αx) / (exp(β) + 1e-9): exp(100) is inf in every float type, also of weights
# stored in half precision, and the term exactly 0
IDENTITY_BETA = 100.0
DEVIATION = 0.02  # of the posterior, the same for all channels: it is next to deterministic


def build_vae(seed: int = 0) -> AutoencoderOobleck:
    """The autoencoder with random weights, except for the full-rate stage."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the class uses the older weight norm
        vae = AutoencoderOobleck(**CONFIG)
    make_front_linear(vae)
    return vae


def weight(conv: Any, channels: int | None = None) -> Tensor:
    """A weight-normed convolution's weight, of the first ``channels`` of its second dimension.

    The others must be zero.
    """
    direction = conv.weight_v[:, :channels]
    return direction * (conv.weight_g / direction.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12))


@torch.no_grad()
def set_weight(conv: Any, value: Tensor) -> None:
    """Give a weight-normed convolution this weight, and no bias.

    Where it is zero the length is zero and the direction is not: 0 / 0 never occurs.
    """
    length = value.norm(dim=(1, 2), keepdim=True)
    conv.weight_g.copy_(length)
    conv.weight_v.copy_(torch.where(length > 0, value, torch.ones_like(value)))
    if conv.bias is not None:
        conv.bias.zero_()


def idle_modules(vae: Any) -> list[Any]:
    """What is at the full rate and does nothing: neither trained nor in the fast forward pass."""
    first, last = vae.encoder.block[0], vae.decoder.block[-1]
    units = [getattr(block, f"res_unit{n}") for block in (first, last) for n in (1, 2, 3)]
    return [*units, first.snake1, vae.decoder.snake1, vae.encoder.conv1, vae.decoder.conv2]


@torch.no_grad()
def make_front_linear(vae: Any) -> None:
    """Make what runs at 48 kHz linear, and freeze it: only channels 0 and 1 carry anything."""
    for idle in idle_modules(vae):
        idle.requires_grad_(False)
        for module in idle.modules():
            if isinstance(module, Snake1d):
                module.beta.fill_(IDENTITY_BETA)
            elif isinstance(module, nn.Conv1d):
                set_weight(module, torch.zeros_like(weight(module)))
    for conv in (vae.encoder.conv1, vae.decoder.conv2):
        through = torch.zeros_like(conv.weight_v)
        through[0, 0, 3] = through[1, 1, 3] = 1
        set_weight(conv, through)
    last = vae.decoder.block[-1].conv_t1
    for conv in (vae.encoder.block[0].conv1, last):
        value = weight(conv).clone()
        value[:, 2:] = 0
        set_weight(conv, value)
    last.bias.requires_grad_(False)


def trained_parameters(part: nn.Module) -> list[nn.Parameter]:
    """What is trained of an encoder or decoder: all but what is idle."""
    return [parameter for parameter in part.parameters() if parameter.requires_grad]
