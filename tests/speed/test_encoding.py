"""How many tiles fit onto a card, and who reads."""

import pytest
import torch

from acestep.model.base import find_model
from acestep.speed import encoding
from acestep.speed.encoding import readers, tile_bytes, tiles_at_once

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PUBLISHED = {
    "encoder_hidden_size": 128,
    "channel_multiples": [1, 2, 4, 8, 16],
    "downsampling_ratios": [2, 4, 4, 6, 10],
    "sampling_rate": 48000,
}


def test_a_tile_takes_about_60_mb_a_second_in_bfloat16():
    """As counted for the published autoencoder, live tensors at the widest place."""
    assert tile_bytes(PUBLISHED, torch.bfloat16, 30.0) / 30.56 == pytest.approx(60e6, rel=0.05)
    assert tile_bytes(PUBLISHED, torch.float32, 30.0) / 30.56 == pytest.approx(120e6, rel=0.05)


@pytest.mark.parametrize(
    ("free", "dtype", "count"),
    [(130, torch.float32, 8), (22, torch.float32, 3), (22, torch.bfloat16, 6),
     (7, torch.float32, 1), (1, torch.float32, 1)],
)  # fmt: skip
def test_as_many_as_half_of_the_free_memory_holds(monkeypatch, free, dtype, count):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * 2**30, 141 * 2**30))
    choice = tiles_at_once(PUBLISHED, CUDA, dtype, 30.0)
    assert choice.value == count and f"{free} GiB are free" in choice.why


def test_a_cpu_has_one_at_a_time_and_mps_too():
    config = find_model().config("vae")
    assert tiles_at_once(config, CPU, torch.float32, 30.0).value == 1
    assert tiles_at_once(config, torch.device("mps"), torch.float32, 30.0).value == 1


def test_readers(monkeypatch):
    monkeypatch.setattr(encoding, "free_cores", lambda: 11)
    assert readers(None, CPU).value == 0 and readers(None, CUDA).value == 11
    assert readers(3, CPU).value == 3 and readers(0, CUDA).value == 0
    assert "--workers" in readers(0, CUDA).why


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_tile_takes_is_not_less_than_foreseen():
    from acestep.model.base import load_vae
    from acestep.model.vae import encode_audio

    vae = load_vae(find_model(), CUDA)
    audio = torch.randn(2, 48000 * 70).numpy() * 0.1
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    encode_audio(vae, audio, seed=0)
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 1.3 * tile_bytes(vae.config, torch.float32, 30.0)
