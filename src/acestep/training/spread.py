"""How varied a folder's songs are, from their latents: one style, or several?

A one-way analysis of variance over excerpts: each song's latents are cut into pieces, a piece is
the mean and the log deviation of every channel, and the number is how much songs differ over how
much a song differs within itself, the median over these features::

    spread = √ median(max(0, (MSB − MSW) / n) / MSW)

0: songs differ no more than a song does from its own next page. Measured with five songs each
(small model's autoencoder, excerpts of 24 s): two games' soundtracks .59 and .79, two of the
corpus's styles .53 and .67, one song each of five such folders 1.31. With so few songs it is a
rough number: single draws reach from .2 to 1.05 within a folder, from .74 to 1.8 across them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from acestep.data.tensors import Sample

PIECE = 250  # frames: ten seconds
PIECES = 4  # of a song, at least, if it is long enough for pieces of two seconds
SHORTEST_PIECE = 50
TINY = 1e-8


def style_spread(samples: Iterable[Sample]) -> float | None:
    """The spread of songs that stand for themselves (variants are left out); segments of one song
    count as one. None with fewer than two songs of two pieces."""
    songs: dict[str, list[Tensor]] = {}
    for sample in samples:
        if not sample.origin:
            songs.setdefault(sample.song, []).extend(_pieces(sample.latents))
    groups = [torch.stack(pieces).double() for pieces in songs.values() if len(pieces) > 1]
    return _spread(groups) if len(groups) > 1 else None


def _pieces(latents: Tensor) -> list[Tensor]:
    """Features ``[2C]`` of each piece of one sample ``[T, C]``."""
    length = max(SHORTEST_PIECE, min(PIECE, latents.shape[0] // PIECES))
    cut = latents[: latents.shape[0] // length * length].reshape(-1, length, latents.shape[1])
    return [torch.cat([piece.mean(0), (piece.std(0) + TINY).log()]) for piece in cut]


def _spread(groups: list[Tensor]) -> float:
    counts = torch.tensor([float(len(group)) for group in groups], dtype=torch.double)
    total, songs = counts.sum(), len(groups)
    means = torch.stack([group.mean(0) for group in groups])
    grand = (counts[:, None] * means).sum(0) / total
    inner = sum(((group - mean) ** 2).sum(0) for group, mean in zip(groups, means, strict=True))
    within = torch.as_tensor(inner) / (total - songs) + TINY
    between = (counts[:, None] * (means - grand) ** 2).sum(0) / (songs - 1)
    size = (total - (counts**2).sum() / total) / (songs - 1)  # pieces a song, where they differ
    component = ((between - within) / size / within).median()
    return float(component.clamp(min=0).sqrt())
