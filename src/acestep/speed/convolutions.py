"""The autoencoder's convolutions in the layout that processors compute fastest in.

A sound ``[N, C, L]`` goes through as ``[N, C, 1, L]`` with the channels innermost in memory
(channels last): convolution kernels of CPUs (oneDNN) and of CUDA (cuDNN) work so inside and would
otherwise turn every input and output around. Snake takes its exponentials once instead of on every
pass, and on a CPU goes through a long sound in pieces that stay in the cache. The weights are the
same numbers; only the order of float sums changes.
"""

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import Snake1d
from torch import Tensor, nn

from acestep.speed.pace import Choice

PIECE = 2**17  # elements of a sound for each thread; float32 fills half of a core's level 2 cache


def layout(device: torch.device) -> Choice:
    """How the autoencoder's convolutions lie in memory on a device, and why."""
    if device.type in ("cpu", "cuda"):
        return Choice("channels last", "the order in which this device's kernels compute")
    return Choice("as they come", f"nothing faster is known on {device.type}", slower=True)


def fast_convolutions(vae: nn.Module, device: torch.device) -> None:
    """Turn an ``AutoencoderOobleck`` around, in place, where that is :func:`layout`'s choice.

    Its ``encoder`` and ``decoder`` take and give what they did, to float32 rounding. Weight norm
    must be folded before (:func:`acestep.model.load.fold_weight_norm`).
    """
    if layout(device).slower:
        return
    for name in ("encoder", "decoder"):
        inner = vae.get_submodule(name)
        _turn(inner)
        setattr(vae, name, ChannelsLast(inner))


class ChannelsLast(nn.Module):
    """A net over ``[N, C, 1, L]``, channels last inside, for sounds ``[N, C, L]``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, sound: Tensor) -> Tensor:
        """``[N, C, L]`` to ``[N, C', L']``, both contiguous in time."""
        wide = sound.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.inner(wide).squeeze(2).contiguous()


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
        if x.device.type != "cpu" or x.requires_grad:
            return torch.addcmul(x, (self.a * x).sin_().square_(), self.share)
        result = torch.empty_like(x)
        length = max(1, PIECE * torch.get_num_threads() // (x.shape[0] * x.shape[1]))
        for piece, out in zip(x.split(length, -1), result.split(length, -1), strict=True):
            torch.addcmul(piece, (self.a * piece).sin_().square_(), self.share, out=out)
        return result


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
