"""Audio to latents and back, in tiles that give the result of one pass in bounded memory.

A convolutional encoder sees a bounded stretch of audio for each frame. Its reach is computed from
the config; tiles begin on frame boundaries and overlap by at least the reach, and what the edge of
a tile disturbs is dropped. So tiling changes nothing but the order of float sums, and an hour needs
no more memory than a few minutes.
"""

import math
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from acestep.errors import AceStepWarning, AudioError

# Latent frames decoded at a time, 10.2 s: longer tiles save little overlap and cost memory
DECODE_TILE = 256

UNIT_REACH = 3 * (1 + 3 + 9)  # three residual units: 7 taps, dilated by 1, 3 and 9
EDGE_TAPS = 3  # the first and last convolutions have 7 taps


@torch.no_grad()
def encode_audio(
    vae: Any,
    blocks: Iterable[np.ndarray] | np.ndarray,
    *,
    seed: int,
    tile_seconds: float = 30.0,
    at_once: int = 1,
) -> Tensor:
    """Latents ``[1, T, C]`` of 48 kHz stereo, float32 on the CPU; ``T = floor(samples / hop)``.

    ``blocks`` is audio ``[2, n]`` float32, whole or as an iterator of successive blocks of any
    length. The encoder gives a mean and a deviation for each frame; the latents are drawn from
    them as ``mean + deviation · noise``, as training data of this model always was. The noise comes
    from a CPU generator seeded with ``seed``, frame by frame in the order of time, so that it
    depends on nothing but the seed: not on the tiles, the blocks, the device, or how much follows.

    Golden data: ``vae`` (mean and deviation). Raises :class:`AudioError` for less than one frame
    (1920 samples).
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    tiles = []
    for mean, deviation in encode_tiles(vae, blocks, tile_seconds=tile_seconds, at_once=at_once):
        tiles.append(mean + deviation * _noise(len(mean), mean.shape[1], generator))
    return torch.cat(tiles)[None]


@torch.no_grad()
def encode_tiles(
    vae: Any,
    blocks: Iterable[np.ndarray] | np.ndarray,
    *,
    tile_seconds: float = 30.0,
    at_once: int = 1,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Mean and deviation of successive stretches of audio, each ``[frames, C]`` float32, CPU.

    Put together they are what the encoder says of the whole audio in one pass. ``at_once`` tiles go
    through it together. A GPU has the next ones to do before those that are done are taken.
    """
    ahead = 1 if next(vae.parameters()).device.type == "cuda" else 0
    launched: deque[_Pass] = deque()
    for tiles in _alike(_tiles(vae.config, blocks, tile_seconds), at_once):
        launched.extend(_launch(vae, tiles))
        while len(launched) > ahead:
            yield from launched.popleft().posteriors()
    for each in launched:
        yield from each.posteriors()


@torch.no_grad()
def decode_audio(vae: Any, latents: Tensor, *, tile_frames: int = DECODE_TILE) -> np.ndarray:
    """Audio ``[2, T · hop]`` float32 at 48 kHz of latents ``[1, T, C]``; golden data: ``vae``.

    Decoded in tiles with the overlap that exactness needs; nothing is normalised or clipped. What
    goes beyond the range of a decoder in float16 is decoded again, and from then on, in float32.
    """
    hop = math.prod(vae.config["downsampling_ratios"])
    before, after = decoder_reach(vae.config)
    weight = next(vae.decoder.parameters())
    frames = latents.shape[1]
    audio = np.empty((vae.config["audio_channels"], frames * hop), dtype=np.float32)
    for first in range(0, frames, tile_frames):
        last = min(first + tile_frames, frames)
        low, high = max(0, first - before), min(frames, last + after)
        tile = latents[:, low:high].transpose(1, 2).to(device=weight.device, dtype=weight.dtype)
        sound = vae.decoder(tile)[0, :, (first - low) * hop : (last - low) * hop]
        audio[:, first * hop : last * hop] = sound.float().cpu().numpy()
    if weight.dtype == torch.float16 and not np.isfinite(audio).all():
        vae.decoder.float()
        return decode_audio(vae, latents, tile_frames=tile_frames)
    return audio


def encoder_reach(config: Mapping[str, Any]) -> tuple[int, int]:
    """How many frames of audio before and after a frame its encoding depends on.

    7 and 7 for the published VAE (its 26,250 samples are 13.7 frames), 11 and 11 for the small one.
    """
    ratios = config["downsampling_ratios"]
    low, high = -1, 1  # the last convolution has three taps
    for stride in reversed(ratios):
        padding = math.ceil(stride / 2)
        low = low * stride - padding - UNIT_REACH
        high = high * stride - padding + 2 * stride - 1 + UNIT_REACH
    low, high = low - EDGE_TAPS, high + EDGE_TAPS
    hop = math.prod(ratios)
    return math.ceil(-low / hop), math.ceil((high + 1 - hop) / hop)


