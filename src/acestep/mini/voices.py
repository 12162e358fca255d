"""The instruments of the small base model's world: voices, drums and rooms. numpy only.

Five kinds of synthesis: wave (harmonics that darken with time, as a filter would do it), driven
wave (the same, waveshaped), FM, formant (a singing vowel) and noise (drums). A tone is the same
samples whenever it is played: every oscillator starts at phase 0 at its onset, pitches are those of
twelve equal steps at A 440, a kit always strikes with the same noise. Nothing vibrates or is
detuned: what is left to learn is music.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

RATE = 48_000
TABLE = 8192  # samples of one cycle
HIGHEST_HARMONIC = 15_000  # Hz
TICK = 0.01  # s; onsets and lengths are multiples of it
Sound = np.ndarray

VOWELS = {  # centre (Hz) and level of three formants, after Peterson & Barney (1952), rounded
    "a": ((730, 1.0), (1090, 0.6), (2440, 0.2)),
    "e": ((530, 1.0), (1840, 0.4), (2480, 0.25)),
    "i": ((300, 1.0), (2290, 0.3), (3010, 0.2)),
    "o": ((570, 1.0), (840, 0.6), (2410, 0.08)),
    "u": ((320, 1.0), (870, 0.3), (2240, 0.05)),
}
FORMANT_WIDTH = 160  # Hz


@dataclass(frozen=True)
class Voice:
    """A pitched instrument.

    Harmonic ``h`` has amplitude ``h**-tilt`` at the onset and ``h**-dark`` later (``fade``
    seconds); ``odd`` leaves the even ones out, ``stops`` names those there are. ``drive`` shapes
    the wave with tanh; ``ratio`` and ``index`` make it an FM pair, whose index fades likewise;
    ``vowel`` sings. ``attack``, ``decay`` (to ``sustain``, 0–1) and ``release`` are seconds.
    ``program`` is the General MIDI program that stands for it, from 0; ``track`` the name the model
    has for its stem.
    """

    noun: str
    track: str
    program: int
    tilt: float = 1.2
    dark: float = 2.2
    fade: float = 0.3
    odd: bool = False
    stops: tuple[int, ...] = ()
    drive: float = 0.0
    ratio: int = 0
    index: float = 0.0
    vowel: str = ""
    attack: float = 0.005
    decay: float = 0.4
    sustain: float = 0.7
    release: float = 0.05
    gain: float = 0.3


@dataclass(frozen=True)
class Drum:
    """A drum: a sine falling from ``start`` to ``end`` Hz and noise, the brighter by ``edge``.

    ``key`` is its General MIDI percussion key.
    """

    key: int
    start: float = 0.0
    end: float = 0.0
    tone: float = 0.0
    noise: float = 0.0
    edge: int = 1
    decay: float = 0.08
    pan: float = 0.0


@dataclass(frozen=True)
class Room:
    """A room: seconds until its sound has died away by 60 dB, its level against the dry sound."""

    seconds: float = 0.4
    level: float = 0.1


def hertz(pitch: int) -> float:
    """Frequency of a MIDI pitch: 69 is A 440."""
    return float(440 * 2 ** ((pitch - 69) / 12))


@lru_cache(maxsize=4096)
def tone(voice: Voice, pitch: int, ticks: int) -> Sound:
    """A note held for ``ticks`` of 10 ms and released: float32, mono. Cached: songs repeat them."""
    frequency = hertz(pitch)
    held = round(ticks * TICK * RATE)
    count = held + round(5 * voice.release * RATE)
    time = np.arange(count, dtype=np.float32) / RATE
    wave = _fm(voice, frequency, time) if voice.ratio else _wave(voice, frequency, time)
    level = voice.sustain + (1 - voice.sustain) * np.exp(-time / voice.decay)
    level *= np.minimum(1, time / voice.attack)
    level[held:] *= np.exp(-(time[held:] - time[held]) / voice.release)
    level[-240:] *= np.linspace(1, 0, 240, dtype=np.float32)  # no click at the very end
    return (voice.gain * wave * level).astype(np.float32)


@lru_cache(maxsize=128)
def strike(drum: Drum) -> Sound:
    """A drum stroke: float32, mono; its noise is always the same, as a sampled kit's would be."""
    time = np.arange(round(6 * drum.decay * RATE)) / RATE
    pitch = drum.end + (drum.start - drum.end) * np.exp(-time / 0.03)
    body = drum.tone * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    noise = np.random.default_rng(7).standard_normal(len(time) + drum.edge)
    hiss = drum.noise * np.diff(noise, drum.edge)
    return ((body + hiss) * np.exp(-time / drum.decay)).astype(np.float32)


