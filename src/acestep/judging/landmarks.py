"""Which passage of which song a clip follows, be it moved in pitch and tempo.

Landmarks after Wang (ISMIR 2003): pairs of spectral peaks, each with the time and the pitch between
its two peaks. Pitch is a logarithm here, so a pair keeps its shape in another key, and the time
between its peaks may be multiplied before it is looked up, so it is also found at another tempo.
Pairs of a clip that lie at one and the same distance from pairs of a song make a passage.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from acestep.checking.sound import magnitudes, mono
from acestep.data.audio import resampled
from acestep.errors import AudioError

RATE, WINDOW, HOP = 12_000, 4096, 512  # Hz, samples
FRAMES = RATE / HOP  # a second
PER_OCTAVE, LOWEST, BANDS = 36, 147.0, 180  # up to 4.7 kHz
AROUND = 9  # frames and bands, in whose middle a peak is the highest
PART, PEAKS = 2.0, 28  # seconds, and the most peaks in them
FAINT = 9.0  # nepers under the loudest, below which there are no peaks
FAN = 8  # pairs that begin at a peak
NEAREST, FARTHEST, WIDEST = 2, 60, 30  # frames and bands between the peaks of a pair
TEMPI = (1.0, 0.94, 0.96, 0.98, 1.02, 1.04, 1.06)
SEMITONES = 3  # up and down
BIN = 2  # frames
CLOSE = 5  # frames around the best distance, within which pairs belong to the passage
HALF, SPANNED = 0.5, 3  # seconds, and the pairs that must lie over them for them to be covered
_STEP = PER_OCTAVE // 12
_KEYS = 64  # more than the pitches of a pair: 2 · WIDEST + 1
_SIZE = (FARTHEST + 1) * _KEYS


@dataclass(frozen=True)
class Landmarks:
    """The pairs of a sound, ordered by their shape: int32 arrays of one length.

    ``times`` and ``pitches`` are a pair's first peak (frames, bands), ``gaps`` and ``leaps`` what
    lies between it and the second; ``starts[key]`` is where the shape ``key`` begins in the order.
    """

    seconds: float
    times: np.ndarray
    pitches: np.ndarray
    gaps: np.ndarray
    leaps: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, start: float, seconds: float) -> "Landmarks":
        """The landmarks of a passage, whose time begins at 0."""
        first = round(start * FRAMES)
        last = first + round(seconds * FRAMES)
        inside = (self.times >= first) & (self.times + self.gaps < last)
        length = max(0.0, min(seconds, self.seconds - start))
        times, pitches = self.times[inside] - first, self.pitches[inside]
        return _ordered(length, times, pitches, self.gaps[inside], self.leaps[inside])


@dataclass(frozen=True)
class Match:
    """How a clip follows a song, where it does so best.

    ``strict`` and ``tolerant`` say how unlikely it is that so many pairs lie at one distance by
    chance (−log10 of it, at least 0): in the song's own key and tempo, and in any within ±3
    semitones and ±6 %. ``seconds`` of the clip are covered, between ``start`` and ``end``; ``at``
    is the place in the song where ``start`` is. The clip is ``semitones`` higher and ``tempo``
    times as fast.
    """

    strict: float = 0.0
    tolerant: float = 0.0
    seconds: float = 0.0
    start: float = 0.0
    end: float = 0.0
    at: float = 0.0
    semitones: float = 0.0
    tempo: float = 1.0

    @property
    def score(self) -> float:
        """The greater of the two."""
        return max(self.strict, self.tolerant)


@dataclass(frozen=True)
class Hits:
    """Pairs of a clip and of a song that have one shape, at one tempo: how far apart, where."""

    tempo: float
    distances: np.ndarray  # frames
    shifts: np.ndarray  # bands
    pairs: np.ndarray  # of the clip


def find_landmarks(audio: np.ndarray, rate: int) -> Landmarks:
    """The landmarks of ``[c, n]`` or ``[n]``; none in silence or where there is hardly any sound.

    Raises ``AudioError`` for samples that are not finite.
    """
    audio = np.atleast_2d(np.asarray(audio, np.float32))
    if not np.isfinite(audio).all():
        raise AudioError("the sound holds NaN or Inf", hint="make it again")
    seconds = audio.shape[1] / rate
    times, pitches = _peaks(resampled(mono(audio)[None], rate, RATE)[0] if seconds else audio[0])
    return _ordered(seconds, *_pairs(times, pitches))


def follow(clip: Landmarks, song: Landmarks) -> Match:
    """Where and how a clip follows a song; scores of 0 where either has no landmarks."""
    if not len(clip) or not len(song):
        return Match()
    hits = {tempo: find_hits(clip, song, tempo) for tempo in TEMPI}
    strict, place = _score(hits[1.0], 0)
    tolerant, places = 0.0, [(strict, hits[1.0], place)]
    for hit in hits.values():
        score, place = _score(hit, SEMITONES * _STEP)
        tolerant = max(tolerant, score)
        places.append((score, hit, place))
    _, hit, place = max(places, key=lambda entry: entry[0])
    return _passage(clip, hit, place, (strict, tolerant))


def semitones(audio: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """Log magnitudes ``[n, 72]`` of six octaves from C2, so many ``frames`` a second."""
    sound = resampled(mono(np.atleast_2d(audio))[None], rate, RATE)[0]
    return _levels(sound, RATE // frames, 12, 65.41, 72)


def _levels(sound: np.ndarray, hop: int, per_octave: int, lowest: float, count: int) -> np.ndarray:
    """Log magnitudes ``[frames, count]``; what is FAINT and three nepers more is the floor."""
    bands = _triangles(per_octave, lowest, count)
    padded = np.pad(sound, WINDOW // 2)
    heard = [piece @ bands for piece in magnitudes(padded, WINDOW, hop)]
    levels = np.concatenate(heard) if heard else np.zeros((0, count), np.float32)
    loudest = float(levels.max(initial=0.0))
    return np.log(np.maximum(levels, max(loudest * np.exp(-FAINT - 3), 1e-9)))


@cache
def _triangles(per_octave: int, lowest: float, count: int) -> np.ndarray:
    """``[bins, count]``: triangles over log frequency, none narrower than two bins."""
    centres = lowest * 2 ** (np.arange(-1, count + 1) / per_octave)
    lines = np.arange(WINDOW // 2 + 1)[:, None] * (RATE / WINDOW)
    below = np.maximum(np.diff(centres)[:-1], RATE / WINDOW)
    above = np.maximum(np.diff(centres)[1:], RATE / WINDOW)
    middle = centres[1:-1]
    rise, fall = (lines - middle) / below + 1, (middle - lines) / above + 1
    weights = np.clip(np.minimum(rise, fall), 0, None)
    return (weights / weights.sum(0)).astype(np.float32)


def _peaks(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames and bands of the peaks, by time: the best of every two seconds."""
    from scipy.ndimage import maximum_filter

    levels = _levels(sound, HOP, PER_OCTAVE, LOWEST, BANDS)
    nothing = np.zeros(0, np.int32)
    if not levels.size or levels.max() < np.log(1e-6):
        return nothing, nothing
    raised = levels - 0.5 * np.median(levels, axis=0)
    highest = raised == maximum_filter(raised, AROUND, mode="nearest")
    frames, bands = np.nonzero(highest & (levels > levels.max() - FAINT))
    height = (raised - raised.mean(1, keepdims=True))[frames, bands]
    part = (frames / (PART * FRAMES)).astype(int)
    order = np.lexsort((-height, part))
    rank = np.arange(len(order)) - np.searchsorted(part[order], part[order])
    kept = np.sort(order[rank < PEAKS])
    return frames[kept].astype(np.int32), bands[kept].astype(np.int32)


