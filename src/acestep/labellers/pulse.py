"""What speaks for one reading of a rhythm: these beats, so many to the bar, that one the first.

Several candidates for the beat fit the onsets; half and double fit as well as the truth. What tells
them apart is musical: whether beats are stronger than what lies between them, whether kick and
snare alternate, whether bars repeat, how often the harmony changes. Each reading gets a number for
each such observation; :mod:`acestep.labellers.rhythm` weighs them.
"""

from dataclasses import dataclass

import numpy as np

from acestep.labellers.beats import at, mean_bpm
from acestep.labellers.key import FRAMES as CHROMA_FRAMES
from acestep.labellers.key import Chroma
from acestep.labellers.onsets import BODY, FRAMES, HIGH, LOW, VOICE, Onsets

TOTAL = 4  # the row after the four regions
NEAR = 3  # frames; how far from its place an onset may stand
PARTS = (0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75)  # of a beat
ON, FIRST_QUARTER, FIRST_THIRD, HALF, LAST_THIRD, LAST_QUARTER = range(6)
METERS = {"4": 4, "3": 3, "6": 2}  # beats in a bar; in 6/8 the beat is the dotted quarter
LAGS = range(1, 10)  # beats
USUAL = 110.0  # bpm
AROUND = 0.4  # seconds, at least, that are compared before and after a beat


@dataclass(frozen=True)
class Pulse:
    """One candidate's beats, in seconds, and what happens at and between them.

    ``strikes`` is ``[6, 5, n]``: the onset strength at each part of the beat, in each region and in
    all; ``chords`` ``[n, 12]`` the chroma of each beat; ``change`` ``[n]`` by how much the harmony
    changes there (0–1); ``repeats`` how alike beats are that are 1 … 9 apart.
    """

    bpm: float
    beats: np.ndarray
    strikes: np.ndarray
    chords: np.ndarray
    change: np.ndarray
    repeats: dict[int, float]


def look(onsets: Onsets, chroma: Chroma, beats: np.ndarray) -> Pulse:
    """What happens at beats (seconds, at least two)."""
    from scipy.ndimage import maximum_filter1d

    curves = np.concatenate([onsets.regions, onsets.total[None]])
    peaks = maximum_filter1d(curves, 2 * NEAR + 1, axis=1)
    lengths = np.append(np.diff(beats), np.median(np.diff(beats)))
    places = np.stack([beats + part * lengths for part in PARTS]) * FRAMES
    nearest = np.clip(np.round(places).astype(int), 0, curves.shape[1] - 1)
    strikes = peaks[:, nearest].transpose(1, 0, 2)
    total = _summed(chroma.tones + chroma.bass)
    reach = max(float(np.median(lengths)), AROUND)
    before = _between(total, beats - reach, beats)
    return Pulse(
        bpm=mean_bpm(beats),
        beats=beats,
        strikes=strikes,
        chords=_between(total, beats, beats + lengths),
        change=1 - _cosine(before, _between(total, beats, beats + reach)),
        repeats={lag: _repeats(strikes, lag) for lag in LAGS},
    )


def tempo_evidence(pulse: Pulse, correlation: np.ndarray) -> dict[str, float]:
    """What speaks for these beats being the beat; ``correlation`` is that of the onset strength."""
    struck, repeats = pulse.strikes, pulse.repeats
    on, half = struck[ON], struck[HALF]
    quarters = struck[[FIRST_QUARTER, LAST_QUARTER], TOTAL].mean(0)
    thirds = struck[[FIRST_THIRD, LAST_THIRD], TOTAL].mean(0)
    periods = 60 * FRAMES / pulse.bpm * np.array([0.5, 1, 2, 4])
    pulses = dict(zip(("half", "one", "two", "four"), at(correlation, periods), strict=True))
    sway = _sway(on[:, 0::2], on[:, 1::2])
    octave = np.log2(pulse.bpm / USUAL)
    change = pulse.change
    return {
        "octave": octave,
        "octave squared": octave**2,
        **{f"pulse of {name}": value for name, value in pulses.items()},
        "on": float(np.log(on[TOTAL].mean() + 0.1)),
        "on, low": float(np.log(on[LOW].mean() + 0.1)),
        "half": _log_ratio(half[TOTAL], on[TOTAL]),
        "half, low": _log_ratio(half[LOW], on[LOW]),
        "half, body": _log_ratio(half[BODY], on[BODY]),
        "half, high": _log_ratio(half[HIGH], on[HIGH]),
        "quarters": _log_ratio(quarters, on[TOTAL]),
        "thirds": _log_ratio(thirds, half[TOTAL]),
        "thirds, on": _log_ratio(thirds, on[TOTAL]),
        "sway": abs(sway[TOTAL]),
        "sway, low": abs(sway[LOW]),
        "sway, body": abs(sway[BODY]),
        "sway, voice": abs(sway[VOICE]),
        "backbeat": _backbeat(sway),
        "half backbeat": max(_backbeat(_sway(on[:, n::4], on[:, n + 2 :: 4])) for n in (0, 1)),
        "change": float(change.mean()),
        "change, most": float(np.quantile(change, 0.9)),
        "change, sway": abs(change[0::2].mean() - change[1::2].mean()) / (change.mean() + 0.03),
        **{f"repeats {lag}": repeats[lag] for lag in (1, 2, 3, 4, 6, 8)},
    }


