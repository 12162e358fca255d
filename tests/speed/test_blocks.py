"""Local attention without a question asked: equal to that which asks, for any clips."""

import pytest
import torch

from acestep.speed.blocks import blocks, num_blocks, with_block_masks
from acestep.speed.kernels import Spans, local

WINDOW, CPU = 128, torch.device("cpu")


def attended(kernel, spans, tensors, window):
    """The clips' own part of the result, and the gradients of it."""
    parts = [tensor.clone().requires_grad_() for tensor in tensors]
    heard = kernel(*parts, spans, window, 0.2)
    own = torch.cat([heard[at, :n].flatten() for at, n in enumerate(spans.queries)])
    weight = torch.linspace(-1, 1, len(own))
    return [own.detach(), *torch.autograd.grad((own * weight).sum(), parts)]


@pytest.mark.parametrize("window", [WINDOW, None])
@pytest.mark.parametrize("clips", [(1,), (128,), (129,), (257,), (750,), (300, 5), (140, 140)])
def test_it_is_the_local_attention(clips, window):
    longest = max(clips)
    spans = Spans(clips, clips, (longest, longest))
    draw = torch.Generator().manual_seed(longest)
    query, key, value = (
        torch.randn(len(clips), longest, heads, 16, generator=draw) for heads in (4, 2, 2)
    )
    laid = with_block_masks(spans, CPU, dtype=torch.float32, window=WINDOW, together=len(clips) > 1)
    ours = attended(blocks, laid, (query, key, value), window)
    theirs = attended(local, spans, (query, key, value), window)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-4, atol=1e-5)


def test_padding_that_has_no_keys_stays_finite():
    spans = Spans((9, 3), (5, 5), (9, 5))
    laid = with_block_masks(spans, CPU, dtype=torch.float32, window=WINDOW, together=False)
    heard = blocks(*(torch.randn(2, n, 1, 8) for n in (9, 5, 5)), laid, None, 1.0)
    assert heard.isfinite().all()


def test_there_is_never_a_single_block():
    assert [num_blocks(count, 128) for count in (1, 128, 129, 256)] == [2, 2, 3, 3]
