"""Loudness, loudness range and true peak after ITU-R BS.1770-5 and EBU Tech 3342."""

from dataclasses import dataclass

import numpy as np

SILENT = -70.0  # LUFS; blocks below do not count
GATE, RANGE_GATE = -10.0, -20.0  # LU below the mean of what is left
BLOCK, LONG_BLOCK, STEP = 0.4, 3.0, 0.1  # seconds
OVERSAMPLING = 4
PIECE, MARGIN = 256, 32  # samples oversampled at once, and around them
NEAR = 0.6  # of the highest sample: pieces below cannot hold the true peak


@dataclass(frozen=True)
class Loudness:
    """``integrated`` in LUFS, ``range`` in LU; None where the sound is too short or too quiet."""

    integrated: float | None
    range: float | None


def measure_loudness(audio: np.ndarray, rate: int) -> Loudness:
    """Loudness of ``[channels, n]``, left and right weighing 1.

    Integrated loudness is gated at −70 LUFS and 10 LU below the mean; the range is from the 10th to
    the 95th percentile of blocks of 3 s that are less than 20 LU below the mean.
    """
    from scipy.signal import sosfilt

    weighted = sosfilt(k_weighting(rate), audio.astype(np.float64), axis=1)
    energy = np.concatenate([[0.0], np.cumsum((weighted**2).sum(0))])
    momentary = _gated(_powers(energy, BLOCK, rate), GATE)
    lasting = _lufs(_gated(_powers(energy, LONG_BLOCK, rate), RANGE_GATE))
    return Loudness(
        float(_lufs(momentary.mean())) if len(momentary) else None,
        float(np.subtract(*np.quantile(lasting, [0.95, 0.1]))) if len(lasting) else None,
    )


def true_peak(audio: np.ndarray) -> float | None:
    """The peak of ``[channels, n]`` between the samples too, in dBTP; None for silence.

    The sound is oversampled four times where it comes near its highest sample.
    """
    from scipy.signal import resample_poly

    highest = float(np.abs(audio).max(initial=0.0))
    if highest == 0:
        return None
    count = -(-audio.shape[1] // PIECE)
    padded = np.pad(audio, ((0, 0), (MARGIN, MARGIN + count * PIECE - audio.shape[1])))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, PIECE + 2 * MARGIN, axis=1)
    pieces = pieces[:, ::PIECE].reshape(-1, PIECE + 2 * MARGIN)
    near = pieces[np.abs(pieces).max(1) > NEAR * highest]
    for first in range(0, len(near), 2000):
        dense = resample_poly(near[first : first + 2000], OVERSAMPLING, 1, axis=1)
        inside = dense[:, OVERSAMPLING * MARGIN : -OVERSAMPLING * MARGIN]
        highest = max(highest, float(np.abs(inside).max()))
    return 20 * float(np.log10(highest))


def k_weighting(rate: int) -> np.ndarray:
    """The two filters of BS.1770 at any rate, as second-order sections ``[2, 6]``.

    The standard tabulates them at 48 kHz; these are the analogue filters behind the table (a
    high shelf of 4 dB at 1682 Hz, a high pass at 38 Hz), which give it back at 48 kHz.
    """
    gain, quality = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    k = np.tan(np.pi * 1681.974450955533 / rate)
    middle = gain**0.4996667741545416
    over = 1 + k / quality + k * k
    shelf = [
        (gain + middle * k / quality + k * k) / over,
        2 * (k * k - gain) / over,
        (gain - middle * k / quality + k * k) / over,
        1.0,
        2 * (k * k - 1) / over,
        (1 - k / quality + k * k) / over,
    ]
    quality = 0.5003270373238773
    k = np.tan(np.pi * 38.13547087602444 / rate)
    over = 1 + k / quality + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / over, (1 - k / quality + k * k) / over]
    return np.array([shelf, high_pass])


def _powers(energy: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """Mean power of overlapping blocks, from the cumulative sum of squares."""
    size, step = round(seconds * rate), round(STEP * rate)
    first = np.arange(0, len(energy) - size, step)
    return np.maximum(energy[first + size] - energy[first], 0) / size


def _gated(power: np.ndarray, gate: float) -> np.ndarray:
    power = power[_lufs(power) > SILENT]
    return power[_lufs(power) > _lufs(power.mean()) + gate] if len(power) else power


def _lufs(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-15))
