"""Signals with a label that can be written down: clicks at a tempo, accents, cadences."""

import numpy as np

RATE = 48_000


def clicks(bpm, seconds=30.0, accents=(1.0,), noise=0.0):
    """A click at every beat, as loud as the accents in turn; float32 ``[2, n]``."""
    rng = np.random.default_rng(1)
    sound = noise * rng.standard_normal(round(seconds * RATE))
    time = np.arange(2400) / RATE
    for number, at in enumerate(np.arange(0.5, seconds - 0.1, 60 / bpm)):
        loud = accents[number % len(accents)]
        hertz = 1000 if loud < 1 else 1500
        first = round(at * RATE)
        click = np.sin(2 * np.pi * hertz * time) * np.exp(-80 * time)
        sound[first : first + 2400] += 0.5 * loud * click
    return np.stack([sound, sound]).astype(np.float32)


def bars(size, bpm=110.0, seconds=40.0):
    """Kick and a new chord on one, hats on the others; float32 ``[2, n]``."""
    rng = np.random.default_rng(2)
    sound = np.zeros(round(seconds * RATE) + RATE * 4)
    beat = 60 / bpm
    time = np.arange(round(0.3 * RATE)) / RATE
    kick = np.sin(2 * np.pi * 60 * time) * np.exp(-12 * time)
    hat = np.diff(rng.standard_normal(len(time)), prepend=0) * np.exp(-60 * time)
    for number, at in enumerate(np.arange(0.3, seconds - size * beat, beat)):
        first = round(at * RATE)
        sound[first : first + len(time)] += 0.5 * kick if number % size == 0 else 0.3 * hat
        if number % size == 0:
            root = (0, 5, 7, 9)[number // size % 4]
            triad = [60 + root, (63 if root == 9 else 64) + root, 67 + root]
            part = chord(triad, size * beat * 0.95)
            sound[first : first + len(part)] += 0.15 * part
    sound = sound[: round(seconds * RATE)]
    return np.stack([sound, sound]).astype(np.float32)


def chord(pitches, seconds, cents=0.0):
    """Tones of eight harmonics that fade; ``[n]``."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(time))
    for pitch in pitches:
        hertz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        for number in range(1, 9):
            sound += np.sin(2 * np.pi * hertz * number * time) / number * np.exp(-1.5 * time)
    return sound / len(pitches) * np.minimum(1, time / 0.005) * np.minimum(1, time[::-1] / 0.02)


def cadence(tonic, mode, cents=0.0):
    """I – IV – V – I three times (i – iv – V – i in minor); float32 ``[2, n]``, 12 s."""
    third = 4 if mode == "major" else 3
    steps = [(0, third), (5, third), (7, 4), (0, third)]
    parts = []
    for root, middle in steps * 3:
        low = 48 + (tonic + root) % 12
        parts.append(chord([low - 12, low + 12, low + 12 + middle, low + 19], 1.0, cents))
    sound = 0.4 * np.concatenate(parts)
    return np.stack([sound, sound]).astype(np.float32)
