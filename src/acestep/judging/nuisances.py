"""Copies of the songs' clips that differ in what is not style: how they were encoded and mixed.

By them the directions are known in which features move though the music stays: see
:mod:`acestep.judging.whitening`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from acestep.data.audio import mp3_round_trip, resampled

MOST = 48  # clips that are copied
TILT, PIVOT, FLAT = 2.0, 800.0, (60.0, 10_000.0)  # dB an octave; Hz
NARROW = 16_000  # Hz, a rate that keeps what is below 8 kHz
DRIVE = 4.0  # RMS of 0.1 becomes 0.4 before the limiter

Copy = Callable[[np.ndarray, int], np.ndarray]


def _tilted(slope: float) -> Copy:
    def tilt(audio: np.ndarray, rate: int) -> np.ndarray:
        spectrum = np.fft.rfft(audio)
        hertz = np.fft.rfftfreq(audio.shape[1], 1 / rate).clip(*FLAT)
        gain = 10 ** (slope * np.log2(hertz / PIVOT) / 20)
        return np.fft.irfft(spectrum * gain, audio.shape[1]).astype(np.float32)

    return tilt


def _limited(audio: np.ndarray, rate: int) -> np.ndarray:
    level = np.sqrt(np.mean(audio**2, dtype=np.float64)) + 1e-9
    return np.tanh(audio * (0.1 * DRIVE / level)).astype(np.float32)


def _narrowed(audio: np.ndarray, rate: int) -> np.ndarray:
    return resampled(resampled(audio, rate, NARROW), NARROW, rate)


def _encoded(kbit: int) -> Copy:
    return lambda audio, rate: mp3_round_trip(audio, rate, kbit)


def _mono(audio: np.ndarray, rate: int) -> np.ndarray:
    return np.repeat(audio.mean(0, keepdims=True), 2, axis=0)


KINDS: dict[str, Copy] = {
    "MP3 at 64 kbit/s": _encoded(64), "MP3 at 128 kbit/s": _encoded(128),
    "nothing above 8 kHz": _narrowed, "brighter": _tilted(TILT), "darker": _tilted(-TILT),
    "limited": _limited, "mono": _mono,
}  # fmt: skip


def nuisance_copies(audio: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """The copies of a clip ``[c, n]`` by kind; ``rate`` is one that MP3 knows. 0.3 s for 10 s."""
    return {kind: copy(audio, rate) for kind, copy in KINDS.items()}


def halves(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two halves of a clip ``[c, n]``: how a song varies, where only one clip of it fits."""
    middle = audio.shape[1] // 2
    return audio[:, :middle], audio[:, middle:]


def copied_rows(songs: Sequence[str]) -> list[int]:
    """Which clips to copy, by place in ``songs``: two of each song, 48 in all, spread evenly."""
    places: dict[str, list[int]] = {}
    for place, song in enumerate(songs):
        places.setdefault(song, []).append(place)
    firsts = [found[0] for found in places.values()]
    lasts = [found[-1] for found in places.values() if len(found) > 1]
    chosen = firsts + lasts
    if len(chosen) <= MOST:
        return sorted(chosen)
    return sorted(chosen[number * len(chosen) // MOST] for number in range(MOST))
