"""What can be heard of a clip without being told: tempo, key, harmony over time, style, faults.

Audio is float32 ``[2, n]`` at 48 kHz. Every function that *finds* something is blind: it gets the
sound and nothing of its labels, so that a tempo or key that was asked for and one that was found
can be compared. :mod:`acestep.mini.statistics` has the measures of sets of clips.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acestep.data.audio import RATE
from acestep.data.labels import TONICS, normalize_key
from acestep.mini.statistics import pulse, statistics

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TINY = 1e-9

# Tempo
ONSET_RATE = 100  # Hz
ONSET_WINDOW = 1024
LOWEST_BPM, HIGHEST_BPM = 58.0, 185.0
LIKELY_BPM, LIKELY_OCTAVES = 120.0, 0.8  # centre and width of the preference among multiples
LONGEST_LAG = 4.0  # seconds of repetition that are looked at
OCTAVES = (0.5, 1.0, 2.0)
TOLERANCE = 0.04

# Key and chroma
CHROMA_WINDOW, CHROMA_HOP = 16_384, 4_096
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 2_100.0  # Hz
# How much of a key each degree of the chromatic scale above its tonic is: the scale's notes, those
# of the tonic's triad more, and in minor the raised seventh as well as the natural one.
PROFILES = {
    "major": np.array([6.0, 0.0, 3.5, 0.0, 4.5, 4.0, 0.0, 5.0, 0.0, 3.5, 0.0, 3.0]),
    "minor": np.array([6.0, 0.0, 3.5, 4.5, 0.0, 4.0, 0.0, 5.0, 3.5, 0.0, 3.0, 1.5]),
}

# Spectra of MR-STFT
SCALES = (2048, 1024, 512, 256, 128)
FULL_SCALE = 0.999
SILENT = 1e-3  # rms of half a second, -60 dB


def tempo(audio: np.ndarray) -> float:
    """The likeliest beat in beats a minute, found from how onsets repeat.

    Each candidate is judged by the autocorrelation of the onset strength at all its multiples up to
    ``LONGEST_LAG``, the later ones less; of a beat, its half and its double the one nearer to
    ``LIKELY_BPM`` wins.
    """
    correlation = _onset_correlation(audio)
    candidates = np.exp(np.arange(np.log(LOWEST_BPM), np.log(HIGHEST_BPM), 0.004))
    lags = np.arange(len(correlation))
    scores = []
    for bpm in candidates:
        beat = 60 * ONSET_RATE / bpm
        multiples = np.arange(beat, len(correlation) - 1, beat)
        weights = np.arange(1, len(multiples) + 1) ** -0.5
        scores.append(np.average(np.interp(multiples, lags, correlation), weights=weights))
    score = np.array(scores)
    likely = np.exp(-0.5 * (np.log2(candidates / LIKELY_BPM) / LIKELY_OCTAVES) ** 2)
    best = int(np.argmax(score * likely))
    return float(candidates[best] * np.exp(0.004 * _vertex(score, best)))


def tempo_matches(
    found: float,
    asked: float,
    tolerance: float = TOLERANCE,
    octaves: Sequence[float] = OCTAVES,
) -> bool:
    """Whether a tempo is the one asked for, or half or double of it, within the tolerance."""
    return any(abs(found / (asked * octave) - 1) <= tolerance for octave in octaves)


def key(audio: np.ndarray) -> str:
    """The likeliest of the 24 keys, such as ``"C# minor"``, by its profile in the chroma."""
    classes = np.sqrt(chroma_frames(audio)).mean(0)
    keys = [(tonic, mode) for mode in PROFILES for tonic in range(12)]
    fits = [np.corrcoef(classes, np.roll(PROFILES[mode], tonic))[0, 1] for tonic, mode in keys]
    tonic, mode = keys[int(np.nanargmax(fits))]
    return f"{TONICS[tonic]} {mode}"


def key_matches(found: str, asked: str) -> bool:
    """Whether two keys are the same or relatives: they have the same notes."""
    return scale_of(found) == scale_of(asked)


def scale_of(name: str) -> int:
    """Pitch class of the major key with the notes of this one: 0 for C major and A minor.

    Raises ``ValueError`` for what is no key.
    """
    normal = normalize_key(name)
    if normal is None:
        raise ValueError(f"{name!r} is no key")
    note, mode = normal.split()
    tonic = _NATURAL[note[0]] + note.count("#") - note.count("b")
    return (tonic + (3 if mode == "minor" else 0)) % 12


def chroma_frames(audio: np.ndarray) -> np.ndarray:
    """Power in each pitch class over time, ``[frames, 12]``, C first, 11.7 frames a second.

    Only spectral peaks within a quarter of a semitone of a note of the 440 Hz scale count, so that
    drums, whose peaks lie anywhere, count little.
    """
    magnitude = _magnitudes(audio, CHROMA_WINDOW, CHROMA_HOP)
    frequency = np.fft.rfftfreq(CHROMA_WINDOW, 1 / RATE)
    low, high = np.searchsorted(frequency, [LOWEST_PITCH, HIGHEST_PITCH])
    here, left, right = (magnitude[:, low + s : high + s] for s in (0, -1, 1))
    peak = (here > left) & (here >= right)
    left, middle, right = (np.log(side + TINY) for side in (left, here, right))
    bend = np.minimum(left - 2 * middle + right, -TINY)
    shift = np.where(peak, 0.5 * (left - right) / bend, 0)  # of a bin: the peak of a parabola
    pitch = 12 * np.log2((frequency[low:high] + shift * RATE / CHROMA_WINDOW) / 440) + 69
    nearest = np.round(pitch)
    power = np.where(peak & (np.abs(pitch - nearest) < 0.25), here**2, 0)
    frames = np.zeros((len(power), 12))
    np.add.at(frames, (np.arange(len(power))[:, None], nearest.astype(int) % 12), power)
    return frames


def chroma_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two clips' harmonies are moment by moment: mean cosine of their chroma frames.

    1 for the same notes at the same times. Frames count by the power of the first clip, as square
    roots, and its silent ones not at all.
    """
    first, second = (np.sqrt(_smooth_chroma(clip)) for clip in (one, other))
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    sizes = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    cosines = (first * second).sum(1) / (sizes[0] * sizes[1] + TINY)
    return float(np.average(cosines, weights=sizes[0] + TINY))


