"""How far decoded audio is from the original, as it is trained and as it is measured."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SIZES = (2048, 1024, 512, 256, 128)  # of the Fourier transforms; the hop is a quarter
QUIETEST = 1e-3  # what is below counts as silence (a sine of 1 has √n / 4)
LOW = 32  # samples a low-band sample is the mean of: up to some 700 Hz
ONSET_WINDOW, ONSET_HOP = 1024, 480  # as onsets are measured


def mr_stft(decoded: Tensor, original: Tensor) -> Tensor:
    """Distance of magnitude spectra of ``[B, 2, n]`` audio at five resolutions, mid and side.

    The mean over resolutions of log-magnitude L1 plus spectral convergence. Another song is at
    2.4, noise at 6.6, a good reconstruction of this size below 0.8.
    """
    target, guess = _mid_side(original), _mid_side(decoded)
    return torch.stack([_distance(guess, target, size) for size in SIZES]).mean()


def low_band(decoded: Tensor, original: Tensor) -> Tensor:
    """Relative L1 of the waveforms below some 700 Hz, where the ear and the beat need phase."""
    a, b = F.avg_pool1d(decoded, LOW), F.avg_pool1d(original, LOW)
    return (a - b).abs().mean() / (b.abs().mean() + 1e-3)


def onset_error(decoded: Tensor, original: Tensor) -> Tensor:
    """Relative L1 of the onset strengths (rises of log magnitudes, 100 a second) of mono clips."""
    window = _window(ONSET_WINDOW, original.device)
    clips = torch.cat([decoded, original]).mean(1)
    levels = torch.stft(clips, ONSET_WINDOW, ONSET_HOP, window=window, return_complex=True)
    power = levels.real.square() + levels.imag.square()
    made, there = (power + 1e-6).sqrt().chunk(2)
    loudest = there.amax((1, 2), keepdim=True).clamp_min(1.0)
    made, there = (
        (50 * side / loudest).log1p().diff(dim=2).clamp_min(0).sum(1) for side in (made, there)
    )
    return (made - there).abs().mean() / (there.mean() + 1.0)


def signal_to_distortion(decoded: Tensor, original: Tensor) -> float:
    """Scale-invariant SDR in dB, the mean over the batch."""
    share = (decoded * original).sum((1, 2)) / original.square().sum((1, 2)).clamp_min(1e-8)
    wanted = share[:, None, None] * original
    rest = (decoded - wanted).square().sum((1, 2)).clamp_min(1e-10)
    return float((10 * torch.log10(wanted.square().sum((1, 2)).clamp_min(1e-10) / rest)).mean())


def _mid_side(audio: Tensor) -> Tensor:
    """``[B, 2, n]`` left and right to ``[2 B, n]``."""
    left, right = audio.unbind(1)
    return 0.5**0.5 * torch.cat([left + right, left - right])


def _distance(guess: Tensor, target: Tensor, size: int) -> Tensor:
    """Of ``[N, n]`` signals at one resolution."""
    edges = (size // 2, size // 2)
    padded = [F.pad(signal[:, None], edges, mode="reflect")[:, 0] for signal in (guess, target)]
    return _Distance.apply(*padded, size)


class _Distance(torch.autograd.Function):
    """The distance together with its gradient, which costs half of what it does step by step."""

    @staticmethod
    def forward(ctx: Any, guess: Tensor, target: Tensor, size: int) -> Tensor:
        window = _window(size, guess.device)
        spectra = torch.fft.rfft(guess.unfold(1, size, size // 4) * window)  # [N, frames, bins]
        a = _magnitudes(spectra, size)
        b = _magnitudes(torch.fft.rfft(target.unfold(1, size, size // 4) * window), size)
        ratio = ((a + QUIETEST) / (b + QUIETEST)).log_()
        difference = a - b
        error = difference.square().sum((1, 2)).sqrt()
        length = b.square().sum((1, 2)).sqrt() + 0.05 * b.shape[1] ** 0.5
        if ctx.needs_input_grad[0]:
            share = (error.clamp_min(1e-9) * length * len(a)).reciprocal()
            slope = ratio.sign() / ((a + QUIETEST) * a.numel())
            slope += difference * share[:, None, None]
            spectra *= slope / (a * size)
            spectra[..., 1:-1] *= 0.5  # a real signal's spectrum has them twice
            added = _overlapped(size * torch.fft.irfft(spectra, size) * window)
            ctx.grad = F.pad(added, (0, guess.shape[1] - added.shape[1]))
        return ratio.abs().mean() + (error / length).mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0] * ctx.grad, None, None


def _magnitudes(spectra: Tensor, size: int) -> Tensor:
    """Scaled so that noise measures the same at all sizes."""
    power = spectra.real.square() + spectra.imag.square()
    return (power + 1e-7).sqrt_() / size**0.5


def _overlapped(frames: Tensor) -> Tensor:
    """Frames ``[N, F, 4 h]`` at distance h added up: ``[N, (F + 3) h]``."""
    parts = frames.unflatten(2, (4, -1)).unbind(2)
    shifted = [F.pad(part, (0, 0, number, 3 - number)) for number, part in enumerate(parts)]
    return torch.stack(shifted).sum(0).flatten(1)


@lru_cache
def _window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)
