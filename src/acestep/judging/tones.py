"""What a clip plays, whatever its key: how tonal, how many pitch classes, in which intervals."""

import numpy as np
from scipy.signal import firwin, lfilter

from acestep.judging.spectrogram import RATE, Array, Spectrogram, power
from acestep.labellers.key import PROFILES

WINDOW, HOP = 4096, 1200  # at 12 kHz: 10 frames a second
TAPS = 63
LOWEST, HIGHEST, NARROW = 100.0, 2500.0, 0.25  # Hz; semitones off pitch that count 60 %
JOINED = 2  # frames in one: 5 a second
TINY = 1e-9


def tonality(clip: Spectrogram) -> np.ndarray:
    """``[14]`` numbers that a transposition leaves as they are.

    Entropy of the pitch classes; how often two are 1 to 6 semitones apart; how well the best key
    fits (Krumhansl and Kessler 1982), and major against minor; entropy of single frames; mean and
    deviation of their change; mean and deviation of the share of the spectrum that is in peaks.
    """
    filtered = lfilter(firwin(TAPS, 0.48), 1.0, clip.middle)[::2]
    magnitude = np.sqrt(power(filtered.astype(np.float32), WINDOW, HOP))
    chroma, in_peaks = _chroma(magnitude)
    profile = chroma.mean(0)
    change = np.abs(np.diff(chroma, axis=0)).sum(1) if len(chroma) > 1 else np.zeros(1)
    return np.concatenate([
        [_entropy(profile)], _intervals(profile), _keys(profile), [_entropy(chroma).mean()],
        [change.mean(), change.std(), in_peaks.mean(), in_peaks.std()],
    ])  # fmt: skip


def _chroma(magnitude: Array) -> tuple[np.ndarray, np.ndarray]:
    """Pitch classes ``[frames, 12]``, each frame of sum 1; the share of peaks ``[frames]``."""
    low, high = (round(hertz * 2 * WINDOW / RATE) for hertz in (LOWEST, HIGHEST))
    inner, left, right = (magnitude[:, low + by : high + by] for by in (0, -1, 1))
    frame, place = np.nonzero((inner > left) & (inner >= right))
    height = inner[frame, place]
    before, top, after = (np.log(side[frame, place] + TINY) for side in (left, inner, right))
    between = 0.5 * (before - after) / np.minimum(before - 2 * top + after, -TINY)
    hertz = (low + place + between.clip(-0.5, 0.5)) * RATE / 2 / WINDOW
    pitch = 12 * np.log2(hertz / 440) + 69
    nearest = np.round(pitch)
    weight = height * np.exp(-0.5 * ((pitch - nearest) / NARROW) ** 2)
    classes = np.zeros((len(magnitude), 12))
    np.add.at(classes, (frame, nearest.astype(int) % 12), weight)
    peaks = np.bincount(frame, height, minlength=len(magnitude)) / (inner.sum(1) + TINY)
    return _even(_joined(classes)), _joined(peaks[:, None])[:, 0]


def _joined(rows: np.ndarray) -> np.ndarray:
    """The mean of every two frames; a last single one is left out unless it is the only one."""
    whole = max(1, len(rows) // JOINED)
    return rows[: whole * JOINED].reshape(whole, -1, rows.shape[1]).mean(1)


def _even(rows: np.ndarray) -> np.ndarray:
    """Each frame of sum 1; one without a tone has all pitch classes alike."""
    return (rows + TINY) / (rows + TINY).sum(1, keepdims=True)


def _entropy(classes: np.ndarray) -> np.ndarray:
    return -(classes * np.log(classes + TINY)).sum(-1)


def _intervals(profile: np.ndarray) -> np.ndarray:
    """How often two pitch classes so many semitones apart both sound, 1 to 6."""
    return np.array([profile @ np.roll(profile, -by) for by in range(1, 7)]) / (profile @ profile)


def _keys(profile: np.ndarray) -> np.ndarray:
    """The best correlation with a key's profile, and that of major less that of minor."""
    turned = np.stack([np.roll(profile, -tonic) for tonic in range(12)])
    major, minor = (
        max(np.corrcoef(row, mode)[0, 1] if row.std() > TINY else 0.0 for row in turned)
        for mode in PROFILES["krumhansl"]
    )
    return np.array([max(major, minor), major - minor])
