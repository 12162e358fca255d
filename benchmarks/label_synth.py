"""A plain numpy synthesiser for the tracks of the label benchmark."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.signal import oaconvolve

from acestep.data.audio import RATE

CHORDS, BASS, LEAD, DRUM = 0, 1, 2, 9  # MIDI channels


@dataclass(frozen=True)
class Note:
    """``start`` and ``length`` in seconds, ``pitch`` a MIDI number, ``loud`` from 0 to 1."""

    start: float
    length: float
    pitch: int
    loud: float
    channel: int


def synthesise(
    notes: Iterable[Note], cents: float, length: int, rng: np.random.Generator
) -> np.ndarray:
    """The sound of notes, dry, ``cents`` above A = 440 Hz: float32 ``[2, length]``."""
    levels = {CHORDS: 0.2, BASS: 0.45, LEAD: 0.28, DRUM: rng.uniform(0.35, 0.8)}
    voices = {channel: int(rng.integers(3)) for channel in (CHORDS, BASS, LEAD)}
    pans = {CHORDS: rng.uniform(-0.5, 0.5), BASS: 0.0, LEAD: rng.uniform(-0.4, 0.4), DRUM: 0.1}
    known: dict[tuple, np.ndarray] = {}
    audio = np.zeros((2, length), np.float32)
    for note in notes:
        ticks = max(3, round(note.length * 20))  # notes are cut to 50 ms, so that many are shared
        name = (note.channel, note.pitch, ticks)
        if name not in known:
            known[name] = (
                _drum(note.pitch, rng)
                if note.channel == DRUM
                else _tone(voices[note.channel], note.pitch + cents / 100, ticks / 20)
            )
        sound = known[name] * note.loud**1.5 * levels[note.channel]
        first = round(note.start * RATE)
        sound = sound[: length - first]
        for side, gain in enumerate((1 - pans[note.channel], 1 + pans[note.channel])):
            audio[side, first : first + len(sound)] += gain * sound
    return audio


def _tone(voice: int, pitch: float, seconds: float) -> np.ndarray:
    """Plucked, blown or bowed: harmonics that fade, a bright saw, or a slow swell."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(round((seconds + 0.08) * RATE)) / RATE
    count = max(1, min(12, int(9000 / frequency)))
    tilt, fade, attack = ((1.2, 3.5, 0.003), (0.9, 0.6, 0.012), (1.6, 0.3, 0.05))[voice]
    sound = np.zeros(len(time))
    for number in range(1, count + 1):
        partial = np.sin(2 * np.pi * frequency * number * time) / number**tilt
        sound += partial * np.exp(-fade * time * (1 + 0.4 * (number - 1) * (voice == 0)))
    shape = np.minimum(1, time / attack) * np.minimum(1, (time[-1] - time) / 0.06)
    return (sound * shape).astype(np.float32)


def _drum(pitch: int, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(round(0.4 * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    bright = np.diff(noise, prepend=0)
    match pitch:
        case 36:
            falling = 50 * time + 5 * (1 - np.exp(-30 * time))
            sound = np.sin(2 * np.pi * falling) * np.exp(-9 * time)
        case 38 | 39:
            body = np.sin(2 * np.pi * 190 * time) * np.exp(-22 * time)
            sound = 0.6 * body + 0.35 * noise * np.exp(-16 * time)
        case 45 | 48 | 63:
            sound = np.sin(2 * np.pi * (3.2 * pitch - 20) * time) * np.exp(-10 * time)
        case 37 | 56:
            sound = np.sin(2 * np.pi * 830 * time) * np.exp(-35 * time)
        case 46 | 49 | 51:
            sound = 0.2 * bright * np.exp(-7 * time)
        case _:
            sound = 0.25 * bright * np.exp(-45 * time)
    return (sound * np.minimum(1, time / 0.001)).astype(np.float32)


def reverberate(dry: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A room of its own for every track, as loud as the sound itself."""
    time = np.arange(round(0.8 * RATE)) / RATE
    tail = rng.standard_normal((2, len(time))) * np.exp(-time * rng.uniform(5, 12))
    wet = oaconvolve(dry, tail.astype(np.float32), axes=1)[:, : dry.shape[1]]
    return wet * dry.std() / (wet.std() + 1e-9)