def spectral_error(made: np.ndarray, source: np.ndarray) -> float:
    """MR-STFT distance over mid and side, 0 for the same sound, about 2.4 for another song.

    The mean over five windows of spectral convergence plus the mean difference of log magnitudes.
    With magnitudes divided by the root of the window, 0.001 (some -70 dB) is added within the
    logarithm, and 0.05 a frame to the norm that convergence is measured in, so that silence and an
    empty side weigh nothing.
    """
    count = min(made.shape[1], source.shape[1])
    turn = np.array([[1, 1], [1, -1]], np.float32) / np.sqrt(2, dtype=np.float32)
    pairs = list(zip(turn @ made[:, :count], turn @ source[:, :count], strict=True))
    return float(np.mean([_scale_error(*pair, scale) for pair in pairs for scale in SCALES]))


def silent_share(audio: np.ndarray) -> float:
    """Share of half seconds that are quieter than -60 dB of full scale."""
    count = max(1, audio.shape[1] // (RATE // 2))
    parts = np.array_split(audio, count, axis=1)
    return float(np.mean([np.sqrt(np.mean(np.square(part))) < SILENT for part in parts]))


def clipped_share(audio: np.ndarray) -> float:
    """Share of samples at full scale whose neighbour is there too: flat tops."""
    full = np.abs(audio) >= FULL_SCALE
    return float(np.mean(full[:, 1:] & full[:, :-1]))


def pulse_kept(made: np.ndarray, source: np.ndarray, bpm: float) -> float:
    """What is left of a source's beat: its pulse at a tempo over the source's, at most 1."""
    there = pulse(source, bpm)
    return min(1.0, pulse(made, bpm) / there) if there > 0 else 1.0


@dataclass(frozen=True)
class StyleClassifier:
    """Nearest centroid on the fourteen statistics, each in deviations within the styles."""

    styles: tuple[str, ...]
    centroids: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, clips: Mapping[str, Sequence[np.ndarray]]) -> "StyleClassifier":
        """Learn styles from clips of each, two at least."""
        measured = [np.array([statistics(clip) for clip in group]) for group in clips.values()]
        centroids = np.array([rows.mean(0) for rows in measured])
        rest = np.concatenate([rows - rows.mean(0) for rows in measured])
        spread = np.sqrt((rest**2).sum(0) / max(1, len(rest) - len(measured)))
        return cls(tuple(clips), centroids, spread + TINY)

    def of(self, clip: np.ndarray) -> str:
        """The style whose centroid is nearest."""
        return self.ranking(clip)[0]

    def ranking(self, clip: np.ndarray) -> list[str]:
        """All styles, the nearest first."""
        far = np.linalg.norm((self.centroids - statistics(clip)) / self.spread, axis=1)
        return [self.styles[index] for index in np.argsort(far, kind="stable")]


