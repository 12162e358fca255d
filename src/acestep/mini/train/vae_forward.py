"""The small autoencoder's forward pass without its idle full-rate stage: some 25 × faster.

States are ``[B, T, C]``; a strided convolution is one matrix product over two neighbouring frames,
a transposed one a product and an overlap-add. Equal to the class up to the order of float sums.
"""

import shutil
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acestep.mini.train.vae_shapes import LATENTS, weight

SOUND = 2  # channels in use at the full rate
LARGE = 100_000  # values from which on a fused Snake saves more than compiling it takes


def encode(vae: Any, audio: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The posterior's means ``[B, T, 64]`` float32 of audio ``[B, 2, T · 1920]``.

    ``dtype`` is of the states between the first and the last convolution.
    """
    encoder = vae.encoder
    states = analyse(vae, audio).to(dtype)
    for block in encoder.block[1:]:
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            states = residual(unit, states)
        states = strided(block.conv1, snake(block.snake1, states))
    return conv(encoder.conv2, snake(encoder.snake1, states))[..., :LATENTS].float()


def decode(vae: Any, latents: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Audio ``[B, 2, T · 1920]`` float32 of latents ``[B, T, 64]``."""
    decoder = vae.decoder
    states = conv(decoder.conv1, latents.to(dtype))
    for block in decoder.block[:-1]:
        states = transposed(block.conv_t1, snake(block.snake1, states))
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            states = residual(unit, states)
    last = decoder.block[-1]
    sound = transposed(last.conv_t1, snake(last.snake1, states).float(), SOUND)
    return sound.transpose(1, 2)


def analyse(vae: Any, audio: Tensor) -> Tensor:
    """The first strided convolution, 48 kHz to 2400 Hz: ``[B, 2, n]`` to ``[B, n / 20, C]``."""
    return strided(vae.encoder.block[0].conv1, audio.transpose(1, 2), SOUND)


def conv(layer: Any, states: Tensor) -> Tensor:
    """A convolution of stride 1; as a 2-D one of height 1, whose channels may come last."""
    kernel, bias = weight(layer).to(states.dtype), layer.bias.to(states.dtype)
    if kernel.shape[2] == 1:
        return F.linear(states, kernel[..., 0], bias)
    flat = states.transpose(1, 2).unsqueeze(2)
    padding, dilation = layer.padding[0], layer.dilation[0]
    kernel = kernel.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(flat, kernel, bias, padding=(0, padding), dilation=(1, dilation))
    return out.squeeze(2).transpose(1, 2)


def strided(layer: Any, states: Tensor, channels: int | None = None) -> Tensor:
    """A convolution of stride s, kernel 2 s, padding s / 2, on the first ``channels``."""
    stride, padding = layer.stride[0], layer.padding[0]
    batch, _, width = states.shape
    padded = F.pad(states, (0, 0, padding, stride - padding)).reshape(batch, -1, stride * width)
    pairs = torch.cat([padded[:, :-1], padded[:, 1:]], dim=2)  # 2 s samples of a frame
    kernel = weight(layer, channels).to(states.dtype)
    kernel = kernel.transpose(1, 2).reshape(kernel.shape[0], -1)
    return F.linear(pairs, kernel, layer.bias.to(states.dtype))


def transposed(layer: Any, states: Tensor, channels: int | None = None) -> Tensor:
    """A transposed convolution of stride s, kernel 2 s, padding s / 2, to ``channels``."""
    stride, padding = layer.stride[0], layer.padding[0]
    batch, frames, _ = states.shape
    kernel = weight(layer, channels).to(states.dtype)
    width = kernel.shape[1]
    spread = states @ kernel.transpose(1, 2).reshape(kernel.shape[0], -1)
    early, late = spread.reshape(batch, frames, 2, stride * width).unbind(2)
    added = F.pad(early, (0, 0, 0, 1)) + F.pad(late, (0, 0, 1, 0))
    samples = added.reshape(batch, -1, width)[:, padding : padding + frames * stride]
    return samples + layer.bias[:width].to(states.dtype)


def residual(unit: Any, states: Tensor) -> Tensor:
    """A residual unit."""
    inner = conv(unit.conv1, snake(unit.snake1, states))
    return states + conv(unit.conv2, snake(unit.snake2, inner))


def snake(layer: Any, states: Tensor) -> Tensor:
    """``x + sin²(αx) / β`` by channel, computed in float32."""
    return _Snake.apply(states, layer.alpha.flatten(), layer.beta.flatten())


class _Snake(torch.autograd.Function):
    """The Snake and its gradient, each in one pass over the states where those are large."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        states = states.clone(memory_format=torch.contiguous_format)  # views are compiled anew
        ctx.save_for_backward(states, alpha, beta)
        return (_fused(_bend) if _is_large(states) else _bend)(states, alpha, beta)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, alpha, beta = ctx.saved_tensors
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        slope = _fused(_bend_back) if _is_large(states) else _bend_back
        return slope(grad, states, alpha, beta)


def _bend(states: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    x = states.float()
    share = (beta.exp() + 1e-9).reciprocal()
    return (x + share * (alpha.exp() * x).sin().square()).to(states.dtype)


def _bend_back(
    grad: Tensor, states: Tensor, alpha: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`_bend` by its three arguments."""
    slope, x = grad.float(), states.float()
    rate, share = alpha.exp(), (beta.exp() + 1e-9).reciprocal()
    sine, cosine = (rate * x).sin(), (rate * x).cos()
    steep = 2 * share * rate * sine * cosine
    by_alpha = (slope * steep * x).sum((0, 1))
    by_beta = (slope * sine * sine).sum((0, 1)) * (-beta.exp() * share * share)
    return (slope * (1 + steep)).to(states.dtype), by_alpha, by_beta


def _is_large(states: Tensor) -> bool:
    return states.numel() >= LARGE and shutil.which("c++") is not None


@lru_cache
def _fused(function: Any) -> Any:
    return torch.compile(function, dynamic=True)
