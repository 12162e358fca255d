"""Local attention as a compiled pass wants it: one graph for clips of any number and any length.

:func:`acestep.speed.kernels.local` asks how long its clips are, and every answer would be another
graph. Here nothing is asked: windows always go in blocks that see their neighbours, and what a
clip's length changes comes as tensors that were made before the pass.
"""

from dataclasses import replace

import torch
from torch import Tensor

from acestep.speed.kernels import Spans, additive, grouped, in_blocks, near
from acestep.speed.padding import upload


def with_block_masks(
    spans: Spans, device: torch.device, *, dtype: torch.dtype, window: int, together: bool
) -> Spans:
    """Spans for :func:`blocks`.

    The masks are additive, of ``dtype``: of windows ``[B · blocks, window, 3 · window]``, and of
    whole clips ``[B, N, M]``, which only clips that go ``together`` need.
    """
    parts = num_blocks(spans.size[0], window)
    counts = _on(spans.queries, device)[:, None, None, None]
    seen = additive(near(counts, parts, window, device), dtype).flatten(0, 1)
    whole = additive(_inside(spans, device), dtype) if together or spans.padded else None
    return replace(spans, masks=(seen, whole))


def blocks(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, window: int | None, scale: float
) -> Tensor:
    """What :func:`acestep.speed.kernels.local` gives, up to rounding."""
    assert spans.masks is not None
    seen, whole = spans.masks
    if window is None:
        mask = None if whole is None else whole[:, None]
        return grouped(query, key, value, mask, scale)
    return in_blocks(query, key, value, seen[:, None], scale)


def num_blocks(count: int, window: int) -> int:
    """Blocks for so many patches, and one more: for a single block there would be a graph apart."""
    return (count + 2 * window - 1) // window


def _inside(spans: Spans, device: torch.device) -> Tensor:
    """``[B, N, M]``: a clip sees its own keys, padding sees padding or, if there is none, all."""
    rows, columns = (
        torch.arange(size, device=device)[None] < _on(lengths, device)[:, None]
        for lengths, size in zip((spans.queries, spans.keys), spans.size, strict=True)
    )
    seen = rows[:, :, None] == columns[:, None]
    return seen | ~seen.any(-1, keepdim=True)


def _on(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    return upload(torch.tensor(lengths), device)
