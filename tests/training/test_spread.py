"""How varied songs are: an analysis of variance, on latents of known variance."""

import pytest
import torch

from acestep.data.tensors import Sample
from acestep.training.spread import style_spread


def song(name: str, between: float, seed: int, *, frames: int = 4000, origin: str = "") -> Sample:
    """Latents [T, 16] whose ten-second means deviate by 1 within a song and ``between`` among."""
    generator = torch.Generator().manual_seed(seed)
    pieces = torch.randn(frames // 250, 16, generator=generator)
    own = between * torch.randn(16, generator=generator)
    latents = (pieces + own).repeat_interleave(250, 0) + 0.1 * torch.randn(
        len(pieces) * 250, 16, generator=generator
    )
    return Sample(name, name, latents, latents, latents, {}, origin)


@pytest.mark.parametrize("between", [0.5, 1.0, 2.0])
def test_the_spread_is_the_ratio_of_deviations_of_the_means(between):
    samples = [song(f"s{n}", between, n) for n in range(40)]
    # Half of the features are deviations within pieces, alike everywhere: the median lies between
    means = [
        torch.cat([s.latents[i : i + 250].mean(0)[None] for i in range(0, len(s.latents), 250)])
        for s in samples
    ]
    songs = torch.stack([m.mean(0) for m in means])
    within = torch.stack([m.var(0) for m in means]).mean(0)
    truth = ((songs.var(0) - within / len(means[0])).clamp(min=0) / within).sqrt()
    assert truth.mean() == pytest.approx(between, rel=0.15)
    assert 0 < style_spread(samples) < between


def test_songs_of_one_kind_have_next_to_none_and_other_kinds_more():
    one = [song(f"s{n}", 0.0, n) for n in range(12)]
    assert style_spread(one) < 0.3
    assert style_spread([song(f"s{n}", 3.0, n) for n in range(12)]) > 3 * style_spread(one)


def test_variants_are_left_out_and_too_little_is_none():
    originals = [song(f"s{n}", 1.0, n) for n in range(6)]
    variants = [song(f"v{n}", 9.0, 50 + n, origin="s0") for n in range(6)]
    assert style_spread(originals + variants) == style_spread(originals)
    assert style_spread([]) is None and style_spread(originals[:1]) is None
    assert style_spread([song("a", 1, 1, frames=250), song("b", 1, 2, frames=250)]) is not None
    short = [Sample(n, n, *[torch.randn(60, 4)] * 3, {}) for n in "abc"]
    assert style_spread(short) is None  # one piece each


def test_silence_is_no_number_that_is_none():
    silent = [Sample(n, n, *[torch.zeros(600, 4)] * 3, {}) for n in "abc"]
    assert style_spread(silent) == 0