def _magnitudes(audio: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Magnitude spectrogram ``[frames, bins]`` of the mean of the channels, frames centred."""
    mono = np.pad(audio.mean(0, dtype=np.float32), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(mono, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32)))


def _onset_correlation(audio: np.ndarray) -> np.ndarray:
    """Autocorrelation of the onset strength over lags of 10 ms, summed over bands of an octave."""
    magnitude = _magnitudes(audio, ONSET_WINDOW, RATE // ONSET_RATE)
    frames = len(magnitude)
    total = np.zeros(frames)
    for low, high in _octaves():
        level = np.log1p(1000 * magnitude[:, low:high].mean(1) / (magnitude.mean() + TINY) / 100)
        onset = np.maximum(0, np.diff(level, prepend=level[0]))
        onset -= np.convolve(onset, np.ones(101) / 101, "same")
        spectrum = np.abs(np.fft.rfft(onset, 2 * frames)) ** 2
        total += np.fft.irfft(spectrum)[:frames]
    longest = min(frames - 1, round(LONGEST_LAG * ONSET_RATE))
    overlap = 1 - np.arange(longest) / frames
    return total[:longest] / (total[0] + TINY) / overlap


def _octaves() -> Iterator[tuple[int, int]]:
    """Ranges of bins, an octave each; the lowest holds all below 94 Hz."""
    edges = [0, 2, 4, 8, 16, 32, 64, 128, 256, ONSET_WINDOW // 2 + 1]
    return zip(edges[:-1], edges[1:], strict=True)


def _vertex(values: np.ndarray, index: int) -> float:
    """Where the parabola through a value and its neighbours peaks, from -0.5 to 0.5."""
    if not 0 < index < len(values) - 1:
        return 0.0
    left, here, right = values[index - 1 : index + 2]
    bend = left - 2 * here + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _smooth_chroma(audio: np.ndarray) -> np.ndarray:
    """Chroma frames averaged over a third of a second."""
    frames = chroma_frames(audio)
    kernel = np.array([0.25, 0.5, 0.25])
    return np.stack([np.convolve(column, kernel, "same") for column in frames.T], axis=1)


def _scale_error(made: np.ndarray, source: np.ndarray, window: int) -> float:
    a, b = (_magnitudes(x[None], window, window // 4) / np.sqrt(window) for x in (made, source))
    convergence = np.linalg.norm(a - b) / (np.linalg.norm(b) + 0.05 * np.sqrt(len(b)))
    return float(convergence + np.abs(np.log(a + 1e-3) - np.log(b + 1e-3)).mean())
