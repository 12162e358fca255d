"""Kernels against dense attention in float32: values and gradients."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from acestep.speed.kernels import Spans, flex, has_varlen, local, varlen, with_ends, with_masks

WINDOW = 128
LENGTHS = [1, 2, 128, 129, 130, 257, 383, 384, 385, 511, 750]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def draw(batch, queries, keys, heads=4, groups=2, width=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [(batch, queries, heads, width), *[(batch, keys, groups, width)] * 2]
    return [torch.randn(*size, generator=generator).requires_grad_() for size in sizes]


def dense(query, key, value, window, scale):
    """The definition, row by row of one clip: softmax over what is seen."""
    count, shared = query.shape[1], query.shape[2] // key.shape[2]
    mask = torch.ones(count, key.shape[1], dtype=torch.bool, device=query.device)
    if window is not None:
        place = torch.arange(count, device=query.device)
        mask = (place[:, None] - place[None]).abs() <= window
    heard = scaled_dot_product_attention(
        query.transpose(1, 2),
        key.repeat_interleave(shared, dim=2).transpose(1, 2),
        value.repeat_interleave(shared, dim=2).transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    )
    return heard.transpose(1, 2)


def difference(ours, theirs, inputs):
    """The largest difference of results and of all gradients, for one random gradient."""
    up = torch.randn(ours.shape, generator=torch.Generator().manual_seed(5)).to(ours)
    pairs = zip(
        (ours, *torch.autograd.grad(ours, inputs, up, retain_graph=True)),
        (theirs, *torch.autograd.grad(theirs, inputs, up, retain_graph=True)),
        strict=True,
    )
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize("window", [WINDOW, None])
def test_one_clip_equals_dense_attention(count, window):
    inputs = draw(1, count, count)
    spans = Spans((count,), (count,), (count, count))
    ours = local(*inputs, spans, window, 0.2)
    assert difference(ours, dense(*inputs, window, 0.2), inputs) < 1e-5


@pytest.mark.parametrize("window", [1, 4, 7])
@pytest.mark.parametrize("count", [1, 3, 9, 22, 64])
def test_any_window(count, window):
    inputs = draw(2, count, count)
    spans = Spans((count,) * 2, (count,) * 2, (count, count))
    ours = local(*inputs, spans, window, 0.2)
    assert difference(ours, dense(*inputs, window, 0.2), inputs) < 1e-5


@pytest.mark.parametrize("window", [WINDOW, None])
def test_a_batch_of_unequal_clips_equals_its_members(window):
    lengths = (750, 1, 257, 601)
    inputs = draw(4, 750, 750)
    ours = local(*inputs, Spans(lengths, lengths, (750, 750)), window, 0.2)
    for row, count in enumerate(lengths):
        alone = [part.detach()[row : row + 1, :count].requires_grad_() for part in inputs]
        theirs = dense(*alone, window, 0.2)
        up = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(row))
        wanted = torch.autograd.grad(theirs, alone, up)
        found = torch.autograd.grad(ours[row : row + 1, :count], inputs, up, retain_graph=True)
        assert (ours[row : row + 1, :count] - theirs).abs().max() < 1e-5
        for whole, one in zip(found, wanted, strict=True):
            assert (whole[row : row + 1, :count] - one).abs().max() < 1e-5
            rest = whole.clone()
            rest[row, :count] = 0
            assert not rest.any()  # no padding, and no other clip, has a part in it


def test_conditions_of_unequal_lengths():
    inputs = draw(3, 20, 30)
    ours = local(*inputs, Spans((20, 7, 13), (30, 30, 5), (20, 30)), None, 0.2)
    assert ours.isfinite().all()
    for row, (count, tokens) in enumerate([(20, 30), (7, 30), (13, 5)]):
        query, key, value = (part[row : row + 1] for part in inputs)
        wanted = dense(query[:, :count], key[:, :tokens], value[:, :tokens], None, 0.2)
        assert (ours[row : row + 1, :count] - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("window", [WINDOW, None])
def test_flex_masks_say_the_same(window):
    lengths = (300, 1, 257)
    inputs = [part.detach() for part in draw(3, 300, 300)]
    spans = Spans(lengths, lengths, (300, 300))
    wanted = local(*inputs, spans, window, 0.2)
    rules = with_masks(spans, torch.device("cpu"), WINDOW).masks
    rows = torch.arange(300)
    seen = rules[window is None].mask_mod(
        torch.arange(3)[:, None, None], torch.tensor(0), rows[:, None], rows[None]
    )
    shared = [inputs[0], *(part.repeat_interleave(2, dim=2) for part in inputs[1:])]
    found = scaled_dot_product_attention(
        *(part.transpose(1, 2) for part in shared), attn_mask=seen[:, None], scale=0.2
    ).transpose(1, 2)
    assert found.isfinite().all()
    for row, count in enumerate(lengths):
        assert (found[row, :count] - wanted[row, :count]).abs().max() < 1e-5


def test_stretches_of_the_variable_length_kernel():
    """Each clip and each padding is a stretch; the same number of both sides."""
    spans = with_ends(Spans((5, 3, 5), (2, 4, 1), (5, 4)), torch.device("cpu"))
    queries, keys = (end.tolist() for end in spans.ends)
    assert queries == [0, 5, 5, 8, 10, 15, 15]
    assert keys == [0, 2, 4, 8, 8, 9, 12]
    whole = with_ends(Spans((5, 5), (4, 4), (5, 4)), torch.device("cpu"))
    assert [end.tolist() for end in whole.ends] == [[0, 5, 10], [0, 4, 8]]
    assert whole.ends[0].dtype == torch.int32


def test_this_torch_has_windows_in_its_variable_length_kernel(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    assert has_varlen()
    monkeypatch.setattr("acestep.speed.kernels.varlen_attn", lambda query, key, value: None)
    assert not has_varlen()


@needs_gpu
@pytest.mark.parametrize("window", [WINDOW, None])
@pytest.mark.parametrize("lengths", [(1,), (129,), (257, 40), (750, 601, 1)])
def test_varlen_equals_float32_up_to_bfloat16(window, lengths):
    longest = max(lengths)
    inputs = draw(len(lengths), longest, longest, width=64)
    spans = with_ends(Spans(lengths, lengths, (longest, longest)), torch.device("cuda"))
    half = [part.detach().cuda().bfloat16().requires_grad_() for part in inputs]
    ours = varlen(*half, spans, window, 0.125)
    theirs = local(*(part.float() for part in half), spans, window, 0.125)
    for row, count in enumerate(lengths):
        a, b = ours[row, :count].float(), theirs[row, :count]
        assert difference(a, b, half) < 0.03


@needs_gpu
def test_flex_equals_local_on_a_gpu():
    lengths = (300, 17, 257)
    inputs = [part.detach().cuda().requires_grad_() for part in draw(3, 300, 300, width=64)]
    spans = with_masks(Spans(lengths, lengths, (300, 300)), torch.device("cuda"), WINDOW)
    ours, theirs = (kernel(*inputs, spans, WINDOW, 0.125) for kernel in (flex, local))
    for row, count in enumerate(lengths):
        assert difference(ours[row, :count], theirs[row, :count], inputs) < 5e-3
