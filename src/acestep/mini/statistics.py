"""How far one set of clips lies from another: fourteen statistics of sound, pulse, chroma.

For clips ``A`` and ``B`` the distance is ``mean over s of |mean_A(s) − mean_B(s)| / SPREAD[s]``:
by how many standard deviations of songs at large the average clip differs, averaged over the
statistics. It says whether two sets sound alike on average, not whether they are good music.

With ``P[f, t]`` the power spectrum (Hann window of 2048 samples, hop 512, channels averaged), and
medians taken over the frames that are not silent (power above 10⁻⁴ of the loudest frame's):

=========== =====================================================================================
logcen      log₂(1 + median centroid), centroid = Σ f·P / Σ P, in Hz
logroll     log₂(1 + median roll-off), the frequency below which 85 % of a frame's power lies
flat        log₁₀ of the median flatness, geometric over arithmetic mean of P, 47 Hz – 16.4 kHz
tonal       median share of the 8 strongest bins in the power of 94 Hz – 5.9 kHz
flux        mean over frames of Σ_f max(0, rise of log(1 + 50·|X| / max|X|))
crest       20·log₁₀(peak / rms), dB
pulse       autocorrelation of the onset strength at its own best tempo (55 – 190 bpm)
chent       entropy of the chroma, nats (2.48 where all twelve are equal)
band0 … 5   10·log₁₀ of the share of power in 0–150–400–1000–2500–6000–24000 Hz
=========== =====================================================================================
"""

from collections.abc import Sequence

import numpy as np

from acestep.mini.corpus import RATE, STYLES, TESTS, compose, render

WINDOW, HOP = 2048, 512
BAND_EDGES = (0, 150, 400, 1000, 2500, 6000, RATE / 2 + 1)
BANDS = tuple(f"band{number}" for number in range(len(BAND_EDGES) - 1))
NAMES = ("logcen", "logroll", "flat", "tonal", "flux", "crest", "pulse", "chent", *BANDS)
ONSET_WINDOW, ONSET_HOP = 1024, 480
ONSET_RATE = RATE / ONSET_HOP  # 100 Hz
# Standard deviation of each statistic over songs of STYLES: what measure_spread() returns.
SPREAD = np.array([
    0.3908, 0.3385, 1.34, 0.05331, 11.12, 1.103, 0.1529, 0.1846,
    1.846, 1.853, 1.98, 2.543, 4.18, 7.987,
])  # fmt: skip
SPREAD_SEED = TESTS + 30_000
TINY = 1e-9


def statistics(audio: np.ndarray) -> np.ndarray:
    """The statistics of one clip (float32 ``[channels, n]``, 48 kHz, ≥ 1 s), in NAMES' order."""
    magnitude = _magnitudes(audio, WINDOW, HOP)
    power = magnitude**2
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    total = power.sum(1) + TINY
    heard = total > 1e-4 * total.max()
    centroid = power @ frequency / total
    below = np.cumsum(power, 1) < 0.85 * total[:, None]
    rolloff = frequency[np.minimum(below.sum(1), len(frequency) - 1)]
    wide, middle = power[:, 2:700], power[:, 4:250]
    flatness = np.exp(np.log(wide + 1e-10).mean(1)) / (wide.mean(1) + 1e-10)
    strongest = np.partition(middle, -8, axis=1)[:, -8:].sum(1) / (middle.sum(1) + TINY)
    rms = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    classes = chroma(audio)
    return np.array([
        np.log2(1 + np.median(centroid[heard])),
        np.log2(1 + np.median(rolloff[heard])),
        np.log10(np.median(flatness[heard]) + 1e-6),
        np.median(strongest[heard]),
        _rises(magnitude).mean(),
        20 * np.log10(np.abs(audio).max() / (rms + TINY) + TINY),
        _best_pulse(_onset_autocorrelation(audio)),
        -(classes * np.log(classes + TINY)).sum(),
        *_band_levels(power.sum(0), frequency),
    ])  # fmt: skip


def distance(clips: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> float:
    """The distance between two sets of clips (see the module); 0 for a set and itself."""
    means = [np.mean([statistics(clip) for clip in group], axis=0) for group in (clips, target)]
    return float(np.mean(np.abs(means[0] - means[1]) / SPREAD))


def pulse(audio: np.ndarray, bpm: float) -> float:
    """How strongly onsets repeat at a tempo, from about 0 (not at all) to 1 (exactly).

    The mean of the normalised autocorrelation of the onset strength at one and at two beats.
    """
    correlation = _onset_autocorrelation(audio)
    beat = 60 * ONSET_RATE / bpm
    around = [round(multiple * beat) for multiple in (1, 2)]
    return float(np.mean([correlation[max(0, lag - 1) : lag + 2].max() for lag in around]))


def chroma(audio: np.ndarray) -> np.ndarray:
    """Share of the power of 80 – 2000 Hz in each of the twelve pitch classes, C first."""
    power = _magnitudes(audio, 8192, 4096) ** 2
    frequency = np.fft.rfftfreq(8192, 1 / RATE)
    inside = (frequency > 80) & (frequency < 2000)
    classes = (np.round(12 * np.log2(frequency[inside] / 440)).astype(int) + 9) % 12
    shares = np.bincount(classes, power.sum(0)[inside], minlength=12)
    return shares / (shares.sum() + TINY)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine between two vectors, 1 for the same direction."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + TINY))


def measure_spread(songs: int = 4, seconds: float = 10.0) -> np.ndarray:
    """Standard deviation of each statistic over ``songs`` songs of every trained style."""
    seeds = range(SPREAD_SEED, SPREAD_SEED + songs)
    clips = (render(compose(seed, seconds, style=style)) for style in STYLES for seed in seeds)
    return np.std([statistics(clip) for clip in clips], axis=0)


def _magnitudes(audio: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Magnitude spectrogram ``[frames, bins]`` of the mean of the channels."""
    mono = audio.mean(0, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(mono, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32)))


def _rises(magnitude: np.ndarray) -> np.ndarray:
    loudness = np.log1p(50 * magnitude / (magnitude.max() + TINY))
    return np.maximum(0, np.diff(loudness, axis=0)).sum(1)


def _onset_autocorrelation(audio: np.ndarray) -> np.ndarray:
    """Autocorrelation of the onset strength (its running mean removed) over lags of 10 ms."""
    onset = _rises(_magnitudes(audio, ONSET_WINDOW, ONSET_HOP))
    onset = onset - np.convolve(onset, np.ones(51) / 51, "same")
    correlation = np.correlate(onset, onset, "full")[len(onset) - 1 :]
    return correlation / (correlation[0] + TINY)


def _best_pulse(correlation: np.ndarray) -> float:
    """The autocorrelation at the likeliest tempo, tempi around 110 bpm being preferred."""
    tempo = 60 * ONSET_RATE / np.maximum(np.arange(len(correlation)), 1)
    likely = np.exp(-0.5 * (np.log2(tempo / 110) / 0.6) ** 2)
    score = np.where((tempo >= 55) & (tempo <= 190), correlation * likely, -1)
    return float(correlation[int(score.argmax())])


def _band_levels(power: np.ndarray, frequency: np.ndarray) -> list[float]:
    edges = zip(BAND_EDGES[:-1], BAND_EDGES[1:], strict=True)
    inside = [power[(frequency >= low) & (frequency < high)].sum() for low, high in edges]
    return [10 * float(np.log10(band / (power.sum() + TINY) + 1e-7)) for band in inside]
