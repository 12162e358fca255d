"""The autoencoder's convolutions in the layout that processors compute fastest in.

A sound ``[N, C, L]`` goes through as ``[N, C, 1, L]`` with the channels innermost in memory
(channels last): convolution kernels of CPUs (oneDNN) and of CUDA (cuDNN) work so inside and would
otherwise turn every input and output around. Snake takes its exponentials once instead of on every
pass. On a CPU each stage goes through a long sound in pieces that overlap by what a stage hears, a
few dozen samples: at full rate a layer is 25 MB a second, and taking and giving back so much memory
for every operation costs half as much again as the arithmetic. The weights are the same numbers;
only the order of float sums changes.
"""

import math
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import Snake1d
from torch import Tensor, nn

from acestep.model.vae import EDGE_TAPS, UNIT_REACH
from acestep.speed.pace import Choice

PIECE = 2**21  # elements of the widest layer for each thread, 8 MB in float32; measured
HEARD = UNIT_REACH + EDGE_TAPS  # samples each side: residual units, a first or last convolution


def layout(device: torch.device) -> Choice:
    """How the autoencoder's convolutions lie in memory on a device, and why."""
    if device.type in ("cpu", "cuda"):
        return Choice("channels last", "the order in which this device's kernels compute")
    return Choice("as they come", f"nothing faster is known on {device.type}", slower=True)


def fast_convolutions(vae: Any, device: torch.device) -> None:
    """Turn an ``AutoencoderOobleck`` around, in place, where that is :func:`layout`'s choice.

    Its ``encoder`` and ``decoder`` take and give what they did, to float32 rounding. Weight norm
    must be folded before (:func:`acestep.model.load.fold_weight_norm`).
    """
    if layout(device).slower:
        return
    _turn(vae.encoder)
    _turn(vae.decoder)
    vae.encoder = ChannelsLast(_encoder_stages(vae.encoder))
    vae.decoder = ChannelsLast(_decoder_stages(vae.decoder))


class ChannelsLast(nn.Sequential):
    """Stages over ``[N, C, 1, L]``, channels last, for sounds ``[N, C, L]``."""

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__(*stages)

    def forward(self, sound: Tensor) -> Tensor:
        """``[N, C, L]`` to ``[N, C', L']``, both contiguous in time."""
        wide = sound.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return super().forward(wide).squeeze(2).contiguous()


class InPieces(nn.Module):
    """A stage that, on a CPU, goes through a long sound piece by piece, with one result.

    It makes one frame of ``down`` samples, or ``up`` samples of one frame; ``width`` is its widest
    layer's channels.
    """

    def __init__(self, stage: nn.Module, width: int, *, down: int = 1, up: int = 1) -> None:
        super().__init__()
        self.stage, self.width, self.down, self.up = stage, width, down, up
        stride = down * up
        self.reach = math.ceil((HEARD + 2 * stride) / stride)  # frames each side

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, 1, L]`` to ``[N, C', 1, L · up / down]``."""
        frames = x.shape[-1] // self.down
        samples = PIECE * torch.get_num_threads() // (x.shape[0] * self.width)
        length = max(32 * self.reach, samples // (self.down * self.up))
        if x.device.type != "cpu" or frames <= length + 2 * self.reach:
            return self.stage(x)
        made = []
        for first in range(0, frames, length):
            last = min(first + length, frames)
            low, high = max(0, first - self.reach), last + self.reach
            end = high * self.down if high < frames else x.shape[-1]
            piece = self.stage(x[..., low * self.down : end])
            end = (last - low) * self.up if last < frames else piece.shape[-1]
            made.append(piece[..., (first - low) * self.up : end])
        return torch.cat(made, dim=-1)


class Snake(nn.Module):
    """``x + sin²(a·x) / b`` for each channel of ``[N, C, 1, L]``; ``a`` and ``1/b`` are held."""

    def __init__(self, snake: Snake1d) -> None:
        super().__init__()
        a, b = snake.alpha.detach(), snake.beta.detach()
        if snake.logscale:
            a, b = a.exp(), b.exp()
        self.a = nn.Parameter(a.unsqueeze(2), requires_grad=False)
        self.share = nn.Parameter((b + 1e-9).reciprocal().unsqueeze(2), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(x, (self.a * x).sin_().square_(), self.share)


def _encoder_stages(encoder: Any) -> list[nn.Module]:
    stages = []
    for number, block in enumerate(encoder.block):
        line = block.conv1
        stage = block if number else nn.Sequential(encoder.conv1, block)
        stages.append(InPieces(stage, line.in_channels, down=line.stride[1]))
    return [*stages, encoder.snake1, encoder.conv2]


def _decoder_stages(decoder: Any) -> list[nn.Module]:
    stages: list[nn.Module] = [decoder.conv1]
    for number, block in enumerate(decoder.block, 1):
        line = block.conv_t1
        is_last = number == len(decoder.block)
        stage = nn.Sequential(block, decoder.snake1, decoder.conv2) if is_last else block
        stages.append(InPieces(stage, line.out_channels, up=line.stride[1]))
    return stages


def _turn(module: nn.Module) -> None:
    """Replace every convolution and Snake inside a module."""
    for name, child in list(module.named_children()):
        match child:
            case nn.Conv1d() | nn.ConvTranspose1d():
                setattr(module, name, _convolution(child))
            case Snake1d():
                setattr(module, name, Snake(child))
            case _:
                _turn(child)


def _convolution(line: nn.Conv1d | nn.ConvTranspose1d) -> nn.Conv2d | nn.ConvTranspose2d:
    """The same convolution over ``[N, C, 1, L]``, with the same weights."""
    assert line.groups == 1 and line.padding_mode == "zeros"
    kind = nn.ConvTranspose2d if isinstance(line, nn.ConvTranspose1d) else nn.Conv2d
    size = line.kernel_size[0]
    # A kernel of one tap is the same at any dilation, but one that says 2 goes to oneDNN: torch
    # gives the others of float32 to a plain matrix product where there is one thread (3× slower).
    dilation = 2 if size == 1 and kind is nn.Conv2d else line.dilation[0]
    with torch.device("meta"):  # weights of its own would be drawn and thrown away
        wide = kind(
            line.in_channels,
            line.out_channels,
            (1, size),
            stride=(1, line.stride[0]),
            padding=(0, int(line.padding[0])),
            dilation=(1, dilation),
            bias=False,
        )
    weight = line.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
    wide.weight = nn.Parameter(weight, requires_grad=False)
    wide.bias = line.bias
    return wide