def reverberate(dry: Sound, room: Room) -> Sound:
    """What the room adds to a sound ``[2, n]``: linear, so parts may go through it one by one."""
    if not room.level:
        return np.zeros_like(dry)
    count = dry.shape[1]
    size = fft.next_fast_len(count + round(room.seconds * RATE), real=True)
    wet = fft.irfft(fft.rfft(dry, size) * _response(room, size), size)[:, :count]
    return wet.astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _response(room: Room, size: int) -> Sound:
    """Spectrum of the room's impulse response: dulled noise that decays, another left and right."""
    length = round(room.seconds * RATE)
    decay = np.exp(-6.9 * np.arange(length) / length)
    noise = np.random.default_rng(11).standard_normal((2, length + 8))
    dull = np.stack([np.convolve(side, np.ones(9) / 9, "valid") for side in noise]) * decay
    dull *= room.level / np.sqrt((dull**2).sum(1, keepdims=True))
    return fft.rfft(dull.astype(np.float32), size)


def _wave(voice: Voice, frequency: float, time: Sound) -> Sound:
    index = (np.arange(len(time)) * (frequency * TABLE / RATE)).astype(np.int64) % TABLE
    bright = _table(_amplitudes(voice, frequency, voice.tilt))[index]
    if voice.vowel or voice.tilt == voice.dark:
        wave = bright
    else:
        dark = _table(_amplitudes(voice, frequency, voice.dark))[index]
        wave = dark + (bright - dark) * np.exp(-time / voice.fade)
    return np.tanh(voice.drive * wave) if voice.drive else wave


def _fm(voice: Voice, frequency: float, time: Sound) -> Sound:
    phase = (2 * np.pi * frequency) * np.arange(len(time)) / RATE
    audible = voice.ratio * frequency < HIGHEST_HARMONIC / 2
    index = voice.index * audible * (0.15 + 0.85 * np.exp(-time / voice.fade))
    return np.sqrt(2) * np.sin(phase + index * np.sin(voice.ratio * phase))


def _amplitudes(voice: Voice, frequency: float, tilt: float) -> tuple[float, ...]:
    """Amplitude of each harmonic, from the first; rounded, so that tables are shared."""
    top = max(1, min(40, int(HIGHEST_HARMONIC // frequency)))
    number = np.arange(1, top + 1)
    level = number**-tilt
    if voice.odd:
        level = level * (number % 2)
    if voice.stops:
        level = level * np.isin(number, voice.stops)
    if voice.vowel:
        away = [(number * frequency - centre) / FORMANT_WIDTH for centre, _ in VOWELS[voice.vowel]]
        peaks = [gain for _, gain in VOWELS[voice.vowel]]
        level = level * (0.05 + sum(g / (1 + a**2) for g, a in zip(peaks, away, strict=True)))
    return tuple(np.round(level, 4).tolist())


@lru_cache(maxsize=1024)
def _table(amplitudes: tuple[float, ...]) -> Sound:
    """One cycle of the harmonics, all in sine phase, at the power of a sine of amplitude √2."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex64)
    spectrum[1 : len(amplitudes) + 1] = -1j * np.asarray(amplitudes)
    cycle = fft.irfft(spectrum, TABLE)
    return (cycle / np.sqrt(np.mean(cycle**2))).astype(np.float32)
