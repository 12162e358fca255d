"""A deterministic synthesiser for the small base model's world. numpy only, ~80 × real time.

The small model lives on a grid: its latents are 40 ms long, so a beat is a whole number of them
(seven tempi); a sustained tone repeats every four of them (pitches are multiples of 6.25 Hz, below
180 Hz of 3.125 Hz); every tone starts at phase 0; beat 1 is sample 0. Songs on this grid survive
the small VAE; songs off it come out as texture.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RATE = 48_000
FRAME_SECONDS = 0.04
BEAT_FRAMES = {63: 24, 75: 20, 94: 16, 107: 14, 125: 12, 150: 10, 188: 8}
PITCH_GRID = 6.25  # Hz; half of it below BASS_TOP
BASS_TOP = 180.0  # Hz
# One cycle of PITCH_GRID / 2 in samples: a table of this length holds every tone of the grid
# exactly, a tone of n × PITCH_GRID / 2 being read with stride n.
TABLE = round(RATE / (PITCH_GRID / 2))
HIGHEST_HARMONIC = 16_000  # Hz
MASTER, PEAK = 0.6, 0.89


@dataclass(frozen=True)
class Voice:
    """A pitched instrument: harmonic h starts at amplitude ``h**-tilt`` and darkens with time."""

    tilt: float = 1.2
    dark_tilt: float = 2.2
    fade: float = 0.4  # seconds in which the bright spectrum gives way to the dark one
    harmonics: tuple[int, ...] = tuple(range(1, 33))
    attack: float = 0.004
    decay: float = 30.0  # time constant of the amplitude, seconds
    release: float = 0.06
    drive: float = 0.0
    gain: float = 0.3


@dataclass(frozen=True)
class Drum:
    """A drum: a sine falling from ``start`` to ``end`` Hz, and noise, the brighter by ``edge``."""

    start: float = 0.0
    end: float = 0.0
    tone: float = 0.0
    noise: float = 0.0
    edge: int = 1
    decay: float = 0.08
    pan: float = 0.0


@dataclass(frozen=True)
class Note:
    """One event: ``start`` and ``length`` in sixteenths, ``pitch`` in Hz (0 for a drum)."""

    start: int
    length: float
    pitch: float
    player: Voice | Drum
    pan: float


def beat_seconds(bpm: int) -> float:
    """Length of a beat at one of the grid's tempi (a caption rounds them: 94 is 93.75)."""
    return BEAT_FRAMES[bpm] * FRAME_SECONDS


def exact_bpm(bpm: int) -> float:
    """The grid's exact tempo behind a captioned one: 94 → 93.75, 107 → 107.14…"""
    return 60 / beat_seconds(bpm)


def on_grid(pitch: float) -> float:
    """The nearest pitch of the grid, Hz."""
    step = PITCH_GRID if pitch >= BASS_TOP else PITCH_GRID / 2
    return max(step, round(pitch / step) * step)


def render(notes: tuple[Note, ...], bpm: int, seconds: float, *, reverb: float = 0.1) -> np.ndarray:
    """Play notes: float32 ``[2, seconds · 48000]``, peak PEAK, first sixteenth at sample 0."""
    count = round(seconds * RATE)
    mix = np.zeros((2, count), np.float32)
    sixteenth = beat_seconds(bpm) / 4
    for note in notes:
        start = round(note.start * sixteenth * RATE)
        match note.player:
            case Voice():
                sound = _tone(note.player, note.pitch, round(note.length * sixteenth * RATE))
            case Drum():
                sound = _strike(note.player)
        sound = sound[: max(0, count - start)]
        angle = (note.pan + 1) * np.pi / 4  # constant power
        mix[0, start : start + len(sound)] += np.float32(np.cos(angle)) * sound
        mix[1, start : start + len(sound)] += np.float32(np.sin(angle)) * sound
    if reverb:
        mix += reverb * _reverberate(mix)
    mix = np.tanh(MASTER * mix)  # a soft limiter
    return (PEAK / max(1e-9, float(np.abs(mix).max())) * mix).astype(np.float32)


@lru_cache(maxsize=2048)
def _tone(voice: Voice, pitch: float, held: int) -> np.ndarray:
    """A note held for ``held`` samples, then released. Cached: songs repeat their notes."""
    count = held + round(4 * voice.release * RATE)
    time = np.arange(count, dtype=np.float32) / RATE
    index = (np.arange(count) * round(pitch / (PITCH_GRID / 2))) % TABLE
    top = max(1, int(HIGHEST_HARMONIC // pitch))
    bright = _table(voice.harmonics, voice.tilt, top)[index]
    dark = _table(voice.harmonics, voice.dark_tilt, top)[index]
    wave = dark + (bright - dark) * np.exp(-time / voice.fade)
    if voice.drive:
        wave = np.tanh(voice.drive * wave)
    level = np.minimum(1, time / voice.attack) * np.exp(-time / voice.decay)
    level[held:] *= np.exp(-(time[held:] - held / RATE) / voice.release)
    return (voice.gain * wave * level).astype(np.float32)


@lru_cache(maxsize=512)
def _table(harmonics: tuple[int, ...], tilt: float, top: int) -> np.ndarray:
    """One cycle at the power of a unit sine, harmonics up to number ``top``, all in sine phase."""
    phase = 2 * np.pi * np.arange(TABLE) / TABLE
    cycle = np.zeros(TABLE)
    for number in harmonics:
        if number <= top:
            cycle += number**-tilt * np.sin(number * phase)
    return (cycle / np.sqrt(2 * np.mean(cycle**2))).astype(np.float32)


@lru_cache(maxsize=32)
def _strike(drum: Drum) -> np.ndarray:
    """A drum stroke; its noise is always the same, as a sampled kit's would be."""
    time = np.arange(round(6 * drum.decay * RATE)) / RATE
    pitch = drum.end + (drum.start - drum.end) * np.exp(-time / 0.03)
    tone = drum.tone * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    noise = np.random.default_rng(7).standard_normal(len(time) + drum.edge)
    noise = drum.noise * np.diff(noise, drum.edge)
    return ((tone + noise) * np.exp(-time / drum.decay)).astype(np.float32)


def _reverberate(mix: np.ndarray) -> np.ndarray:
    """The wet signal of a fixed room: decaying noise of 0.5 s, at the dry signal's power."""
    length = RATE // 2
    decay = np.exp(-np.arange(length) / (0.1 * RATE))
    room = np.random.default_rng(11).standard_normal((2, length)) * decay
    size = 1 << (mix.shape[1] + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(mix, size) * np.fft.rfft(room, size), size)[:, : mix.shape[1]]
    return (wet * np.sqrt(np.mean(mix**2) / max(1e-12, np.mean(wet**2)))).astype(np.float32)
