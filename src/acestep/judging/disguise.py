"""A passage as nobody would hand it in: moved in pitch and tempo, through MP3.

What is planted to see whether copies are found. It needs no package beyond the core, so pitch and
tempo are moved more roughly than variants of a song are (:mod:`acestep.data.stretch`).
"""

import numpy as np

from acestep.data.audio import mp3_round_trip, resampled

WINDOW, HOP = 4096, 1024  # samples of the stretched sound


def disguised(
    audio: np.ndarray, rate: int, semitones: float, tempo: float, kbit: int
) -> np.ndarray:
    """``[c, n]``, :func:`moved` and decoded from an MP3; ``rate`` is one that MP3 knows."""
    return mp3_round_trip(moved(audio, rate, semitones, tempo), rate, kbit)


def moved(audio: np.ndarray, rate: int, semitones: float, tempo: float) -> np.ndarray:
    """``[c, n]``, so many semitones higher and ``tempo`` times as fast: ``[c, n / tempo]``.

    Pitch is moved by resampling, and the tempo that this changes is put right.
    """
    pitch = 2 ** (semitones / 12)
    raised = resampled(audio, rate * pitch, rate) if semitones else np.asarray(audio, np.float32)
    return raised if tempo == pitch else stretched(raised, tempo / pitch)


def stretched(audio: np.ndarray, speed: float) -> np.ndarray:
    """``[c, n]`` at another speed and the same pitch: ``[c, about n / speed]``.

    A phase vocoder: frames are taken ``speed`` hops apart and laid down a hop apart, each turned on
    by as much as the sound turns within a hop. All bins around a spectral peak turn with it, which
    keeps attacks sharp (identity phase locking, Laroche and Dolson, IEEE TSAP 7, 1999), and so do
    both channels, which keeps them in place.
    """
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    padded = np.pad(audio, ((0, 0), (WINDOW, 2 * WINDOW)))
    count = int((audio.shape[1] + WINDOW) / (HOP * speed)) + 1
    result = np.zeros((len(audio), (count - 1) * HOP + WINDOW), np.float32)
    phase = np.zeros(WINDOW // 2 + 1)
    for number in range(count):
        place = HOP + round(number * HOP * speed)
        spectra = np.fft.rfft(padded[:, place : place + WINDOW] * window)
        before = np.fft.rfft(padded[:, place - HOP : place - HOP + WINDOW].mean(0) * window)
        middle = spectra.mean(0)
        turn = (phase - np.angle(before))[_peak_of(np.abs(middle))] if number else 0.0
        phase = np.angle(middle) + turn
        laid = np.fft.irfft(spectra * np.exp(1j * turn)) * window
        result[:, number * HOP : number * HOP + WINDOW] += laid
    first = round((WINDOW - HOP) / speed)
    return result[:, first : first + round(audio.shape[1] / speed)] / (1.5 * WINDOW / (4 * HOP))


def _peak_of(magnitudes: np.ndarray) -> np.ndarray:
    """For each bin the one at the top of the nearest peak."""
    inner = magnitudes[1:-1]
    peaks = np.flatnonzero((inner > magnitudes[:-2]) & (inner >= magnitudes[2:])) + 1
    if not len(peaks):
        return np.arange(len(magnitudes))
    borders = (peaks[1:] + peaks[:-1] + 1) // 2
    return peaks[np.searchsorted(borders, np.arange(len(magnitudes)), side="right")]