def _pairs(times: np.ndarray, pitches: np.ndarray) -> Iterator[np.ndarray]:
    """Times, pitches, gaps and leaps of the FAN nearest followers of each peak."""
    count = np.zeros(len(times), int)
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0, int), np.zeros(0, int))]
    for ahead in range(1, len(times)):
        gap = times[ahead:] - times[:-ahead]
        if gap.min() > FARTHEST:
            break
        leap = np.abs(pitches[ahead:] - pitches[:-ahead])
        fits = (gap >= NEAREST) & (gap <= FARTHEST) & (leap <= WIDEST)
        first = np.flatnonzero(fits & (count[:-ahead] < FAN))
        count[first] += 1
        found.append((first, first + ahead))
    first, second = (np.concatenate(ends) for ends in zip(*found, strict=True))
    yield times[first]
    yield pitches[first]
    yield times[second] - times[first]
    yield pitches[second] - pitches[first]


def _ordered(
    seconds: float, times: np.ndarray, pitches: np.ndarray, gaps: np.ndarray, leaps: np.ndarray
) -> Landmarks:
    keys = gaps * _KEYS + leaps + WIDEST
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], np.arange(_SIZE + 1))
    return Landmarks(seconds, times[order], pitches[order], gaps[order], leaps[order], starts)


