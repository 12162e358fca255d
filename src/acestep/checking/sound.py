"""A song as it lies in its file, before anything is resampled, and its short spectra."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acestep.data.decode import decode, zero_length

LONGEST = 600.0  # seconds of a song that are looked at
FRAMES = 50  # spectra a second
# Bits of a sample in the codings that keep samples as they are; all others are lossy
BITS = {
    "PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64,
    "ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Sound:
    """``audio`` is float32 ``[1 or 2, n]`` at the file's own ``rate``; the first ten minutes.

    ``coding`` is the library's name for how samples are kept, ``channels`` what the file has.
    """

    audio: np.ndarray
    rate: int
    channels: int = 2
    coding: str = "FLOAT"

    @property
    def bits(self) -> int | None:
        """The bits of a sample, None where the coding is lossy."""
        return BITS.get(self.coding)


def read_sound(path: Path) -> Sound:
    """Decode at most :data:`LONGEST` seconds. Raises ``AudioError`` as reading always does."""
    with decode(path) as source:
        blocks, left = [], round(LONGEST * source.rate)
        for block in source.blocks:
            blocks.append(block[:left])
            left -= len(block)
            if left <= 0:
                break
        if not blocks:
            raise zero_length(path)
        audio = np.ascontiguousarray(np.concatenate(blocks).T)
        return Sound(audio, source.rate, source.channels, source.coding)


def mono(audio: np.ndarray) -> np.ndarray:
    """``[c, n]`` → ``[n]``: the mean of the channels, or the louder one where they cancel."""
    mean = audio.mean(0, dtype=np.float32)
    energies = np.einsum("cn,cn->c", audio, audio)
    if np.dot(mean, mean) < 0.05 * energies.max():
        return audio[int(energies.argmax())]
    return mean


def spectra(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power spectra ``[frames, bins]`` of ``[n]``: Hann windows of 20 ms, side by side.

    Bins lie 50 Hz apart. At least one frame; what is short is padded with zeros.
    """
    size = round(rate / FRAMES)
    count = max(1, len(samples) // size)
    frames = np.pad(samples[: count * size], (0, max(0, size - len(samples)))).reshape(count, size)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    power = np.empty((count, size // 2 + 1), np.float32)
    for first in range(0, count, 2000):
        part = np.fft.rfft(frames[first : first + 2000] * window, axis=1)
        power[first : first + 2000] = np.square(np.abs(part)) * (4 / size**2)
    return power


def magnitudes(samples: np.ndarray, size: int, hop: int) -> Iterator[np.ndarray]:
    """Spectra of ``[n]`` under Hann windows that overlap: pieces ``[frames, size // 2 + 1]``.

    Nothing where ``n`` is less than ``size``.
    """
    if len(samples) < size:
        return
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window = np.hanning(size).astype(np.float32)
    for first in range(0, len(frames), 500):
        yield np.abs(np.fft.rfft(frames[first : first + 500] * window, axis=1))


def band_weights(bins: int, edges: np.ndarray) -> np.ndarray:
    """``[bins, bands]``: how much of each 50 Hz bin lies between two neighbouring edges (Hz)."""
    low = (np.arange(bins)[:, None] - 0.5) * FRAMES
    inside = np.minimum(low + FRAMES, edges[1:]) - np.maximum(low, edges[:-1])
    return np.clip(inside / FRAMES, 0, 1).astype(np.float32)
