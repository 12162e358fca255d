"""Where something begins: the rise of loudness in each band of a spectrogram.

Super-flux after Böck and Widmer (DAFx 2013): a log-magnitude spectrogram in eighths of an octave,
and for each band by how much it is louder than it or a neighbour was 20 ms ago, so that vibrato and
slides do not count. One curve each for four regions (kick and bass, body, voice, cymbals).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

RATE = 24_000  # Hz, of the mono sound that labels are read from
WINDOW, HOP = 2048, 240
FRAMES = RATE // HOP  # a second: 100
LOWEST, BANDS_AN_OCTAVE = 30.0, 8
EDGES = (180.0, 700.0, 2800.0)  # Hz, between the four regions
LOW, BODY, VOICE, HIGH = range(4)
LAG = 2  # frames, between what is compared
COMPRESSION = 100.0
SMOOTH = 1.2  # seconds, over which a mean is taken off
BLOCK = 2000  # frames transformed at once


@dataclass(frozen=True)
class Onsets:
    """Onset strength at 100 frames a second.

    ``regions`` is ``[4, frames]``: how much is new below 180 Hz, to 700, to 2800 and above, local
    mean removed, not below 0, each divided by its deviation; ``total`` ``[frames]`` the same of
    their sum. ``bands`` ``[bands, frames]`` is the log spectrogram they come from.
    """

    regions: Array
    total: Array
    bands: Array

    @property
    def seconds(self) -> float:
        return len(self.total) / FRAMES


def to_mono(audio: np.ndarray, rate: int) -> Array:
    """``[channels, n]`` at any rate → ``[m]`` at 24 kHz: the mean, or one side if they cancel."""
    from scipy.signal import resample_poly

    sound = audio.mean(0, dtype=np.float32)
    if np.dot(sound, sound) < 0.05 * np.dot(audio[0], audio[0]):
        sound = audio[0]
    divisor = int(np.gcd(rate, RATE))
    return resample_poly(sound, RATE // divisor, rate // divisor).astype(np.float32)


def find_onsets(mono: Array) -> Onsets:
    """Onset strength of a sound ``[n]`` at 24 kHz."""
    bands = _log_bands(mono)
    reference = np.maximum.reduce([bands, moved(bands, 1), moved(bands, -1)])
    rise = np.zeros_like(bands)
    rise[:, LAG:] = np.maximum(0, bands[:, LAG:] - reference[:, :-LAG])
    borders = np.searchsorted(_centres(), EDGES)
    regions = np.stack([part.sum(0) for part in np.split(rise, borders)])
    return Onsets(
        np.stack([_normalised(region) for region in regions]), _normalised(regions.sum(0)), bands
    )


def spectra(sound: Array, window: int, hop: int, block: int = BLOCK) -> list[Array]:
    """Magnitudes ``[frames, bins]`` of centred Hann windows, in blocks of frames."""
    from scipy.fft import rfft

    padded = np.pad(sound, (window // 2, window // 2 + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = np.hanning(window).astype(np.float32)
    return [
        np.abs(rfft(frames[first : first + block] * shape)).astype(np.float32)
        for first in range(0, len(frames), block)
    ]


def _centres() -> np.ndarray:
    """Centre frequencies of the bands: eighths of an octave, but at least a bin apart."""
    wanted = LOWEST * 2 ** (np.arange(70) / BANDS_AN_OCTAVE)
    bins = np.unique(np.round(wanted[wanted < 0.46 * RATE] * WINDOW / RATE))
    return bins * RATE / WINDOW


def band_edges() -> tuple[np.ndarray, np.ndarray]:
    """Where each band begins and ends, in Hz: halfway to its neighbours."""
    centres = _centres()
    between = (centres[1:] + centres[:-1]) / 2
    return np.append(centres[0] - RATE / WINDOW / 2, between), np.append(between, 0.48 * RATE)


def magnitudes(bands: Array) -> Array:
    """Magnitudes (of any scale) from the log spectrogram."""
    return np.expm1(bands)


def _log_bands(mono: Array) -> Array:
    """Log-magnitude ``[bands, frames]``, relative to the loud parts of the sound."""
    filters = _triangles()
    bands = np.concatenate([part @ filters for part in spectra(mono, WINDOW, HOP)]).T
    loud = np.quantile(bands.max(0), 0.95) if bands.size else 0.0
    return np.log1p(COMPRESSION * bands / (loud + 1e-9)).astype(np.float32)


def _triangles() -> Array:
    """Filters ``[bins, bands]``: triangles between the neighbours' centres, each of sum 1."""
    centres = _centres() * WINDOW / RATE
    edges = np.concatenate([[centres[0] - 1], centres, [centres[-1] * 2 ** (1 / BANDS_AN_OCTAVE)]])
    bins = np.arange(WINDOW // 2 + 1)
    filters = np.stack(
        [
            np.interp(bins, edges[number : number + 3], [0, 1, 0], left=0, right=0)
            for number in range(len(centres))
        ],
        axis=1,
    )
    return (filters / filters.sum(0)).astype(np.float32)


def moved(rows: Array, by: int) -> Array:
    """Rows moved by a few places, the outermost repeated."""
    index = np.clip(np.arange(len(rows)) + by, 0, len(rows) - 1)
    return rows[index]


def _normalised(curve: np.ndarray) -> Array:
    """What rises above the local mean, in deviations."""
    from scipy.ndimage import uniform_filter1d

    above = np.maximum(0, curve - uniform_filter1d(curve, round(SMOOTH * FRAMES)))
    return (above / (above.std() + 1e-6)).astype(np.float32)
