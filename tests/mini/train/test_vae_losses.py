import pytest
import torch

from acestep.mini.measures import spectral_error
from acestep.mini.train.vae_losses import (
    SIZES,
    low_band,
    mr_stft,
    onset_error,
    signal_to_distortion,
)


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(2, 2, 24_000, generator=torch.Generator().manual_seed(seed))


def test_the_same_is_at_no_distance_and_other_noise_at_some():
    one, other = noise(0), noise(1)
    assert mr_stft(one, one) == 0 and low_band(one, one) == 0
    assert 0.5 < mr_stft(other, one) < 2 and low_band(other, one) > 1


def test_silence_is_far_from_sound():
    assert mr_stft(torch.zeros(2, 2, 24_000), noise(0)) > 3


def plain(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """The distance as it is defined, left to autograd."""
    total = torch.zeros(())
    for size in SIZES:
        magnitudes = []
        for audio in (decoded, original):
            left, right = audio.unbind(1)
            pair = torch.cat([left + right, left - right]) / 2**0.5
            window = torch.hann_window(size)
            spectra = torch.stft(pair, size, size // 4, window=window, return_complex=True)
            power = spectra.real.square() + spectra.imag.square()
            magnitudes.append((power + 1e-7).sqrt() / size**0.5)
        a, b = magnitudes
        logs = ((a + 1e-3).log() - (b + 1e-3).log()).abs().mean()
        error = (a - b).square().sum((1, 2)).sqrt()
        total = total + logs
        total = total + (error / (b.square().sum((1, 2)).sqrt() + 0.05 * b.shape[2] ** 0.5)).mean()
    return total / len(SIZES)


def test_value_and_gradient_are_those_of_the_definition():
    guess, original = noise(0).requires_grad_(), noise(1).cumsum(2) * 0.1
    ours, theirs = mr_stft(guess, original), plain(guess, original)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    (mine,), (other,) = (torch.autograd.grad(loss, guess) for loss in (ours, theirs))
    assert (mine - other).abs().max() < 1e-4 * other.abs().max()


def test_the_benchmark_measures_the_same():
    one, other = noise(0)[:1], noise(1)[:1]
    measured = spectral_error(other[0].numpy(), one[0].numpy())
    assert float(mr_stft(other, one)) == pytest.approx(measured, rel=0.1)


def test_distortion_is_in_decibels_and_blind_to_loudness():
    one, other = noise(0), noise(1)
    made = 0.5 * (one + 0.1 * other)
    assert signal_to_distortion(made, one) == pytest.approx(20, abs=0.5)


def clicks(every: int) -> torch.Tensor:
    audio = 1e-3 * noise(0)
    audio[:, :, ::every] += 0.5
    return audio


def test_onsets_are_missed_where_they_are_late_or_blurred_whatever_the_phase():
    beats = clicks(6_000)
    assert onset_error(beats, beats) == 0
    assert onset_error(-beats, beats) == 0
    late, blurred = beats.roll(2_000, 2), beats.cumsum(2).clamp(-0.02, 0.02)
    assert onset_error(late, beats) > 1 and onset_error(blurred, beats) > 0.5
    assert onset_error(beats.requires_grad_(), torch.zeros_like(beats)).isfinite()
