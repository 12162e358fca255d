"""Whether a clip repeats itself: the period, and how usual that is among the songs.

Two measures see a loop. The lag correlation compares spectra a lag apart; it also sees a loop that
is played anew each time, if not well. The self-match counts pairs of spectral peaks that come
again after one and the same lag; it sees exact repetition, and hardly any noise hides it from it.
Much music loops, so the songs' own values say what is usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from acestep.judging.landmarks import FRAMES, Landmarks, find_hits, find_landmarks, semitones

SPECTRA = 5  # a second
SHORTEST, LONGEST, LEFT = 1.0, 25.0, 4.0  # seconds of a lag, and what must remain beside it
WINDOW, TWIN, APART = 8, 0.8, 10  # spectra of a passage; a twin's cosine; spectra between them
LOOP_CORRELATION, LOOP_MATCH = 0.92, 0.5  # what no usual music exceeds
MUCH = 0.95  # of the songs' excerpts repeat themselves less
FEW = 5  # excerpts, below which nothing is known of what is usual
NEARLY = 0.9  # of the highest value; the shortest lag that reaches it is the period
PART = 0.8  # of the landmarks that return after a lag: a part of it after which they do is it
HEARD = 6.0  # nepers under the loudest frame, below which a frame is silence

Grade = Literal["loop", "much repetition", "usual"]


@dataclass(frozen=True)
class Loop:
    """How much a sound repeats itself.

    ``lag_correlation`` (−1 to 1) is the highest mean cosine of spectra one lag apart,
    ``self_match`` (0 to about 1) the share of landmarks that come again after one lag,
    ``repeat_share`` (0 to 1) that of passages of 1.6 s with a twin two seconds away or more.
    ``period`` is the lag in seconds, None where nothing comes again.
    """

    lag_correlation: float = 0.0
    self_match: float = 0.0
    repeat_share: float = 0.0
    period: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {name: value and round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Judged:
    """A clip, and the share of the songs' excerpts that repeat themselves less than it."""

    clip: str
    loop: Loop
    grade: Grade
    percentile: float | None

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "clip": self.clip,
            "grade": self.grade,
            "percentile": None if self.percentile is None else round(self.percentile, 3),
            **self.loop.as_dict(),
        }

    def sentence(self) -> str:
        """What repeats, and how usual that is."""
        loop, more = self.loop, ""
        period = "" if loop.period is None else f" {loop.period:.1f} s"
        what = "is a loop of" if self.grade == "loop" else "repeats itself every"
        if self.percentile is not None:
            more = f", more than {100 * self.percentile:.0f} % of the songs' excerpts do"
        return (
            f"{self.clip} {what}{period}{more} (lag correlation {loop.lag_correlation:.2f}, "
            f"self-match {loop.self_match:.2f})."
        )


