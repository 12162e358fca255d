"""Attention over spans: three ways to compute the same.

Queries are ``[B, N, H, D]``, keys and values ``[B, M, G, D]`` with ``H`` a multiple of ``G``: query
head ``h`` reads key head ``h // (H/G)``. A window of ``w`` lets query ``i`` see the keys with
``|i − j| ≤ w``. Results are ``[B, N, H, D]``; behind a clip's end they are finite and mean nothing.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import pad

from acestep.speed.padding import ends_of, lengthened, upload
from acestep.speed.products import attend

DENSE_WINDOWS = 3  # up to so many windows of patches a dense mask is quicker than blocks


@dataclass(frozen=True)
class Spans:
    """How long each clip's queries and keys are, in a batch of ``size`` (queries, keys) rows.

    ``ends`` says the same to the variable-length kernel: where stretches of the flattened batch
    end, int32 on the device. ``masks`` says it to flex attention: within the window, and without.
    """

    queries: tuple[int, ...]
    keys: tuple[int, ...]
    size: tuple[int, int]
    ends: tuple[Tensor, Tensor] | None = None
    masks: tuple[Any, Any] | None = None

    @property
    def padded(self) -> bool:
        """Whether padding follows any clip."""
        return min(self.queries) < self.size[0] or min(self.keys) < self.size[1]


def with_ends(spans: Spans, device: torch.device) -> Spans:
    """Spans for :func:`varlen`. Padding makes stretches of its own, so that nothing is gathered."""
    first, second = (
        upload(ends_of(lengths, size, padded=spans.padded), device)
        for lengths, size in zip((spans.queries, spans.keys), spans.size, strict=True)
    )
    return replace(spans, ends=(first, second))


def with_masks(spans: Spans, device: torch.device, window: int) -> Spans:
    """Spans for :func:`flex`."""
    from torch.nn.attention.flex_attention import create_block_mask

    queries = torch.tensor(spans.queries, device=device)
    keys = torch.tensor(spans.keys, device=device)

    def inside(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        # padding sees everything, so that no row is empty
        return (query >= queries[batch]) | (key < keys[batch])

    def near(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return inside(batch, head, query, key) & ((query - key).abs() <= window)

    rows = (len(spans.queries), None, *spans.size)
    masks = (create_block_mask(rule, *rows, device=device) for rule in (near, inside))
    return replace(spans, masks=(next(masks), next(masks)))


def varlen(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, window: int | None, scale: float
) -> Tensor:
    """Torch's own variable-length flash attention: CUDA, half precision."""
    assert spans.ends is not None
    reach = (-1, -1) if window is None else (window, window)
    heard = varlen_attn(
        query.flatten(0, 1),
        key.flatten(0, 1),
        value.flatten(0, 1),
        *spans.ends,
        query.shape[1],  # as spans.size has them, but a compiled pass takes these for any length
        key.shape[1],
        scale=scale,
        window_size=reach,
        enable_gqa=query.shape[2] != key.shape[2],
    )
    assert isinstance(heard, Tensor)
    return heard.view_as(query)


def has_varlen() -> bool:
    """Whether this torch has the variable-length kernel, with windows and grouped queries."""
    known = inspect.signature(varlen_attn).parameters
    flash = torch.backends.cuda.is_flash_attention_available()
    return flash and {"window_size", "enable_gqa"} <= set(known)


def flex(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, window: int | None, scale: float
) -> Tensor:
    """Flex attention under block masks, compiled."""
    assert spans.masks is not None
    heard = _compiled_flex()(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        block_mask=spans.masks[window is None],
        scale=scale,
        enable_gqa=query.shape[2] != key.shape[2],
    )
    return heard.transpose(1, 2)


@cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


def local(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, window: int | None, scale: float
) -> Tensor:
    """Scaled dot-product attention, clip by clip where lengths differ."""
    if not spans.padded:
        return _attend(query, key, value, window, scale)
    heard = [
        _attend(query[at : at + 1, :n], key[at : at + 1, :m], value[at : at + 1, :m], window, scale)
        for at, (n, m) in enumerate(zip(spans.queries, spans.keys, strict=True))
    ]
    return torch.cat([lengthened(one, query.shape[1]) for one in heard])


def _attend(query: Tensor, key: Tensor, value: Tensor, window: int | None, scale: float) -> Tensor:
    count = query.shape[1]
    if window is None or count <= window + 1:
        return grouped(query, key, value, None, scale)
    if count <= DENSE_WINDOWS * window:
        mask = _window_mask(count, window, query.dtype, query.device)
        return grouped(query, key, value, mask, scale)
    blocks = -(-count // window)
    mask = _block_mask(count, blocks, window, query.dtype, query.device)
    mask = mask.expand(query.shape[0], *mask.shape).flatten(0, 1)
    return in_blocks(query, key, value, mask, scale)


def grouped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Queries that share a key head become more rows of it: no key is copied, any kernel takes it.

    ``mask`` is additive, ``[N, M]`` or ``[B, 1, N, M]``, the same for all heads.
    """
    batch, count, heads, width = query.shape
    groups = key.shape[2]
    shared = heads // groups
    rows = query.unflatten(2, (groups, shared)).permute(0, 2, 3, 1, 4)
    if mask is not None:
        mask = mask.repeat(*(1,) * (mask.dim() - 2), shared, 1)
    heard = attend(
        rows.reshape(batch, groups, shared * count, width),
        key.transpose(1, 2),
        value.transpose(1, 2),
        mask,
        scale,
    )
    return heard.unflatten(2, (shared, count)).permute(0, 3, 1, 2, 4).flatten(2, 3)


def in_blocks(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Blocks of a window's length, each of which sees itself and its two neighbours.

    ``mask`` is additive, ``[B · blocks, 1, window, 3 · window]``.
    """
    batch, count, _, _ = query.shape
    blocks, window = len(mask) // batch, mask.shape[-2]
    missing = blocks * window - count
    query = pad(query, (0, 0, 0, 0, 0, missing)).unflatten(1, (blocks, window)).flatten(0, 1)
    key, value = (
        pad(part, (0, 0, 0, 0, window, missing + window)).unflatten(1, (blocks + 2, window))
        for part in (key, value)
    )
    key, value = (
        torch.cat([part[:, :-2], part[:, 1:-1], part[:, 2:]], dim=2).flatten(0, 1)
        for part in (key, value)
    )
    heard = grouped(query, key, value, mask, scale)
    return heard.unflatten(0, (batch, blocks)).flatten(1, 2)[:, :count]


def near(counts: int | Tensor, blocks: int, window: int, device: torch.device) -> Tensor:
    """What a block's patches see: ``[…, blocks, window, 3 · window]``, within the window and within
    the clip, whose patches ``counts`` are: a number, or ``[…, 1, 1, 1]``."""
    query = torch.arange(window, device=device)[:, None] + window
    key = torch.arange(3 * window, device=device)[None]
    place = key + window * (torch.arange(blocks, device=device)[:, None, None] - 1)
    seen = ((query - key).abs() <= window) & (place >= 0) & (place < counts)
    return seen | (place >= counts) & (key == query)  # rows behind a clip's end stay finite


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What is seen as a mask that is added to scores."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, -torch.inf)


@lru_cache(maxsize=8)
def _window_mask(count: int, window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    place = torch.arange(count, device=device)
    return additive((place[:, None] - place[None]).abs() <= window, dtype)


@lru_cache(maxsize=8)
def _block_mask(
    count: int, blocks: int, window: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    return additive(near(count, blocks, window, device), dtype)[:, None]
