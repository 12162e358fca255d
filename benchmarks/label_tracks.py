"""Tracks whose tempo, beats, bars and key are known because they were written: labels' test bench.

A seed decides a track. What makes labelling hard in real music is in them: swing, rests and dropped
notes, sections without drums, fills, players who are early or late, drifting tempo, instruments up
to 45 cents out of tune, noise, reverberation, a modulation towards the end, borrowed chords, and
progressions that begin anywhere. Styles and rhythms are in ``label_styles``; the sound is a plain
numpy synthesiser or FluidSynth with one of Debian's sound fonts (``fluid-soundfont-gm``,
``timgm6mb-soundfont``).

Seeds below ``HELD_OUT`` are for tuning and draw from the styles with ``tuned`` only; those above
are for reporting and draw from all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from label_styles import BEATS, STYLES, Style
from label_synth import BASS, CHORDS, DRUM, LEAD, Note, reverberate, synthesise
from scipy.fft import irfft, rfft

from acestep.data.audio import RATE
from acestep.data.labels import TONICS
from acestep.mini.soundfont import play, write_midi

QUIET = 90.0  # dB; noise further below the music is left out
SECONDS = 60.0
HELD_OUT = 1_000_000
FONTS = {
    "FluidR3": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "TimGM6mb": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}
RENDERERS = ("numpy", *FONTS)
# Degrees in semitones above the tonic and the chord's intervals. Loops whose key is a matter of
# opinion are left out: vi IV I V has the very chords of i VI III VII.
MAJOR, MINOR, SEVENTH, MAJOR_7, MINOR_7, DIM = (
    (0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6),
)  # fmt: skip
PROGRESSIONS = {
    "major": (
        ((0, MAJOR), (7, MAJOR), (9, MINOR), (5, MAJOR)),
        ((0, MAJOR), (9, MINOR), (5, MAJOR), (7, MAJOR)),
        ((0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)),
        ((0, MAJOR), (5, MAJOR), (0, MAJOR), (7, SEVENTH)),
        ((0, MAJOR), (9, MINOR), (2, MINOR), (7, SEVENTH)),
        ((2, MINOR_7), (7, SEVENTH), (0, MAJOR_7), (9, MINOR_7)),
        ((0, MAJOR), (10, MAJOR), (5, MAJOR), (0, MAJOR)),
        ((0, SEVENTH), (5, SEVENTH), (0, SEVENTH), (7, SEVENTH)),
        ((0, MAJOR), (4, MINOR), (5, MAJOR), (5, MINOR)),
        ((5, MAJOR), (0, MAJOR), (7, MAJOR), (0, MAJOR)),
    ),
    "minor": (
        ((0, MINOR), (8, MAJOR), (3, MAJOR), (10, MAJOR)),
        ((0, MINOR), (5, MINOR), (7, MINOR), (0, MINOR)),
        ((0, MINOR), (5, MINOR), (7, SEVENTH), (0, MINOR)),
        ((0, MINOR), (10, MAJOR), (8, MAJOR), (7, MAJOR)),
        ((0, MINOR), (8, MAJOR), (5, MINOR), (7, MAJOR)),
        ((0, MINOR_7), (5, SEVENTH), (0, MINOR_7), (5, SEVENTH)),
        ((2, DIM), (7, SEVENTH), (0, MINOR), (0, MINOR)),
        ((0, MINOR), (0, MINOR), (8, MAJOR), (10, MAJOR)),
    ),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
DRUMS = {
    "kick": 36, "snare": 38, "rim": 37, "clap": 39, "hat": 42, "open": 46, "ride": 51, "crash": 49,
    "shaker": 70, "cowbell": 56, "conga": 63, "tom": 45,
}  # fmt: skip

@dataclass
class Track:
    """A piece and its truth. ``bpm`` is the mean over the piece; times are in seconds."""

    seed: int
    name: str
    style: Style
    bpm: float
    keyscale: str
    beats: np.ndarray
    downbeats: np.ndarray
    cents: float
    noise: float  # dB below the music
    room: float  # share of reverberation
    notes: list[Note] = field(repr=False)

    @property
    def timesignature(self) -> str:
        return self.style.meter

    @property
    def renderer(self) -> str:
        return RENDERERS[self.seed % len(RENDERERS)]


def compose(seed: int, seconds: float = SECONDS) -> Track:
    """The track of a seed."""
    rng = np.random.default_rng([seed, 4])
    meter = str(rng.choice(["4", "3", "6"], p=[0.6, 0.26, 0.14]))
    fits = [
        name
        for name, style in STYLES.items()
        if style.meter == meter and (style.tuned or seed >= HELD_OUT)
    ]
    name = str(rng.choice(fits))
    style = STYLES[name]
    low, high = style.bpm
    bpm = float(rng.uniform(low, high))
    times = _beat_times(bpm, seconds, rng)
    per_bar = BEATS[meter]
    bars = (len(times) - 1) // per_bar
    mode = "minor" if rng.random() < style.minor else "major"
    tonic = int(rng.integers(12))
    writer = _Writer(style, mode, tonic, times, bars, rng)
    notes = writer.write()
    used = times[times < seconds]
    return Track(
        seed=seed,
        name=name,
        style=style,
        bpm=60 * (len(used) - 1) / float(used[-1] - used[0]),
        keyscale=f"{TONICS[tonic]} {mode}",
        beats=used,
        downbeats=used[::per_bar],
        cents=float(rng.uniform(-45, 45)) if rng.random() < 0.6 else 0.0,
        noise=float(rng.uniform(15, 32)) if rng.random() < 0.4 else QUIET,
        room=float(rng.uniform(0.05, 0.3)),
        notes=[note for note in notes if note.start < seconds - 0.05],
    )


def render(track: Track, seconds: float = SECONDS) -> np.ndarray:
    """The sound of a track: float32 ``[2, round(seconds · 48000)]``, peak .5 to .95."""
    rng = np.random.default_rng([track.seed, 5])
    length = round(seconds * RATE)
    dry = (
        synthesise(track.notes, track.cents, length, rng)
        if track.renderer == "numpy"
        else _fluidsynth(track, length, FONTS[track.renderer])
    )
    wet = reverberate(dry, rng) if track.renderer == "numpy" else 0 * dry
    audio = (1 - track.room) * dry + track.room * wet
    if track.noise < QUIET:
        white = rfft(rng.standard_normal((2, length), np.float32))
        pink = irfft(white / np.sqrt(1 + np.arange(white.shape[1], dtype=np.float32)), length)
        audio += pink / pink.std() * audio.std() * 10 ** (-track.noise / 20)
    return (audio * rng.uniform(0.5, 0.95) / np.abs(audio).max()).astype(np.float32)


def _beat_times(bpm: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Times of the beats: most tracks to a click, a third with a slow drift of up to 2.5 %."""
    count = int(seconds * bpm / 60 * 1.05) + 16
    drift = 0.0 if rng.random() < 0.65 else rng.uniform(0.005, 0.025)
    phase, cycles = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2)
    bend = 1 + drift * np.sin(phase + 2 * np.pi * cycles * np.arange(count) / count)
    return rng.uniform(0.05, 1.5) + np.concatenate([[0], np.cumsum(60 / bpm * bend)])


