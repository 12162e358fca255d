import pytest
import torch

from acestep.mini.measures import spectral_error
from acestep.mini.train.vae_losses import low_band, mr_stft, signal_to_distortion


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(2, 2, 24_000, generator=torch.Generator().manual_seed(seed))


def test_the_same_is_at_no_distance_and_other_noise_at_some():
    one, other = noise(0), noise(1)
    assert mr_stft(one, one) == 0 and low_band(one, one) == 0
    assert 0.5 < mr_stft(other, one) < 2 and low_band(other, one) > 1


def test_silence_is_far_from_sound():
    assert mr_stft(torch.zeros(2, 2, 24_000), noise(0)) > 3


def test_the_benchmark_measures_the_same():
    one, other = noise(0)[:1], noise(1)[:1]
    measured = spectral_error(other[0].numpy(), one[0].numpy())
    assert float(mr_stft(other, one)) == pytest.approx(measured, rel=0.1)


def test_distortion_is_in_decibels_and_blind_to_loudness():
    one, other = noise(0), noise(1)
    made = 0.5 * (one + 0.1 * other)
    assert signal_to_distortion(made, one) == pytest.approx(20, abs=0.5)
