import pytest
import torch

from acestep.mini.train.vae_shapes import (
    build_vae,
    idle_modules,
    set_weight,
    trained_parameters,
    weight,
)
from acestep.model.load import drop_idle_modules, fold_weight_norm

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@torch.no_grad()
def test_what_is_idle_can_be_left_out_without_changing_a_bit():
    vae = build_vae().eval()
    audio = 0.1 * torch.randn(1, 2, 1920 * 2, generator=torch.Generator().manual_seed(0))
    latents = vae.encode(audio).latent_dist.mean
    sound = vae.decode(latents).sample
    fold_weight_norm(vae)
    assert drop_idle_modules(vae) == 8  # six residual units and two Snakes
    assert torch.equal(vae.encode(audio).latent_dist.mean, latents)
    assert torch.equal(vae.decode(latents).sample, sound)


def test_idle_modules_are_not_trained():
    vae = build_vae()
    trained = {id(parameter) for parameter in trained_parameters(vae)}
    idle = {id(p) for module in idle_modules(vae) for p in module.parameters()}
    assert not trained & idle
    assert sum(p.numel() for p in trained_parameters(vae)) < 3.8e6
    assert 2 * sum(p.numel() for p in vae.parameters()) < 8.7e6  # bytes as they are stored


def test_weights_come_back_and_zero_rows_stay_finite():
    conv = build_vae().encoder.block[1].res_unit1.conv1
    value = torch.randn(128, 128, 7)
    value[5] = 0
    set_weight(conv, value)
    assert torch.allclose(weight(conv), value, atol=1e-6)
    assert conv.weight_v[5].all() and not conv.bias.any()