def decoder_reach(config: Mapping[str, Any]) -> tuple[int, int]:
    """How many frames before and after a frame its audio depends on."""
    ratios = config["downsampling_ratios"]
    low, high = -EDGE_TAPS, math.prod(ratios) - 1 + EDGE_TAPS
    for stride in ratios:  # from the output back: the decoder upsamples in reverse order
        padding = math.ceil(stride / 2)
        low, high = low - UNIT_REACH, high + UNIT_REACH
        low = math.ceil((low + padding - 2 * stride + 1) / stride)
        high = math.floor((high + padding) / stride)
    return EDGE_TAPS - low, high + EDGE_TAPS


@dataclass(frozen=True)
class _Tile:
    """Audio ``[2, n]`` whose encoding counts for ``frames`` frames, from its frame ``skip`` on."""

    audio: np.ndarray
    skip: int
    frames: int


@dataclass(frozen=True)
class _Pass:
    """Tiles that went through the encoder together, and what it says, once ``copied``."""

    tiles: list[_Tile]
    states: Tensor
    copied: torch.cuda.Event | None

    def posteriors(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Mean and deviation of each tile's frames."""
        if self.copied:
            self.copied.synchronize()
        for tile, states in zip(self.tiles, self.states, strict=True):
            mean, scale = states[:, tile.skip : tile.skip + tile.frames].T.chunk(2, dim=1)
            yield mean, nn.functional.softplus(scale) + 1e-4


def _tiles(
    config: Mapping[str, Any], blocks: Iterable[np.ndarray] | np.ndarray, seconds: float
) -> Iterator[_Tile]:
    """The audio in tiles that overlap; all but the last are of one length.

    Nothing comes before the first, so as many more of its own frames count.
    """
    hop = math.prod(config["downsampling_ratios"])
    before, after = encoder_reach(config)
    step = max(1, round(seconds * config["sampling_rate"] / hop))  # frames
    length = (before + step + after) * hop
    held = np.empty((2, 0), dtype=np.float32)  # audio from frame `start` on
    start = done = samples = 0
    for block in _pieces(blocks, step * hop):
        samples += block.shape[1]
        held = np.concatenate([held, block], axis=1)
        while held.shape[1] >= length:
            frames = start + before + step - done
            yield _Tile(held[:, :length], done - start, frames)
            done += frames
            start = done - before
            held = held[:, step * hop :].copy()
    frames = samples // hop
    if frames == 0:
        raise AudioError(
            f"{samples} samples are too short to encode: one frame takes {hop}",
            hint="Leave the file out, or use a longer one.",
        )
    if frames > done:
        yield _Tile(held, done - start, frames - done)


def _alike(tiles: Iterable[_Tile], most: int) -> Iterator[list[_Tile]]:
    """Successive tiles of equal length, up to ``most`` together."""
    group: list[_Tile] = []
    for tile in tiles:
        if group and tile.audio.shape != group[0].audio.shape:
            yield group
            group = []
        group.append(tile)
        if len(group) == most:
            yield group
            group = []
    if group:
        yield group


def _launch(vae: Any, tiles: list[_Tile]) -> list[_Pass]:
    """Put tiles through the encoder: together, or in halves where memory does not suffice."""
    try:
        return [_encode(vae, tiles)]
    except torch.OutOfMemoryError:
        if len(tiles) == 1:
            raise
    warnings.warn(
        f"{len(tiles)} tiles of audio at once do not fit into memory; half of them do the same",
        AceStepWarning,
        stacklevel=2,
    )
    half = len(tiles) // 2
    return _launch(vae, tiles[:half]) + _launch(vae, tiles[half:])


def _encode(vae: Any, tiles: list[_Tile]) -> _Pass:
    """One pass of the encoder; copies to and from a GPU do not wait for it."""
    weight = next(vae.parameters())
    signal = torch.from_numpy(np.stack([tile.audio for tile in tiles]).astype(np.float32))
    if weight.device.type != "cuda":
        states = vae.encoder(signal.to(device=weight.device, dtype=weight.dtype))
        return _Pass(tiles, states.float().cpu(), None)
    signal = signal.pin_memory().to(weight.device, non_blocking=True)
    states = vae.encoder(signal.to(weight.dtype)).float()
    result = torch.empty(states.shape, pin_memory=True).copy_(states, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(weight.device))  # of this device, not the current one
    return _Pass(tiles, result, copied)


def _noise(frames: int, channels: int, generator: torch.Generator) -> Tensor:
    """Normal noise ``[frames, channels]``, the same as drawn one frame after another."""
    if channels % 16 == 0:  # torch draws in sixteens, so here all at once is the same
        return torch.randn(frames, channels, generator=generator)
    return torch.stack([torch.randn(channels, generator=generator) for _ in range(frames)])


def _pieces(blocks: Iterable[np.ndarray] | np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The same audio in blocks of at most ``size`` samples."""
    for block in [blocks] if isinstance(blocks, np.ndarray) else blocks:
        assert block.ndim == 2 and block.shape[0] == 2, f"audio must be [2, n], is {block.shape}"
        for first in range(0, block.shape[1], size):
            yield block[:, first : first + size]
