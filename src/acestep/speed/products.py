"""Attention written out in matrix products, for processors whose fused kernel is the slower one.

Torch's fused attention on a CPU multiplies bfloat16 by AMX or else in float32. Where there is
AVX512-BF16 alone, matrix products by themselves are several times faster, and so is attention that
is made of them. Scores are rounded to bfloat16 here, which the fused kernel does not do; the result
differs by about as much as bfloat16 itself rounds (measured in docs/speed.md).
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

ROWS = 1024  # queries at a time: their scores stay in the cache


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Scaled dot-product attention, whichever way is faster for these tensors.

    ``[B, G, N, D]`` queries, ``[B, G, M, D]`` keys and values; ``mask`` is additive and broadcast.
    """
    half = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if half and not torch.compiler.is_compiling() and products_are_faster():
        return written_out(query, key, value, mask, scale)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def products_are_faster() -> bool:
    """Whether this processor multiplies bfloat16, but not in torch's fused attention."""
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()


def written_out(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """softmax(scale · query · keyᵀ + mask) · value, so many rows at a time."""
    count = query.shape[2]
    parts = (query * scale).split(ROWS, dim=2)
    masks = (None,) * len(parts)
    if mask is not None:
        masks = mask.expand(*mask.shape[:-2], count, mask.shape[-1]).split(ROWS, dim=-2)
    heard = []
    for rows, hidden in zip(parts, masks, strict=True):
        scores = rows @ key.mT
        heard.append((scores if hidden is None else scores + hidden).softmax(-1) @ value)
    return heard[0] if len(heard) == 1 else torch.cat(heard, dim=2)
