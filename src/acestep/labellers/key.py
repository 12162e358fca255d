"""Key: tonal peaks folded to pitch classes, and what in them speaks for each of 24 keys.

Peaks of an 8192-point spectrum that last longer than a drum, each counted also for the tones that
it may be an overtone of (Gómez 2006); the tuning of the whole is their circular mean, so
instruments half a semitone flat do no harm. A key is judged by how well pitch classes fit published
profiles, by its tonic, third and bass, and by which triads are heard; the weights are fitted, as
the rhythm's.
"""

from dataclasses import dataclass

import numpy as np

from acestep.data.labels import TONICS
from acestep.labellers.estimate import Estimate
from acestep.labellers.onsets import RATE, Array, moved, spectra
from acestep.labellers.weights import KEY

WINDOW, HOP = 8192, 2400  # at 24 kHz: 10 frames a second
FRAMES = RATE // HOP
LOWEST, HIGHEST, BASS = 55.0, 2200.0, 190.0  # Hz
OVERTONES, FADE = 5, 0.55
NAMES = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
WINDOW_FRAMES, CHORD_FRAMES = 100, 5  # 10 s, half a second
# Major and minor, after Krumhansl and Kessler 1982, Sha'ath 2011, Temperley 1999, Albrecht and
# Shanahan 2013
PROFILES = {
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "sha'ath": (
        (6.6, 2.0, 3.5, 2.3, 4.6, 4.0, 2.5, 5.2, 2.4, 3.7, 2.3, 3.4),
        (6.5, 2.7, 3.5, 5.4, 2.6, 3.5, 2.5, 5.2, 4.0, 2.7, 4.3, 3.2),
    ),
    "temperley": (
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
    "albrecht": (
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
}


@dataclass(frozen=True)
class Chroma:
    """Pitch classes over time, C first: ``tones`` and ``bass`` ``[frames, 12]``, 10 a second.

    ``cents`` is how far the instruments stand above A = 440 Hz, from −50 to 50.
    """

    tones: Array
    bass: Array
    cents: float


def find_chroma(mono: Array) -> Chroma:
    """Chroma of a sound ``[n]`` at 24 kHz."""
    parts = spectra(mono, WINDOW, HOP, 200)
    magnitude = np.concatenate([part[:, : _bin(HIGHEST) + 2] for part in parts])
    lasting = np.minimum(magnitude, np.maximum(moved(magnitude, 1), moved(magnitude, -1)))
    frame, bin_, height = _find_peaks(lasting)
    hertz = _refine(lasting, frame, bin_) * RATE / WINDOW
    pitch = 12 * np.log2(hertz / 440) + 69
    turn = np.sum(height * np.exp(2j * np.pi * pitch))
    tuning = float(np.angle(turn) / (2 * np.pi)) if abs(turn) > 0 else 0.0
    low = hertz < BASS
    return Chroma(
        _fold(frame, pitch - tuning, height, len(magnitude), OVERTONES),
        _fold(frame[low], pitch[low] - tuning, height[low], len(magnitude), 1),
        100 * tuning,
    )


def read_key(chroma: Chroma) -> Estimate:
    """The likeliest key and the next; None with confidence 0 where there are no tones."""
    if not chroma.tones.any():
        return Estimate(None, 0.0)
    score = np.sum([KEY[name] * value for name, value in key_evidence(chroma).items()], axis=0)
    chance = np.exp(score - score.max())
    best, second = np.argsort(-chance)[:2]
    return Estimate(NAMES[best], float(chance[best] / chance.sum()), NAMES[second])


def key_evidence(chroma: Chroma) -> dict[str, np.ndarray]:
    """What speaks for each of the 24 keys of ``NAMES``, by name of the evidence."""
    tones, bass = _even(chroma.tones, 0.05), _even(chroma.bass, 0.1)
    whole = tones.sum(0)
    share, low = whole / (whole.sum() + 1e-9), bass.sum(0) / (bass.sum() + 1e-9)
    firsts = range(0, max(1, len(tones) - WINDOW_FRAMES // 2), WINDOW_FRAMES // 2)
    windows = np.stack([tones[first : first + WINDOW_FRAMES].sum(0) for first in firsts])
    heard = _triads(tones + 0.5 * bass)
    time = _counted(heard)
    tonic, minor = np.arange(24) % 12, np.arange(24) >= 12
    third = np.where(minor, 3, 4)
    fifth = time[(tonic + 7) % 12]
    return {
        **{f"fits {name}": _fit(whole, name) for name in PROFILES},
        "fits krumhansl, evened": _fit(np.sqrt(whole), "krumhansl"),
        "fits krumhansl, windows": _fit(windows, "krumhansl").mean(0),
        "fits albrecht, windows": _fit(windows, "albrecht").mean(0),
        "bass on tonic": low[tonic],
        "bass on fifth": low[(tonic + 7) % 12],
        "tonic": share[tonic],
        "third": share[(tonic + third) % 12],
        "other third": share[(tonic + 7 - third) % 12],
        "leading tone, minor": share[(tonic + 11) % 12] * minor,
        "minor": minor.astype(float),
        "tonic triad": time,
        "dominant triad": fifth,
        "dominant triad, minor": fifth * minor,
        "subdominant triad": time[12 * minor + (tonic + 5) % 12],
        "first triad": _counted(heard[:8]),
        "last triad": _counted(heard[-8:]),
    }


def _even(frames: Array, floor: float) -> np.ndarray:
    """Frames ``[n, 12]`` that weigh about the same, quiet ones less."""
    loud = frames.sum(1, keepdims=True, dtype=np.float64)
    return frames / (loud + floor * loud.max(initial=0) + 1e-9)


def _fit(classes: np.ndarray, name: str) -> np.ndarray:
    """Correlation of pitch classes ``[..., 12]`` with a profile in all 24 keys ``[..., 24]``."""
    rows = np.array([np.roll(mode, tonic) for mode in PROFILES[name] for tonic in range(12)])
    return (
        _unit(classes - classes.mean(-1, keepdims=True))
        @ _unit(rows - rows.mean(1, keepdims=True)).T
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=-1, keepdims=True) + 1e-9)


def _triads(frames: np.ndarray) -> np.ndarray:
    """The triad of each half second, numbered as ``NAMES``."""
    triads = np.zeros((24, 12))
    for number in range(24):
        third = 3 if number >= 12 else 4
        triads[number, [(number + step) % 12 for step in (0, third, 7)]] = 1
    chords = np.add.reduceat(frames, np.arange(0, len(frames), CHORD_FRAMES))
    return (_unit(chords) @ triads.T).argmax(1)


def _counted(heard: np.ndarray) -> np.ndarray:
    return np.bincount(heard, minlength=24) / max(len(heard), 1)


def _bin(hertz: float) -> int:
    return round(hertz * WINDOW / RATE)


def _find_peaks(magnitude: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, bins and half whitened heights of spectral peaks within 40 dB of the loudest."""
    from scipy.ndimage import uniform_filter1d

    around = uniform_filter1d(magnitude, 51, axis=1)
    inner = magnitude[:, 1:-1]
    found = (inner > magnitude[:, :-2]) & (inner >= magnitude[:, 2:]) & (inner > around[:, 1:-1])
    found &= inner > 0.01 * magnitude.max(initial=1e-9)
    found[:, : _bin(LOWEST)] = False
    frame, bin_ = np.nonzero(found)
    bin_ = bin_ + 1
    height = magnitude[frame, bin_]
    return frame, bin_, height / np.sqrt(around[frame, bin_] + 1e-9)


def _refine(magnitude: Array, frame: np.ndarray, bin_: np.ndarray) -> np.ndarray:
    """Peaks between bins, by a parabola through three log magnitudes."""
    left, top, right = (np.log(magnitude[frame, bin_ + by] + 1e-9) for by in (-1, 0, 1))
    curve = left - 2 * top + right
    return bin_ + np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0)


def _fold(
    frame: np.ndarray, pitch: np.ndarray, weight: np.ndarray, frames: int, overtones: int
) -> Array:
    """Pitch classes ``[frames, 12]``; a peak between two semitones counts less."""
    chroma = np.zeros(frames * 12)
    for number in range(1, overtones + 1):
        base = pitch - 12 * np.log2(number)
        nearest = np.round(base)
        share = weight * FADE ** (number - 1) * np.cos(np.pi * (base - nearest)) ** 2
        place = frame * 12 + nearest.astype(int) % 12
        chroma += np.bincount(place, share, minlength=frames * 12)
    return chroma.reshape(frames, 12).astype(np.float32)
