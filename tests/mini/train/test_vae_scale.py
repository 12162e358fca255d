import pytest
import torch

from acestep.mini.train import vae_forward, vae_scale
from acestep.mini.train.vae_forward import decode, encode
from acestep.mini.train.vae_scale import deviations, scale_latents
from acestep.mini.train.vae_start import start_vae

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(autouse=True)
def compile_nothing(monkeypatch):
    monkeypatch.setattr(vae_scale, "CLIP_FRAMES", 4)
    monkeypatch.setattr(vae_forward, "LARGE", 10**9)


def test_what_carries_more_varies_more():
    found = deviations(torch.tensor([1e-4, 0.5, 1.0, 2.0, 1e4]))
    assert (found.diff() >= 0).all() and found[3] > 1.5 * found[1]
    assert found[-1] / found[0] == pytest.approx(4)
    assert float(found.square().mean()) == pytest.approx(1)


@torch.no_grad()
def test_scaled_latents_sound_the_same():
    generator = torch.Generator().manual_seed(0)
    songs = torch.randn(2, 2, 1920 * 48, generator=generator).cumsum(2) * 1e-3
    vae = start_vae(songs)
    vae.encoder.conv2.bias[:64] = torch.randn(64, generator=generator)
    before = decode(vae, encode(vae, songs))
    target = scale_latents(vae, songs)
    latents = encode(vae, songs)
    assert torch.allclose(latents.flatten(0, 1).mean(0), torch.zeros(64), atol=1e-3)
    assert torch.allclose(latents.flatten(0, 1).std(0), target, rtol=0.02)
    after = decode(vae, latents)
    inner = slice(1920 * 8, -1920 * 8)
    assert (after - before)[..., inner].abs().max() < 1e-3 * before.abs().max()
    deviation = vae.encode(songs[:1, :, : 1920 * 3]).latent_dist.std[0, :, 0]
    assert torch.allclose(deviation, 0.02 * target + 1e-4, rtol=1e-3)
