"""Short songs in a few clear styles, composed by rule and played by :mod:`acestep.mini.synth`.

A :class:`Style` says what all its songs share (tempo, voices, patterns); a seed decides what one
song has of its own (key, progression, melody). The demo's folder is ``cumbia``; the other styles
give the statistics their scale.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from acestep.mini.synth import Drum, Note, Voice, beat_seconds, on_grid, render

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = {  # scale degrees of four bars
    "major": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (3, 4, 0, 5)),
    "minor": ((0, 3, 6, 2), (0, 5, 6, 0), (0, 3, 4, 0), (0, 6, 5, 6)),
}
RHYTHMS = (  # a bar of melody in sixteenths: (start, length), …
    ((0, 4), (4, 2), (6, 2), (8, 6)),
    ((0, 2), (2, 2), (4, 4), (8, 4), (12, 4)),
    ((0, 3), (3, 3), (6, 2), (8, 8)),
    ((2, 2), (4, 2), (6, 4), (10, 6)),
    ((0, 6), (6, 2), (8, 2), (10, 2), (12, 4)),
    ((0, 8), (8, 4), (12, 2), (14, 2)),
)


@dataclass(frozen=True)
class Style:
    """What all songs of a style share. Patterns are bars of sixteenths: ``x`` plays, ``.`` rests.

    ``bass`` is ``((start, length, degree over the chord's root), …)``; ``chords`` says where the
    chord is struck, each stroke lasting ``chord_length`` sixteenths.
    """

    caption: str
    bpm: int
    keys: tuple[str, ...]
    lead: Voice
    chord: Voice
    bassist: Voice
    chords: str
    chord_length: int
    bass: tuple[tuple[int, int, int], ...]
    drums: tuple[tuple[str, str], ...] = ()
    thirds: bool = False  # the melody is doubled a third below
    reverb: float = 0.1


@dataclass(frozen=True)
class Song:
    """A composed song: its notes and the labels that describe it."""

    notes: tuple[Note, ...]
    caption: str
    bpm: int
    keyscale: str
    timesignature: str = "4"


ODD = tuple(range(1, 32, 2))
KIT = {
    "kick": Drum(start=150, end=50, tone=0.9, noise=0.1, decay=0.09),
    "snare": Drum(start=190, end=180, tone=0.3, noise=0.35, decay=0.06),
    "hat": Drum(noise=0.12, edge=2, decay=0.015, pan=0.3),
    "open": Drum(noise=0.1, edge=2, decay=0.07, pan=0.3),
    "guiro": Drum(noise=0.08, edge=1, decay=0.025, pan=-0.4),
    "conga": Drum(start=260, end=200, tone=0.45, noise=0.05, decay=0.08, pan=0.25),
    "bell": Drum(start=800, end=800, tone=0.14, noise=0.02, decay=0.05, pan=-0.25),
}
ACCORDION = Voice(tilt=1.1, dark_tilt=1.4, attack=0.02, release=0.05, gain=0.22)
ORGAN = Voice(tilt=0.6, dark_tilt=0.8, harmonics=(1, 2, 3, 4, 6, 8), attack=0.006, gain=0.2)
PAD = Voice(tilt=1.3, dark_tilt=2.0, fade=1.0, attack=0.2, release=0.3, gain=0.2)
PIANO = Voice(tilt=1.3, dark_tilt=2.4, fade=0.2, decay=0.9, release=0.1, gain=0.32)
PLUCK = Voice(tilt=1.0, dark_tilt=2.0, fade=0.08, decay=0.25, release=0.08, gain=0.4)
SQUARE = Voice(tilt=1.0, dark_tilt=1.0, harmonics=ODD, release=0.03, gain=0.24)
FLUTE = Voice(tilt=2.6, dark_tilt=2.8, attack=0.05, release=0.08, gain=0.4)
FUZZ = Voice(tilt=0.9, dark_tilt=1.1, decay=1.5, drive=3.0, gain=0.3)
BELL = Voice(tilt=0.7, fade=0.2, harmonics=(1, 4, 9), decay=0.3, release=0.2, gain=0.3)
ROUND_BASS = Voice(tilt=2.2, dark_tilt=3.0, attack=0.008, decay=1.5, gain=0.5)
SAW_BASS = Voice(tilt=1.0, dark_tilt=1.8, fade=0.15, decay=0.6, gain=0.36)

ONCE, BEATS = "x" + 15 * ".", "x...x...x...x..."
EIGHTHS, OFF_BEATS, BACK_BEAT = "x.x.x.x.x.x.x.x.", "..x...x...x...x.", "....x.......x..."
PUMPING = tuple((start, 2, 0) for start in range(0, 16, 2))
STYLES = {
    # The demo's folder: the base model has met neither the word nor this mixture.
    "cumbia": Style(
        caption="bright mid-tempo cumbia with accordion lead, off-beat organ, guiro, drums",
        bpm=94, keys=("D minor", "A minor", "G minor"),
        lead=ACCORDION, thirds=True, chord=ORGAN, chords=OFF_BEATS, chord_length=1,
        bassist=ROUND_BASS, bass=((0, 6, 0), (8, 3, 2), (12, 3, 4)),
        drums=(("kick", "x.......x......."), ("guiro", "x.xxx.xxx.xxx.xx"),
               ("conga", "......x.....x.x."), ("bell", BEATS)),
    ),
    "techno": Style(
        caption="fast techno with plucked synth, pad, saw bass, drums",
        bpm=125, keys=("A minor", "F minor"),
        lead=PLUCK, chord=PAD, chords=ONCE, chord_length=15, bassist=SAW_BASS, bass=PUMPING,
        drums=(("kick", BEATS), ("snare", BACK_BEAT), ("open", OFF_BEATS), ("hat", EIGHTHS)),
    ),
    "ballad": Style(
        caption="slow ballad with flute, piano, soft drums",
        bpm=75, keys=("G major", "C major"), reverb=0.35,
        lead=FLUTE, chord=PIANO, chords="x.......x.......", chord_length=8,
        bassist=ROUND_BASS, bass=((0, 8, 0), (8, 8, 4)),
        drums=(("kick", "x.........x....."), ("hat", BEATS)),
    ),
    "ambient": Style(
        caption="slow dark ambient with flute, soft pad, no drums",
        bpm=63, keys=("E minor", "D major"), reverb=0.5,
        lead=FLUTE, chord=PAD, chords=ONCE, chord_length=16, bassist=ROUND_BASS, bass=((0, 16, 0),),
    ),
    "rock": Style(
        caption="fast rock with distorted guitar, drums",
        bpm=150, keys=("E minor", "A major"),
        lead=FUZZ, chord=FUZZ, chords="x.......x.......", chord_length=7,
        bassist=SAW_BASS, bass=PUMPING,
        drums=(("kick", "x.......x.x....."), ("snare", BACK_BEAT), ("hat", EIGHTHS)),
    ),
    "chiptune": Style(
        caption="fast bright chiptune with square lead",
        bpm=188, keys=("C major", "F major"), reverb=0.0,
        lead=SQUARE, chord=SQUARE, chords=EIGHTHS, chord_length=1,
        bassist=SAW_BASS, bass=((0, 4, 0), (4, 4, 4), (8, 4, 0), (12, 4, 4)),
        drums=(("kick", BEATS), ("snare", "....x.......x..x")),
    ),
    "musicbox": Style(
        caption="music box with bells, no drums",
        bpm=107, keys=("C major", "Eb major"), reverb=0.3,
        lead=BELL, chord=BELL, chords=EIGHTHS, chord_length=2,
        bassist=ROUND_BASS, bass=((0, 16, 0),),
    ),
}  # fmt: skip


def make_song(style: str, seed: int, seconds: float = 20.0) -> tuple[np.ndarray, Song]:
    """A song of one of :data:`STYLES` as float32 ``[2, n]`` at 48 kHz, and its labels.

    The same style, seed and length give the same samples.
    """
    chosen = STYLES[style]
    song = compose(chosen, seed, ceil(seconds / (4 * beat_seconds(chosen.bpm))))
    return render(song.notes, song.bpm, seconds, reverb=chosen.reverb), song


def compose(style: Style, seed: int, bars: int) -> Song:
    """Write ``bars`` bars: one of introduction, then melody in phrases of four (A A B A)."""
    rng = np.random.default_rng(seed)
    key = Key(style.keys[seed % len(style.keys)])
    progressions = PROGRESSIONS[key.mode]
    progression = progressions[rng.integers(len(progressions))]
    phrase, answer = _melody(rng), _melody(rng)
    notes: list[Note] = []
    for bar in range(bars):
        root = progression[bar % 4]
        notes += _accompaniment(style, key, bar, root)
        if bar > 0:
            notes += _lead(style, key, bar, root, answer if bar % 4 == 3 else phrase)
    return Song(tuple(notes), style.caption, style.bpm, key.name)


class Key:
    """A key such as ``D minor``: turns scale degrees into pitches."""

    def __init__(self, name: str) -> None:
        self.name = name
        tonic, self.mode = name.split()
        self.tonic = NOTE_NAMES.index(tonic)

    def pitch(self, degree: int, octave: int) -> float:
        """Degree 0 is the tonic in that octave (4 holds A 440), 7 the next one; on the grid, Hz."""
        turns, step = divmod(degree, 7)
        half_tones = self.tonic - 9 + SCALES[self.mode][step] + 12 * (turns + octave - 4)
        return on_grid(440 * 2 ** (half_tones / 12))


def _melody(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """A bar, (start, length, degree over the chord): thirds onto the beats, steps between them."""
    degree = int(rng.choice([0, 2, 4]))
    bar = []
    for start, length in RHYTHMS[rng.integers(len(RHYTHMS))]:
        move = 2 if start % 4 == 0 else 1
        degree = int(np.clip(degree + rng.choice([-move, move]), -2, 6))
        bar.append((start, length, degree))
    return bar


def _lead(
    style: Style, key: Key, bar: int, root: int, melody: list[tuple[int, int, int]]
) -> Iterator[Note]:
    base = root - 7 if root > 3 else root  # the melody stays within its range
    for start, length, degree in melody:
        for below in (0, 2) if style.thirds else (0,):
            pitch = key.pitch(base + degree - below, 5)
            yield Note(16 * bar + start, 0.9 * length, pitch, style.lead, 0.2 - 0.2 * below)


def _accompaniment(style: Style, key: Key, bar: int, root: int) -> Iterator[Note]:
    first = 16 * bar
    for start in _struck(style.chords):
        for number, degree in enumerate((0, 2, 4)):
            pitch, pan = key.pitch(root + degree, 4), 0.4 * (number - 1)
            yield Note(first + start, style.chord_length, pitch, style.chord, pan)
    for start, length, degree in style.bass:
        yield Note(first + start, 0.92 * length, key.pitch(root + degree, 2), style.bassist, 0.0)
    for name, pattern in style.drums:
        for start in _struck(pattern):
            yield Note(first + start, 1, 0.0, KIT[name], KIT[name].pan)


def _struck(pattern: str) -> list[int]:
    return [position for position, mark in enumerate(pattern) if mark == "x"]