def meter_evidence(
    pulse: Pulse, meter: str, tempo: dict[str, float], accent: float
) -> dict[str, float]:
    """What speaks for a time signature at these beats; ``accent`` is how well its bars begin."""
    repeats = pulse.repeats
    others = {
        "4": repeats[4] + repeats[8] - repeats[3] - repeats[5] - (repeats[6] + repeats[9]) / 2,
        "3": repeats[3] + repeats[6] + repeats[9] - repeats[4] - repeats[8] - repeats[5],
        "6": repeats[2] + repeats[4] + repeats[6] - repeats[1] - repeats[3] - repeats[5],
    }
    found = {f"{meter}: bars repeat": others[meter], f"{meter}: accent": accent}
    if meter != "4":
        found[meter] = 1.0
        for name in ("octave", "half", "thirds"):
            found[f"{meter}: {name}"] = tempo[name]
    if meter == "6":
        for name in ("thirds, on", "quarters"):
            found[f"{meter}: {name}"] = tempo[name]
    return found


def bar_evidence(pulse: Pulse, size: int) -> dict[str, np.ndarray]:
    """For each of ``size`` phases, how unlike the other beats of the bar its first is."""
    on = np.log1p(pulse.strikes[ON])
    curves = {
        "low": on[LOW],
        "body": on[BODY],
        "voice": on[VOICE],
        "high": on[HIGH],
        "all": on[TOTAL],
        "half": np.log1p(pulse.strikes[HALF, TOTAL]),
        "low less voice": on[LOW] - on[VOICE],
        "change": 4 * pulse.change,
        "next bar": 4 * _other_harmony(pulse, size),
    }
    return {name: _stands_out(curve, size) for name, curve in curves.items()}


def _stands_out(curve: np.ndarray, size: int) -> np.ndarray:
    """By how many deviations the mean of every ``size``-th beat is above the rest, per phase."""
    phase = np.arange(len(curve)) % size
    means = [curve[phase == first].mean() - curve[phase != first].mean() for first in range(size)]
    return np.array(means) / (curve.std() + 0.1)


def _other_harmony(pulse: Pulse, size: int) -> np.ndarray:
    """How unlike the harmony of the coming bar is to that of the last, at each beat (0–1)."""
    total, here = _summed(pulse.chords), np.arange(len(pulse.chords))
    last = total[here] - total[np.maximum(0, here - size)]
    coming = total[np.minimum(len(here), here + size)] - total[here]
    return 1 - _cosine(last, coming)


def _sway(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By how much one set of beats is stronger than another, per region, −1 to 1."""
    first, second = one.mean(1), other.mean(1)
    return (first - second) / (first + second + 0.2)


def _backbeat(sway: np.ndarray) -> float:
    """Kick on one set of beats and snare on the other."""
    return -sway[LOW] * (sway[VOICE] + sway[HIGH]) / 2


def _log_ratio(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.log((one.mean() + 0.15) / (other.mean() + 0.15)))


def _repeats(strikes: np.ndarray, lag: int) -> float:
    """Correlation of what is struck in a beat with what is struck ``lag`` beats later."""
    count = strikes.shape[2]
    if count < lag + 4:
        return 0.0
    rows = np.log1p(strikes).reshape(-1, count)
    rows = rows - rows.mean(1, keepdims=True)
    common = (rows[:, lag:] * rows[:, :-lag]).sum() / (count - lag)
    return float(common / ((rows**2).sum() / count + 1e-6))


def _summed(rows: np.ndarray) -> np.ndarray:
    """Cumulative sum with a first row of zeros."""
    return np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])


def _between(total: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Chroma ``[n, 12]`` from one time to another, from its cumulative sum."""
    ends = (np.clip(time * CHROMA_FRAMES, 0, len(total) - 1) for time in (last, first))
    high, low = (np.stack([at(column, end) for column in total.T], axis=1) for end in ends)
    return high - low


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(1) / (size + 1e-6)
