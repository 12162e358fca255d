"""Clips of unequal lengths in one batch: zeros behind them, where they end, how they are sent."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


def lengthened(tensor: Tensor, size: int) -> Tensor:
    """``[B, n, …]`` with zeros behind, ``[B, size, …]``."""
    return pad(tensor, (*(0, 0) * (tensor.dim() - 2), 0, size - tensor.shape[1]))


def together(parts: Sequence[Tensor]) -> Tensor:
    """Tensors ``[1, n, …]`` one under another, with zeros behind the shorter ones."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.shape[1] for part in parts)
    return torch.cat([lengthened(part, longest) for part in parts])


def ends_of(lengths: Sequence[int], size: int, *, padded: bool = True) -> Tensor:
    """Where the stretches of a flattened batch end, from 0 on, int32 on the CPU.

    Each clip is a stretch, and where the batch is ``padded`` so is what lies behind it, up to
    ``size``.
    """
    ends = [0]
    for number, length in enumerate(lengths):
        ends += [number * size + length] if padded else []
        ends += [(number + 1) * size]
    return torch.tensor(ends, dtype=torch.int32)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device, without waiting for it."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
