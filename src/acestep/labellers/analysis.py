"""Labels from the sound alone: tempo, time signature, key, loudness, and how it sounds.

No model and no network: numpy and scipy, less than half a second a minute of audio on one core. How
often it is right, and about what it cannot know, is in ``docs/labels.md``.
"""

from dataclasses import dataclass

import numpy as np

from acestep.errors import AudioError, ConfigError
from acestep.labellers.estimate import Estimate
from acestep.labellers.key import find_chroma, read_key
from acestep.labellers.loudness import measure_loudness, true_peak
from acestep.labellers.onsets import find_onsets, to_mono
from acestep.labellers.rhythm import read_rhythm, rhythm_of
from acestep.labellers.texture import describe

CONFIDENT = (
    0.7  # an estimate below is to be looked at; see docs/labels.md for how often it is right
)
SILENCE = 1e-4  # peak; -80 dB
SHORTEST = 1.0  # seconds; of less there is no rhythm and no key


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the sound of a song says.

    ``bpm`` is a whole number, as the model's prompts have it: the mean distance between beats,
    rounded; ``tempo`` is the same, not rounded. In 6/8 the beat is the dotted quarter. ``keyscale``
    ("F# minor") and ``timesignature`` ("4", "3", "6") are in the model's vocabulary. Each is an
    :class:`Estimate` whose confidence is the chance to be right, 0 with value None where there is
    nothing to hear; below ``CONFIDENT`` it should be looked at. ``beats`` and ``downbeats`` are
    in seconds.

    ``loudness`` is in LUFS, ``true_peak`` in dBTP, ``loudness_range`` in LU (the dynamic range);
    ``brightness`` the median spectral centroid in Hz, ``onset_density`` onsets a second,
    ``percussive`` the share of percussion (0–1), ``tuning`` how many cents above A = 440 Hz.
    """

    bpm: Estimate
    keyscale: Estimate
    timesignature: Estimate
    tempo: float | None
    beats: np.ndarray
    downbeats: np.ndarray
    loudness: float | None
    true_peak: float | None
    loudness_range: float | None
    brightness: float | None
    onset_density: float
    percussive: float
    tuning: float


def analyse(
    audio: np.ndarray,
    rate: int = 48_000,
    *,
    bpm_range: tuple[float, float] | None = None,
    beats: tuple[np.ndarray, np.ndarray] | None = None,
) -> Analysis:
    """Analyse a song ``[channels, n]``, float, full scale ±1.

    ``bpm_range`` settles the octave of the tempo: the likeliest candidate from the first to the
    second bpm is taken. ``beats`` are the beats and downbeats (seconds) of another tracker; tempo
    and time signature then follow from them.

    Silence, or less than a second, is answered with values of None. Raises :class:`AudioError` for
    what is not a sound (NaN, infinite, another shape), :class:`ConfigError` for a range that
    is none.
    """
    audio = _checked(audio, rate)
    _check_range(bpm_range)
    loudness, peak = measure_loudness(audio, rate), true_peak(audio)
    heard = audio if np.abs(audio).max(initial=0.0) > SILENCE else audio[:, :0]
    mono = to_mono(heard if heard.shape[1] >= SHORTEST * rate else heard[:, :0], rate)
    onsets, chroma = find_onsets(mono), find_chroma(mono)
    if beats is None:
        rhythm = read_rhythm(onsets, chroma, bpm_range)
    else:
        rhythm = rhythm_of(*beats, onsets, chroma)
    texture = describe(onsets)
    return Analysis(
        bpm=rhythm.bpm,
        keyscale=read_key(chroma),
        timesignature=rhythm.timesignature,
        tempo=rhythm.tempo,
        beats=rhythm.beats,
        downbeats=rhythm.downbeats,
        loudness=loudness.integrated,
        true_peak=peak,
        loudness_range=loudness.range,
        brightness=texture.brightness,
        onset_density=texture.onset_density,
        percussive=texture.percussive,
        tuning=chroma.cents,
    )


def _checked(audio: np.ndarray, rate: int) -> np.ndarray:
    """The sound as float32, or what is wrong with it."""
    if rate <= 0:
        raise AudioError(f"a sample rate of {rate} Hz", hint="give the rate the audio was read at")
    if audio.ndim != 2 or not audio.shape[0] or audio.dtype.kind != "f":
        raise AudioError(
            f"{audio.dtype} of shape {audio.shape} is not audio to analyse",
            hint="give floats of shape (channels, samples), as acestep.data.audio.read_audio does",
        )
    if not np.isfinite(audio).all():
        raise AudioError("the audio holds NaN or Inf", hint="export the song again")
    if not audio.shape[1]:
        return np.zeros((len(audio), 1), np.float32)
    return audio.astype(np.float32, copy=False)


def _check_range(bpm_range: tuple[float, float] | None) -> None:
    if bpm_range is not None and not 0 < bpm_range[0] < bpm_range[1]:
        low, high = bpm_range
        raise ConfigError([f"a tempo range from {low} to {high} bpm"], hint="for example 60-120")