def find_hits(clip: Landmarks, song: Landmarks, tempo: float) -> Hits:
    """Every pair of the song that has the shape of one of the clip's, were it played at tempo."""
    gaps = np.rint(clip.gaps * tempo).astype(int)
    known = np.flatnonzero((gaps >= NEAREST) & (gaps <= FARTHEST))
    keys = gaps[known] * _KEYS + clip.leaps[known] + WIDEST
    first, count = song.starts[keys], song.starts[keys + 1] - song.starts[keys]
    pairs = np.repeat(known, count)
    within = np.arange(len(pairs)) - np.repeat(np.cumsum(count) - count, count)
    theirs = np.repeat(first, count) + within
    shifts = song.pitches[theirs] - clip.pitches[pairs]
    near = np.abs(shifts) <= SEMITONES * _STEP + 1
    pairs, theirs = pairs[near], theirs[near]
    distances = song.times[theirs] - clip.times[pairs] * np.float32(tempo)
    return Hits(tempo, distances, shifts[near], pairs)


def _score(hits: Hits, widest: int) -> tuple[float, tuple[float, int]]:
    """How unlikely the fullest cell is, and where it lies: distance (frames) and shift (bands).

    A cell is three bins of distance and three bands wide. The counts of cells that hold nothing in
    common are Poisson, so −log10 of the tail, less that of the number of cells.
    """
    inside = np.abs(hits.shifts) <= widest + 1
    if not inside.any():
        return 0.0, (0.0, 0)
    distances, shifts = hits.distances[inside], hits.shifts[inside] + widest + 1
    lowest = float(distances.min())
    bins = ((distances - lowest) / BIN).astype(int)
    shape = int(bins.max()) + 1, 2 * widest + 3
    cells = np.bincount(bins * shape[1] + shifts, minlength=shape[0] * shape[1]).reshape(shape)
    padded = np.pad(cells, ((1, 1), (0, 0)))
    cells = padded[:-2] + padded[1:-1] + padded[2:]
    cells = cells[:, :-2] + cells[:, 1:-1] + cells[:, 2:]
    fullest = int(cells.argmax())
    row, column = divmod(fullest, cells.shape[1])
    tried = cells.size * (1 if widest == 0 else len(TEMPI))
    score = _unlikely(int(cells.flat[fullest]), float(cells.mean())) - np.log10(tried)
    return max(0.0, float(score)), (lowest + (row + 0.5) * BIN, column - widest)


def _unlikely(count: int, mean: float) -> float:
    """−log10 of the probability that a Poisson variable is no less than ``count``."""
    from scipy.special import gammainc, gammaln

    if (tail := float(gammainc(count, mean))) > 1e-290:
        return -float(np.log10(tail))
    # Beyond what a double holds the first term stands for the tail; the others are a geometric row
    first = count * np.log(mean) - mean - gammaln(count + 1)
    return float((np.log1p(-mean / (count + 1)) - first) / np.log(10))


def _passage(
    clip: Landmarks, hits: Hits, place: tuple[float, int], scores: tuple[float, float]
) -> Match:
    """What of the clip the pairs around the fullest cell cover."""
    near = np.abs(hits.distances - place[0]) <= CLOSE
    near &= np.abs(hits.shifts - place[1]) <= 1
    pairs = hits.pairs[near]
    begins = (clip.times[pairs] / FRAMES / HALF).astype(int)
    ends = ((clip.times[pairs] + clip.gaps[pairs]) / FRAMES / HALF).astype(int)
    change = np.zeros(int(clip.seconds / HALF) + 3, int)
    np.add.at(change, begins, 1)
    np.add.at(change, ends + 1, -1)
    covered = np.flatnonzero(np.cumsum(change) >= SPANNED)
    if not len(covered):
        return Match(*scores)
    start, end = float(covered[0] * HALF), min(float(covered[-1] + 1) * HALF, clip.seconds)
    distance = float(np.median(hits.distances[near])) / FRAMES
    shift = -float(hits.shifts[near].mean()) / _STEP
    return Match(
        *scores, len(covered) * HALF, start, end,
        max(0.0, start * hits.tempo + distance), shift, hits.tempo,
    )  # fmt: skip
