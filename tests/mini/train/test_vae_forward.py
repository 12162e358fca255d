import pytest
import torch

from acestep.mini.train import vae_forward
from acestep.mini.train.vae_forward import decode, encode, snake
from acestep.mini.train.vae_shapes import build_vae

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(autouse=True)
def compile_nothing(monkeypatch):
    monkeypatch.setattr(vae_forward, "LARGE", 10**9)


def random_vae():
    """With every trained Snake bent and every trained bias in use."""
    vae = build_vae(1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if parameter.requires_grad and name.endswith(("bias", "alpha", "beta")):
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return vae


@torch.no_grad()
def test_the_fast_forward_pass_is_the_class():
    vae = random_vae()
    audio = torch.randn(1, 2, 1920 * 4, generator=torch.Generator().manual_seed(0))
    theirs = vae.encode(audio).latent_dist.mean
    ours = encode(vae, audio).transpose(1, 2)
    assert theirs.std() > 1e-3 and (ours - theirs).abs().max() < 1e-4
    sound = vae.decode(theirs).sample
    assert sound.std() > 1e-4
    assert (decode(vae, theirs.transpose(1, 2)) - sound).abs().max() < 1e-4


def test_the_snake_and_its_gradient_are_the_class():
    layer = build_vae().encoder.snake1
    layer.alpha = torch.nn.Parameter(torch.randn(1, 3, 1))
    layer.beta = torch.nn.Parameter(torch.randn(1, 3, 1))
    states = torch.randn(2, 9, 3, requires_grad=True)
    ours, theirs = snake(layer, states), layer(states.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(ours, theirs, atol=1e-5)
    given = [states, layer.alpha, layer.beta]
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), given),
        torch.autograd.grad(theirs.square().sum(), given),
        strict=True,
    ):
        assert torch.allclose(mine, other, rtol=1e-3, atol=1e-3)