class _Writer:
    """Writes the notes of one piece, section by section of four or eight bars."""

    def __init__(
        self,
        style: Style,
        mode: str,
        tonic: int,
        times: np.ndarray,
        bars: int,
        rng: np.random.Generator,
    ) -> None:
        self.style, self.mode, self.tonic = style, mode, tonic
        self.times, self.bars, self.rng = times, bars, rng
        self.per_bar = BEATS[style.meter]
        self.swing = rng.uniform(0, style.swing) if style.swing else 0.0
        self.late = rng.uniform(0, 0.009)  # seconds; spread of the players' timing
        self.drop = rng.uniform(0, 0.22)
        self.drums = {part: self._one(choice) for part, choice in style.drums.items()}
        self.comp, self.bass = self._one(style.chords), self._one(style.bass)
        self.broken = style.arpeggio and rng.random() < 0.8
        progressions = PROGRESSIONS[mode]
        self.progression = progressions[int(rng.integers(len(progressions)))]
        self.slow = 2 if rng.random() < 0.2 else 1  # bars a chord
        self.no_chords = rng.random() < 0.15 and bool(style.drums)
        self.turn = int(0.72 * bars) if rng.random() < 0.25 else bars
        self.lift = int(rng.choice([1, 2, 3, 5]))
        self.motif = [self._rhythm() for _ in range(2)]

    def write(self) -> list[Note]:
        notes: list[Note] = []
        parts = ("chords", "bass", "lead", "drums")
        bar = 0
        while bar < self.bars:
            length = int(self.rng.choice([4, 8], p=[0.4, 0.6]))
            odds = (0.95, 0.9, 0.65, 0.88) if bar else (0.95, 0.75, 0.3, 0.7)
            playing = {
                part for part, odd in zip(parts, odds, strict=True) if self.rng.random() < odd
            }
            playing |= {"chords"} if not playing & {"drums", "chords"} else set()
            for number in range(bar, min(bar + length, self.bars)):
                fill = number % length == length - 1 and self.rng.random() < 0.5
                notes += self._bar(number, playing, fill)
            bar += length
        return notes

    def _one(self, choice: str) -> str:
        options = choice.split("/")
        return options[int(self.rng.integers(len(options)))]

    def _rhythm(self) -> list[tuple[float, float]]:
        """A melody's bar: (where, how long) in beats, on halves or thirds of a beat."""
        parts = 3 if self.style.meter == "6" or len(self.comp) == 3 * self.per_bar else 2
        busy = self.rng.uniform(0.25, 0.75)
        steps = [
            step
            for step in range(self.per_bar * parts)
            if self.rng.random() < busy * (1 if step % parts == 0 else 0.6)
        ]
        ends = [*steps[1:], self.per_bar * parts]
        return [
            (step / parts, (end - step) / parts) for step, end in zip(steps, ends, strict=False)
        ]

    def _bar(self, number: int, playing: set[str], fill: bool) -> Iterator[Note]:
        degree, intervals = self.progression[number // self.slow % len(self.progression)]
        lift = self.lift if number >= self.turn else 0
        root = self.tonic + lift + degree
        if "drums" in playing:
            yield from self._drums(number, fill)
        if "chords" in playing and not self.no_chords:
            yield from self._chords(number, root, intervals)
        if "bass" in playing:
            yield from self._bass(number, root, intervals)
        if "lead" in playing or (self.no_chords and "drums" not in playing):
            yield from self._lead(number, self.tonic + lift, root, intervals)

    def _drums(self, number: int, fill: bool) -> Iterator[Note]:
        for part, pattern in self.drums.items():
            for step, mark in enumerate(pattern):
                late = fill and step >= 0.75 * len(pattern)
                if mark == "." or late or self.rng.random() < self.drop * 0.5:
                    continue
                loud = (0.85 if mark == "x" else 0.45) * (0.75 if part == "hat" else 1)
                yield self._note(number, step / len(pattern), 0.1, DRUMS[part], loud, DRUM)
        if fill:
            for step in range(12, 16):
                if self.rng.random() < 0.75:
                    pitch = int(self.rng.choice([38, 45, 48]))
                    yield self._note(number, step / 16, 0.1, pitch, 0.7, DRUM)
        if number % 8 == 0 and self.rng.random() < 0.5:
            yield self._note(number, 0, 1.0, DRUMS["crash"], 0.7, DRUM)

    def _chords(self, number: int, root: int, intervals: tuple[int, ...]) -> Iterator[Note]:
        strikes = [step for step, mark in enumerate(self.comp) if mark != "."]
        size = len(self.comp)
        pitches = sorted(55 + (root + interval - 55) % 12 for interval in intervals)
        for index, step in enumerate(strikes):
            if self.rng.random() < self.drop:
                continue
            until = strikes[index + 1] if index + 1 < len(strikes) else size
            length = (until - step) / size * self._seconds(number)
            loud = 0.62 if step * self.per_bar % size else 0.72
            if self.broken:
                up = [*pitches, pitches[0] + 12]
                order = [0, 1, 2, 3, 2, 1]
                pitch = up[order[index % len(order)] % len(up)]
                yield self._note(number, step / size, length * 1.5, pitch, loud, CHORDS)
            else:
                for pitch in pitches:
                    yield self._note(number, step / size, length * 0.9, pitch, loud, CHORDS)

    def _bass(self, number: int, root: int, intervals: tuple[int, ...]) -> Iterator[Note]:
        notes = {"1": 0, "3": intervals[1], "5": intervals[2], "8": 12}
        strikes = [step for step, mark in enumerate(self.bass) if mark != "."]
        size = len(self.bass)
        for index, step in enumerate(strikes):
            if step and self.rng.random() < self.drop:
                continue
            until = strikes[index + 1] if index + 1 < len(strikes) else size
            pitch = 33 + (root - 33) % 12 + notes[self.bass[step]]
            length = (until - step) / size * self._seconds(number) * 0.9
            yield self._note(number, step / size, length, pitch, 0.8, BASS)

    def _lead(
        self, number: int, tonic: int, root: int, intervals: tuple[int, ...]
    ) -> Iterator[Note]:
        scale = [(tonic + step) % 12 for step in SCALES[self.mode]]
        chord = [(root + interval) % 12 for interval in intervals]
        pitch = 72
        for where, length in self.motif[number % 4 == 3]:
            if self.rng.random() < self.drop:
                continue
            near = [
                other
                for other in range(pitch - 5, pitch + 6)
                if other % 12 in (chord if where == int(where) else scale) and 64 <= other <= 86
            ]
            pitch = int(self.rng.choice(near)) if near else pitch
            seconds = length * self._seconds(number) / self.per_bar * 0.95
            yield self._note(number, where / self.per_bar, seconds, pitch, 0.7, LEAD)

    def _seconds(self, number: int) -> float:
        first = number * self.per_bar
        return float(self.times[first + self.per_bar] - self.times[first])

    def _note(
        self, number: int, share: float, length: float, pitch: int, loud: float, channel: int
    ) -> Note:
        """A note at a share of a bar, swung, human, and as loud as that player was just then."""
        beat = share * self.per_bar
        inside = beat % 1
        if self.swing and inside:
            inside = np.interp(inside, [0, 0.5, 1], [0, 0.5 + self.swing / 2, 1])
        at = np.interp(
            number * self.per_bar + int(beat) + inside, np.arange(len(self.times)), self.times
        )
        at += self.rng.normal(0, self.late) * (0.5 if channel == DRUM else 1)
        loud *= self.rng.uniform(0.75, 1.1)
        return Note(max(0.0, float(at)), float(length), int(pitch), min(1.0, float(loud)), channel)


def _fluidsynth(track: Track, length: int, font: Path) -> np.ndarray:
    options = ("-g", "0.5", "-C", "0", "-o", "synth.dynamic-sample-loading=1")
    audio = play(midi_file(track), font, *options)[:, :length]
    return np.pad(audio, ((0, 0), (0, length - audio.shape[1])))


def midi_file(track: Track) -> bytes:
    """The track as a standard MIDI file of format 0 (one tick is a millisecond)."""
    rng = np.random.default_rng([track.seed, 6])
    bend = 8192 + round(track.cents / 200 * 8192)
    events: list[tuple[int, int, bytes]] = []
    for channel, program in enumerate(track.style.programs):
        program = program if rng.random() < 0.5 else 8 * (program // 8) + int(rng.integers(8))
        events.append((0, 0, bytes([0xC0 | channel, program])))
        events.append((0, 0, bytes([0xE0 | channel, bend & 127, bend >> 7])))
        events.append((0, 0, bytes([0xB0 | channel, 7, int(rng.integers(75, 115))])))
    events.append((0, 0, bytes([0xB0 | DRUM, 7, int(rng.integers(75, 120))])))
    for note in track.notes:
        start, loud = round(1000 * note.start), max(1, round(127 * note.loud))
        events.append((start, 2, bytes([0x90 | note.channel, note.pitch, loud])))
        end = start + max(20, round(1000 * note.length))
        events.append((end, 1, bytes([0x80 | note.channel, note.pitch, 0])))
    return write_midi(((at, message) for at, _, message in sorted(events)), 1000)
