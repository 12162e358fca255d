"""Local attention as a compiled pass wants it: one graph for clips of any number and any length.

:func:`acestep.speed.kernels.local` asks how long its clips are, and every answer would be another
graph. Here nothing is asked: windows always go in blocks that see their neighbours, and what a
clip's length changes comes as tensors that were made before the pass.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from acestep.speed.kernels import Spans, grouped


def with_block_masks(
    spans: Spans, device: torch.device, *, dtype: torch.dtype, window: int, together: bool
) -> Spans:
    """Spans for :func:`blocks`.

    The masks are additive, of ``dtype``: of windows ``[B · blocks, window, 3 · window]``, and of
    whole clips ``[B, N, M]``, which only clips that go ``together`` need.
    """
    near = _additive(_near(spans, window, device), dtype).flatten(0, 1)
    inside = _additive(_inside(spans, device), dtype) if together or spans.padded else None
    return replace(spans, masks=(near, inside))


def blocks(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, window: int | None, scale: float
) -> Tensor:
    """What :func:`acestep.speed.kernels.local` gives, up to rounding."""
    assert spans.masks is not None
    near, inside = spans.masks
    if window is None:
        mask = None if inside is None else inside[:, None]
        return grouped(query, key, value, mask, scale)
    count = query.shape[1]
    parts = num_blocks(count, window)
    missing = parts * window - count
    query = pad(query, (0, 0, 0, 0, 0, missing)).unflatten(1, (parts, window)).flatten(0, 1)
    key, value = (
        pad(part, (0, 0, 0, 0, window, missing + window)).unflatten(1, (parts + 2, window))
        for part in (key, value)
    )
    key, value = (
        torch.cat([part[:, :-2], part[:, 1:-1], part[:, 2:]], dim=2).flatten(0, 1)
        for part in (key, value)
    )
    heard = grouped(query, key, value, near[:, None], scale)
    return heard.unflatten(0, (-1, parts)).flatten(1, 2)[:, :count]


def num_blocks(count: int, window: int) -> int:
    """Blocks for so many patches, and one more: for a single block there would be a graph apart."""
    return (count + 2 * window - 1) // window


def _near(spans: Spans, window: int, device: torch.device) -> Tensor:
    """``[B, blocks, window, 3 · window]``: within the window, and within the clip."""
    parts = num_blocks(spans.size[0], window)
    query = torch.arange(window, device=device)[:, None] + window
    key = torch.arange(3 * window, device=device)[None]
    place = key + window * (torch.arange(parts, device=device)[:, None, None] - 1)
    counts = _on(spans.queries, device)[:, None, None, None]
    seen = ((query - key).abs() <= window) & (place >= 0) & (place < counts)
    return seen | (place >= counts) & (key == query)  # rows behind a clip's end stay finite


def _inside(spans: Spans, device: torch.device) -> Tensor:
    """``[B, N, M]``: a clip sees its own keys, padding sees padding or, if there is none, all."""
    rows, columns = (
        torch.arange(size, device=device)[None] < _on(lengths, device)[:, None]
        for lengths, size in zip((spans.queries, spans.keys), spans.size, strict=True)
    )
    seen = rows[:, :, None] == columns[:, None]
    return seen | ~seen.any(-1, keepdim=True)


def _on(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    counts = torch.tensor(lengths)
    if device.type == "cuda":
        counts = counts.pin_memory()
    return counts.to(device, non_blocking=True)


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill(~seen, -torch.inf)
