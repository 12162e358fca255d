"""Where the small autoencoder begins: as the best linear one, not as noise.

The first convolution is a lapped cosine transform (MDCT, perfect reconstruction), each further one
the principal components of its input's blocks, and the decoder their transposes. What is left to
learn is what no linear map can do. A random start needs an hour to come this far.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acestep.mini.train.vae_forward import analyse
from acestep.mini.train.vae_shapes import DEVIATION, LATENTS, build_vae, set_weight

BANDS = 20  # of the transform, 1.2 kHz each
GAIN = 4.0  # brings music to where the Snakes bend
NEARLY_LINEAR = 3.0  # the Snakes' beta at the start: sin² counts e⁻³
QUIET = 0.05  # the residual branches at the start


def start_vae(clips: Tensor, seed: int = 0) -> Any:
    """The autoencoder that is linear and best at ``clips`` ``[B, 2, T · 1920]`` among those."""
    vae = build_vae(seed)
    with torch.no_grad():
        _quieten(vae)
        _start_front(vae)
        _start_blocks(vae, clips)
    return vae


def cosines() -> tuple[Tensor, Tensor]:
    """Windowed cosines and sines of the lapped transform, ``[20, 40]`` each."""
    time, band = torch.arange(2 * BANDS) + 0.5, torch.arange(BANDS)[:, None] + 0.5
    window = math.sqrt(2 / BANDS) * torch.sin(math.pi * time / (2 * BANDS))
    phase = math.pi / BANDS * (time + BANDS / 2) * band
    return window * phase.cos(), window * phase.sin()


def _quieten(vae: Any) -> None:
    for block in [*vae.encoder.block[1:], *vae.decoder.block[:-1]]:
        block.snake1.beta.fill_(NEARLY_LINEAR)
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            unit.conv2.weight_g.mul_(QUIET)
            unit.conv2.bias.zero_()
    vae.encoder.snake1.beta.fill_(NEARLY_LINEAR)
    vae.decoder.block[-1].snake1.beta.fill_(NEARLY_LINEAR)


def _start_front(vae: Any) -> None:
    """Cosines of mid and side in channels 0 … 39; a little noise, or sines, in the others."""
    cosine, sine = cosines()
    half = math.sqrt(0.5)
    mid, side = torch.tensor([half, half]), torch.tensor([half, -half])
    main = torch.cat([cosine[:, None] * mid[:, None], cosine[:, None] * side[:, None]])
    other = torch.cat([sine[:, None] * mid[:, None], sine[:, None] * side[:, None]])
    down, up = vae.encoder.block[0].conv1, vae.decoder.block[-1].conv_t1
    for conv, value in ((down, GAIN * main), (up, main / GAIN)):
        full = torch.zeros_like(conv.weight_v)
        full[:, :2] = 1e-3 * torch.randn_like(full[:, :2])
        full[: 2 * BANDS, :2] = value
        if conv is up:
            full[2 * BANDS : 4 * BANDS, :2] = 0.02 * other
        set_weight(conv, full)


def _start_blocks(vae: Any, clips: Tensor) -> None:
    encoder, decoder = vae.encoder, vae.decoder
    states = analyse(vae, clips)
    width, inner = states.shape[2], decoder.conv1.out_channels
    for down, up in zip(encoder.block[1:], reversed(decoder.block[:-1]), strict=True):
        stride = down.conv1.stride[0]
        blocks = states.reshape(-1, stride * width)
        _, vectors = torch.linalg.eigh(blocks.T @ blocks / len(blocks))
        main = vectors.flip(1)[:, :width].T.reshape(width, stride, width).transpose(1, 2)
        middle = slice(stride // 2, stride // 2 + stride)  # of 2 s taps, those of its own frame
        kernel = torch.zeros_like(down.conv1.weight_v)
        kernel[:, :, middle] = main
        set_weight(down.conv1, kernel)
        kernel = torch.zeros_like(up.conv_t1.weight_v)
        kernel[:, :, middle] = main[:inner, :inner]
        set_weight(up.conv_t1, kernel)
        states = F.conv1d(states.transpose(1, 2), main, stride=stride).transpose(1, 2)
    _start_latents(vae, states.reshape(-1, width).std(0)[:LATENTS].clamp_min(1e-3))


def _start_latents(vae: Any, spread: Tensor) -> None:
    """Latents of unit variance; the posterior's deviation is constant."""
    number = torch.arange(LATENTS)
    kernel = torch.zeros_like(vae.encoder.conv2.weight_v)
    kernel[number, number, 1] = 1 / spread
    set_weight(vae.encoder.conv2, kernel)
    set_deviation(vae, torch.ones(LATENTS))
    kernel = 0.003 * torch.randn_like(vae.decoder.conv1.weight_v)
    kernel[number, number, 3] += spread
    set_weight(vae.decoder.conv1, kernel)


@torch.no_grad()
def set_deviation(vae: Any, scale: Tensor) -> None:
    """Make the posterior's deviation ``DEVIATION`` × ``scale`` ``[64]`` whatever is encoded."""
    conv = vae.encoder.conv2
    conv.weight_g[LATENTS:] = 0
    conv.bias[LATENTS:] = (DEVIATION * scale).expm1().log()