@dataclass(frozen=True)
class Loops:
    """What all clips do, beside excerpts of the songs as long as they are."""

    clips: tuple[Judged, ...]
    folder: tuple[Loop, ...] = ()

    @property
    def loops(self) -> int:
        """How many clips are loops."""
        return sum(judged.grade == "loop" for judged in self.clips)

    @property
    def verdict(self) -> str:
        """All of it in one sentence."""
        number, much = len(self.clips), sum(one.grade != "usual" for one in self.clips)
        if not number:
            return "There are no clips, so none was looked at for loops."
        beside = "" if len(self.folder) >= FEW else " There are too few songs to say what is usual."
        if self.loops:
            return f"{self.loops} of {number} clips are loops.{beside}"
        if much:
            return f"{much} of {number} clips repeat themselves more than the songs do.{beside}"
        return f"None of {number} clips repeats itself more than the songs do.{beside}"

    def sentences(self) -> list[str]:
        """The verdict, and each clip that is not usual."""
        return [self.verdict, *(one.sentence() for one in self.clips if one.grade != "usual")]

    def as_dict(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {
            "verdict": self.verdict,
            "loops": self.loops,
            "sentences": self.sentences(),
            "clips": [judged.as_dict() for judged in self.clips],
            "folder": _summary(self.folder),
        }


def measure_loop(audio: np.ndarray, rate: int, landmarks: Landmarks | None = None) -> Loop:
    """How much ``[c, n]`` repeats itself; ``landmarks`` are its own, if they are known.

    Zeros and no period for silence and for what is too short for a lag: 5 s.
    """
    marks = landmarks if landmarks is not None else find_landmarks(audio, rate)
    cosines, heard = _cosines(semitones(audio, rate, SPECTRA))
    correlations, shares = _by_lag(cosines, heard), _match_by_lag(marks)
    period = _shortest(correlations)
    return Loop(
        _highest(correlations, SPECTRA),
        _highest(shares, FRAMES),
        _repeat_share(cosines, heard),
        period and _refined(period, shares),
    )


def loop_excerpts(audio: np.ndarray, rate: int, seconds: float, most: int = 4) -> list[Loop]:
    """The same of excerpts of a song, side by side or the whole song, if it is shorter."""
    size = round(seconds * rate)
    count = max(1, min(most, audio.shape[1] // max(1, size)))
    room = max(0, audio.shape[1] - size)
    starts = [room // 2] if count == 1 else [room * n // (count - 1) for n in range(count)]
    return [measure_loop(audio[:, start : start + size], rate) for start in starts]


def judge_loops(clips: Mapping[str, Loop], folder: Sequence[Loop]) -> Loops:
    """What each clip does, judged by excerpts of the songs of the same length."""
    return Loops(tuple(_judge(name, loop, folder) for name, loop in clips.items()), tuple(folder))


def _judge(name: str, loop: Loop, folder: Sequence[Loop]) -> Judged:
    usual = [np.array([one.lag_correlation for one in folder])]
    usual.append(np.array([one.self_match for one in folder]))
    known = len(folder) >= FEW
    grade: Grade = "usual"
    values = (loop.lag_correlation, loop.self_match)
    for value, level, others in zip(values, (LOOP_CORRELATION, LOOP_MATCH), usual, strict=True):
        above = value > others.max(initial=-1.0)
        if value > level and above:
            grade = "loop"
        elif known and grade == "usual" and value > max(0.0, np.quantile(others, MUCH)):
            grade = "much repetition"
    percentile = max(
        float((others < value).mean()) for value, others in zip(values, usual, strict=True)
    ) if known else None  # fmt: skip
    return Judged(name, loop, grade, percentile)


def _cosines(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines ``[n, n]`` of all spectra ``[n, 72]`` without their mean, and which ones sound."""
    loudness = levels.max(1, initial=-np.inf)
    heard = loudness > max(loudness.max(initial=-np.inf) - HEARD, np.log(1e-6))
    if not heard.any():
        return np.zeros((len(levels), len(levels)), np.float32), heard
    apart = (levels - levels[heard].mean(0)) * heard[:, None]
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
    return apart @ apart.T, heard


def _by_lag(cosines: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """The mean cosine at each lag; 0 where hardly anything sounds on both sides of it."""
    means = np.zeros(max(0, len(heard) - round(LEFT * SPECTRA)) + 1)
    for lag in range(1, len(means)):
        both = heard[lag:] & heard[:-lag]
        if both.sum() >= LEFT * SPECTRA / 2:
            means[lag] = np.diagonal(cosines, lag)[both].mean()
    return means


def _match_by_lag(marks: Landmarks) -> np.ndarray:
    """The share of landmarks that come again after each lag, a frame more or less."""
    length = int(marks.seconds * FRAMES)
    lags = np.arange(max(0, length - round(LEFT * FRAMES)) + 1)
    if not len(marks):
        return np.zeros(len(lags))
    hits = find_hits(marks, marks, 1.0)
    again = hits.distances[(hits.shifts == 0) & (hits.distances > 0)].astype(int)
    counts = np.bincount(again, minlength=len(lags) + 2)[: len(lags) + 1].astype(float)
    near = np.convolve(counts, np.ones(3), "same")[: len(lags)]
    return np.minimum(1.0, near / (len(marks) * (1 - lags / length)))


def _range(values: np.ndarray, rate: float) -> tuple[int, int]:
    """The lags that count: from one second to 25, as far as there are values."""
    return round(SHORTEST * rate), min(len(values), round(LONGEST * rate) + 1)


def _highest(values: np.ndarray, rate: float) -> float:
    return max(0.0, float(values[slice(*_range(values, rate))].max(initial=0.0)))


def _shortest(values: np.ndarray) -> float | None:
    """The shortest lag in seconds that is a peak and nearly as high as the highest, if any is."""
    first, last = _range(values, SPECTRA)
    highest = _highest(values, SPECTRA)
    if highest <= 0:
        return None
    padded = np.pad(values[:last], (0, 1), constant_values=-1.0)
    lags = np.arange(first, last)
    peaks = (padded[lags] >= padded[lags - 1]) & (padded[lags] >= padded[lags + 1])
    high = lags[peaks & (padded[lags] >= NEARLY * highest)]
    return int(high[0]) / SPECTRA if len(high) else None  # highest where the lags begin: no peak


def _refined(period: float, shares: np.ndarray) -> float:
    """The lag that landmarks have near a period, or near a part of it, where as many return.

    Spectra see no period that ends between two of them, but its double.
    """
    best, share = _peak_near(period, shares)
    if share <= 0:
        return period
    for parts in range(int(period / SHORTEST), 1, -1):
        part, of_part = _peak_near(period / parts, shares)
        if of_part > PART * share:
            best = part
            break
    around = np.arange(best - 1, min(best + 2, len(shares)))
    return float((shares[around] * around).sum() / shares[around].sum()) / FRAMES


def _peak_near(period: float, shares: np.ndarray) -> tuple[int, float]:
    """The frame within a spectrum of a lag at which most landmarks return, and their share."""
    first = round((period - 1 / SPECTRA) * FRAMES)
    near = shares[first : round((period + 1 / SPECTRA) * FRAMES) + 1]
    return (first + int(near.argmax()), float(near.max())) if len(near) else (first, 0.0)


def _repeat_share(cosines: np.ndarray, heard: np.ndarray) -> float:
    """The share of passages that sound and have a twin far enough away."""
    count = len(heard) - WINDOW + 1
    if count <= APART:
        return 0.0
    alike = np.mean([cosines[n : n + count, n : n + count] for n in range(WINDOW)], axis=0)
    rows = np.arange(count)
    alike[np.abs(rows[:, None] - rows) < APART] = -1
    sounding = heard[:count] & heard[WINDOW - 1 :]
    return float((alike.max(1) > TWIN)[sounding].mean()) if sounding.any() else 0.0


def _summary(folder: Sequence[Loop]) -> dict[str, Any]:
    """What is usual: median and maximum of the songs' excerpts."""
    found: dict[str, Any] = {"excerpts": len(folder)}
    for name in ("lag_correlation", "self_match", "repeat_share"):
        values = [vars(loop)[name] for loop in folder]
        found[name] = (
            {"median": round(float(np.median(values)), 3), "maximum": round(max(values), 3)}
            if values
            else None
        )
    return found
