"""The stream in order and the fused norms: the same numbers, and off again."""

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from diffusers.models.normalization import RMSNorm
from torch import nn

from acestep.speed.stream import FusedRMSNorm, InOrder, rough, smooth


def norms(width=48, dtype=torch.float32):
    plain = RMSNorm(width, eps=1e-6)
    nn.init.normal_(plain.weight, 1, 0.3)
    fused = FusedRMSNorm(width, eps=1e-6)
    fused.load_state_dict(plain.state_dict())
    return plain.to(dtype), fused.to(dtype)


def run(norm, x):
    x = x.clone().requires_grad_()
    out = norm(x)
    out.backward(torch.linspace(-1, 2, out.numel()).view_as(out).to(out.dtype))
    return out.detach(), x.grad, norm.weight.grad


@pytest.mark.parametrize("shape", [(48,), (1, 48), (2, 17, 48), (2, 5, 3, 48)])
def test_a_fused_norm_is_the_norm(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    for ours, theirs in zip(*(run(norm, x) for norm in norms()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_a_fused_norm_has_the_gradient_that_differences_give():
    _, fused = norms(6, torch.float64)
    x = torch.randn(2, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weight = torch.rand(6, dtype=torch.float64) + 0.5

    def norm(x, weight):
        return torch.func.functional_call(fused, {"weight": weight}, (x,))

    # its mean square is rounded to float32, as diffusers' is
    inputs = (x.requires_grad_(), weight.requires_grad_())
    assert torch.autograd.gradcheck(norm, inputs, eps=1e-3, atol=1e-3)


def test_in_half_precision_it_rounds_where_the_norm_rounds():
    x = torch.randn(3, 40, 48, generator=torch.Generator().manual_seed(3)).bfloat16()
    (ours, gradient, _), (theirs, expected, _) = (run(norm, x) for norm in norms(dtype=x.dtype))
    assert torch.equal(ours, theirs)
    assert (gradient - expected).float().norm() < 2**-8 * expected.float().norm()


def test_a_row_of_zeros_and_one_of_nan():
    _, fused = norms()
    out, gradient, _ = run(fused, torch.zeros(1, 48))
    assert not out.any() and gradient.isfinite().all()
    out, _, _ = run(fused, torch.full((1, 48), torch.nan))
    assert out.isnan().all()


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(4)
    return AceStepTransformer1DModel(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        in_channels=24,
        audio_acoustic_hidden_dim=8,
    )


def velocity(transformer, frames=41):
    draw = torch.Generator().manual_seed(5)
    time = torch.rand(2, generator=draw)
    seen = []
    hook = transformer.layers[-1].register_forward_hook(
        lambda *passed: seen.append(passed[2].is_contiguous())
    )
    latents = torch.randn(2, frames, 8, generator=draw).requires_grad_()
    out = transformer(
        hidden_states=latents,
        timestep=time,
        timestep_r=time,
        encoder_hidden_states=torch.randn(2, 9, 64, generator=draw),
        context_latents=torch.randn(2, frames, 16, generator=draw),
        return_dict=False,
    )[0]
    hook.remove()
    (gradient,) = torch.autograd.grad(out.square().sum(), latents)
    return out.detach(), gradient, seen[0]


def test_the_stream_is_contiguous_and_the_result_the_same(transformer):
    names = set(transformer.state_dict())
    out, gradient, contiguous = velocity(transformer)
    assert not contiguous
    smooth(transformer)
    smooth(transformer)
    assert set(transformer.state_dict()) == names
    assert isinstance(transformer.proj_in_conv, InOrder)
    ours, our_gradient, contiguous = velocity(transformer)
    assert contiguous
    torch.testing.assert_close(ours, out, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(our_gradient, gradient, rtol=1e-4, atol=1e-4)
    rough(transformer)
    rough(transformer)
    again, _, contiguous = velocity(transformer)
    assert torch.equal(again, out) and not contiguous
    assert not any(type(part) in (InOrder, FusedRMSNorm) for part in transformer.modules())


def test_a_norm_keeps_one_number_a_row_for_the_backward_pass():
    _, fused = norms()
    fused.requires_grad_(False)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        fused(torch.randn(10, 48, requires_grad=True))
    assert sorted(kept) == [10, 48, 480]
