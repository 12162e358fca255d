import numpy as np
import pytest
import torch

from acestep.mini.corpus import compose, render
from acestep.mini.train import vae_forward
from acestep.mini.train.vae_forward import decode, encode
from acestep.mini.train.vae_losses import mr_stft, signal_to_distortion
from acestep.mini.train.vae_start import cosines, start_vae

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(autouse=True)
def compile_nothing(monkeypatch):
    monkeypatch.setattr(vae_forward, "LARGE", 10**9)


def test_the_transform_reconstructs_perfectly():
    cosine, _ = cosines()
    overlap = cosine.T @ cosine  # analysis and synthesis of one frame; neighbours alias
    shifted = torch.zeros(60, 60)
    for first in (0, 20):
        shifted[first : first + 40, first : first + 40] += overlap
    assert torch.allclose(shifted[20:40, 20:40], torch.eye(20), atol=1e-5)


@torch.no_grad()
def test_it_begins_as_a_good_linear_autoencoder():
    songs = [render(compose(950_000 + number, 1.92)) for number in range(3)]
    clips = torch.from_numpy(np.stack(songs))
    vae = start_vae(clips)
    latents = encode(vae, clips)
    made = decode(vae, latents)
    assert signal_to_distortion(made, clips) > 5 and mr_stft(made, clips) < 1.6
    assert (latents.flatten(0, 1).std(0) - 1).abs().max() < 0.5
