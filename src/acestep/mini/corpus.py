"""A corpus that is written down, not downloaded: songs by rule, with labels that are true.

A seed decides everything about a song, so the corpus is a range of seeds. Songs have sections with
motifs that return varied, progressions that begin on the tonic, all keys, whole tempi from 60 to
180, three, four and six to the bar. They teach the small base model, and serve tests and label
benchmarks as ground truth. In 6/8 the beat that ``bpm`` counts is the dotted quarter.

Seeds below 900 000 are for training, up to 950 000 for validation, above for tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from acestep.data.labels import TONICS
from acestep.mini.styles import DRUMS, HELD_OUT, STYLES, VOICES, Groove, Style
from acestep.mini.voices import RATE, TICK, Room, Sound, reverberate, strike, tone

__all__ = [
    "HELD_OUT", "RATE", "STYLES", "Note", "Song", "compose", "compose_round", "describe", "render",
    "render_parts",
]  # fmt: skip

VALIDATION, TESTS = 900_000, 950_000
PEAK = 0.89
TEMPO_STEP = 5  # bpm
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = {  # the chord of each of four bars, as a degree of the scale
    "major": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (0, 3, 0, 4), (0, 2, 3, 0)),
    "minor": ((0, 3, 6, 0), (0, 5, 6, 0), (0, 3, 4, 0), (0, 6, 5, 6), (0, 5, 2, 6)),
}
WORDS = {
    "a": ("star", "far", "heart", "dark", "calm", "arms"),
    "e": ("bed", "red", "when", "step", "rest", "then"),
    "i": ("see", "dream", "sea", "leave", "sweet", "feel"),
    "o": ("home", "road", "gold", "snow", "slow", "alone"),
    "u": ("moon", "blue", "you", "true", "through", "June"),
}
INSTRUMENTAL = "[Instrumental]"


@dataclass(frozen=True)
class Note:
    """One event: ``start`` and ``length`` in seconds, ``pitch`` a MIDI number (0 for a drum).

    ``part`` is the stem it belongs to, ``player`` one of the voices or drums; ``velocity`` is a
    factor, 1 for a plain note; ``pan`` goes from −1 (left) to 1.
    """

    start: float
    length: float
    pitch: int
    velocity: float
    part: str
    player: str
    pan: float


@dataclass(frozen=True)
class Song:
    """A composed song and the labels that describe it; ``sections`` are (name, start, s)."""

    seed: int
    style: str
    caption: str
    tags: tuple[str, ...]
    bpm: int
    keyscale: str
    timesignature: str
    language: str
    lyrics: str
    seconds: float
    notes: tuple[Note, ...]
    room: Room
    sections: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class _Plan:
    """What a seed decided before the first note."""

    style: Style
    groove: Groove
    lead: str
    chords: str
    bpm: int
    tonic: int
    mode: str

    @property
    def steps(self) -> int:
        """Sixteenths of a bar."""
        return 16 if self.groove.timesignature == "4" else 12

    @property
    def step_seconds(self) -> float:
        return 60 / self.bpm / (6 if self.groove.timesignature == "6" else 4)

    @property
    def beat(self) -> int:
        """Sixteenths of a beat."""
        return 6 if self.groove.timesignature == "6" else 4

    def pitch(self, degree: int, lowest: int) -> int:
        """A degree of the scale (7 is the next octave), its tonic in the octave from ``lowest``."""
        turns, step = divmod(degree, 7)
        tonic = lowest + (self.tonic - lowest) % 12
        return tonic + 12 * turns + SCALES[self.mode][step]


Bar = tuple[tuple[int, int, int], ...]  # (start, length, degree) in sixteenths of the bar
Part = Iterator[Note]


def compose(
    seed: int,
    seconds: float,
    *,
    style: str | None = None,
    bpm: int | None = None,
    keyscale: str | None = None,
) -> Song:
    """Write a song of ``seconds``; what is not given, the seed decides.

    ``style`` is a name of :data:`STYLES` or :data:`HELD_OUT`, ``bpm`` a whole number from 60 to
    180, ``keyscale`` such as ``"C# minor"``. ``KeyError`` or ``ValueError`` for one that is not.
    """
    rng = np.random.default_rng(seed)
    name = style or list(STYLES)[int(rng.integers(len(STYLES)))]
    plan = _plan({**STYLES, **HELD_OUT}[name], rng, bpm, keyscale)
    sections = _sections(ceil(seconds / (plan.steps * plan.step_seconds) - 1e-6), rng)
    notes: list[Note] = []
    words: list[str] = []
    themes = {part: _Theme.draw(plan, part, rng) for part in ("Intro", "Verse", "Chorus")}
    first = 0
    starts = []
    for section, bars in sections:
        starts.append((section, round(first * plan.steps * plan.step_seconds, 3)))
        sung: list[str] = []
        for bar in range(bars):
            notes += _bar(plan, themes[section], section, first + bar, bar, sung)
        words += [f"[{section}]", *sung, ""]
        first += bars
    sings = plan.lead == "voice"
    return Song(
        seed, name, _caption(name, plan), _tags(name, plan), plan.bpm,
        f"{TONICS[plan.tonic]} {plan.mode}", plan.groove.timesignature,
        "en" if sings else "unknown", "\n".join(words).strip() if sings else INSTRUMENTAL,
        seconds, tuple(notes), plan.style.room, tuple(starts),
    )  # fmt: skip


def compose_round(seed: int, seconds: float, style: str) -> Song:
    """Write a song at the round tempo nearest to the one its seed decides.

    Round tempi are those of which the small base model learns when beats come.
    """
    drawn = compose(seed, 1.0, style=style).bpm
    return compose(seed, seconds, style=style, bpm=TEMPO_STEP * round(drawn / TEMPO_STEP))


def render(song: Song) -> Sound:
    """Play a song: float32 ``[2, round(seconds · 48000)]``, peak 0.89, beat 1 at sample 0."""
    dry = np.sum(list(_dry(song).values()), axis=0)
    wet = dry + reverberate(dry, song.room)
    return (PEAK / max(1e-9, float(np.abs(wet).max())) * wet).astype(np.float32)


def render_parts(song: Song) -> dict[str, Sound]:
    """The stems of a song by the model's name for the track; they add up to :func:`render`."""
    parts = {name: dry + reverberate(dry, song.room) for name, dry in _dry(song).items()}
    scale = PEAK / max(1e-9, float(np.abs(np.sum(list(parts.values()), axis=0)).max()))
    return {name: (scale * part).astype(np.float32) for name, part in parts.items()}


def describe(song: Song, rng: np.random.Generator) -> str:
    """One of many wordings of a true caption; the style is named in most."""
    if rng.random() < 0.3:
        return song.caption
    style, *others = song.tags
    rng.shuffle(others)
    tags = others[: rng.integers(1, len(others) + 1)]
    if rng.random() < 0.85:
        tags.insert(int(rng.integers(2)), style)
    forms = ("{}", "{}.", "a song: {}", "music with {}", "{} track")
    return forms[rng.integers(len(forms))].format(", ".join(tags))


@dataclass(frozen=True)
class _Theme:
    """The material of a section: four chords, and a motif that returns varied and is answered."""

    chords: tuple[int, ...]
    motifs: tuple[Bar, Bar, Bar, Bar]
    words: tuple[str, ...]

    @staticmethod
    def draw(plan: _Plan, section: str, rng: np.random.Generator) -> "_Theme":
        choices = PROGRESSIONS[plan.mode]
        chords = choices[rng.integers(len(choices))]
        lift = 2 if section == "Chorus" else 0
        motif, answer = _motif(plan, lift, rng), _motif(plan, lift, rng)
        varied = _vary(motif, rng)
        ending = (*answer[:-1], (answer[-1][0], plan.steps - answer[-1][0], 0))
        words = tuple(_word(rng) for _ in range(sum(map(len, (motif, varied, motif, ending)))))
        return _Theme(chords, (motif, varied, motif, ending), words)


def _plan(
    style: Style, rng: np.random.Generator, bpm: int | None, keyscale: str | None
) -> _Plan:
    groove = style.grooves[rng.integers(len(style.grooves))]
    low, high = style.bpm
    if groove.timesignature == "6":
        high = max(low + 1, min(high, 126))
    drawn = int(rng.integers(low, high + 1))
    bpm = drawn if bpm is None else bpm
    mode = "minor" if rng.random() < style.minor else "major"
    tonic = int(rng.integers(12))
    if keyscale is not None:
        name, mode = keyscale.split()
        tonic = TONICS.index(name)
    if mode not in SCALES or not 60 <= bpm <= 180:
        raise ValueError(f"no song at {bpm} bpm in {keyscale}: 60 to 180, major or minor")
    lead = style.leads[rng.integers(len(style.leads))]
    chords = style.chords[rng.integers(len(style.chords))]
    return _Plan(style, groove, lead, chords, bpm, tonic, mode)


def _sections(bars: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Verses and choruses of four bars (two in short songs), behind an introduction or not."""
    sections = []
    if bars >= 6 and rng.random() < 0.3:
        sections.append(("Intro", 1 if bars < 12 else 2))
    length = 4 if bars >= 6 else 2
    left = bars - sum(count for _, count in sections)
    while left > 0:
        name = "Chorus" if sections and sections[-1][0] == "Verse" else "Verse"
        sections.append((name, min(length, left)))
        left -= length
    return sections


def _motif(plan: _Plan, lift: int, rng: np.random.Generator) -> Bar:
    """A bar of melody: notes on beats almost always, between them as often as the style is busy."""
    fine = 1 if plan.style.busy > 0.75 and plan.step_seconds > 0.12 else 2
    starts = [0]
    for step in range(fine, plan.steps, fine):
        likely = 0.55 + 0.45 * plan.style.busy if step % plan.beat == 0 else 0.9 * plan.style.busy
        if rng.random() < likely * (0.5 if step % 2 else 1):
            starts.append(step)
    degree = int(rng.choice([0, 2, 4])) + lift
    bar = []
    for start, end in zip(starts, [*starts[1:], plan.steps], strict=True):
        bar.append((start, end - start, degree))
        move = int(rng.choice([-2, -1, -1, 1, 1, 2]))
        degree = int(np.clip(degree + move, -2 + lift, 6 + lift))
    return tuple(bar)


def _vary(bar: Bar, rng: np.random.Generator) -> Bar:
    """The same rhythm, the end moved by a step."""
    shift = int(rng.choice([-1, 1]))
    kept = max(1, len(bar) - 2)
    end = tuple((start, length, degree + shift) for start, length, degree in bar[kept:])
    return bar[:kept] + end


def _word(rng: np.random.Generator) -> str:
    vowel = "aeiou"[rng.integers(5)]
    return WORDS[vowel][rng.integers(len(WORDS[vowel]))]


def _vowel(word: str) -> str:
    return next(vowel for vowel, words in WORDS.items() if word in words)


def _bar(
    plan: _Plan, theme: _Theme, section: str, bar: int, place: int, sung: list[str]
) -> Iterator[Note]:
    """The notes of one bar; ``place`` is its number within the section."""
    root = theme.chords[place % 4]
    loud = 1.15 if section == "Chorus" else 1.0
    yield from _chords(plan, bar, root, loud)
    yield from _bass(plan, bar, root)
    if section != "Intro" or place > 0:
        yield from _drums(plan, bar, loud)
    if section != "Intro":
        number = place % 4
        first = sum(map(len, theme.motifs[:number]))
        motif = theme.motifs[number]
        words = theme.words[first : first + len(motif)]
        if plan.lead == "voice":
            sung.append(" ".join(words))
        yield from _lead(plan, bar, root, motif, words)


def _when(plan: _Plan, bar: int, start: int, length: float) -> tuple[float, float]:
    """Start and length in seconds of what begins at a sixteenth of a bar, rounded to 10 ms."""
    begin = round((bar * plan.steps + start) * plan.step_seconds / TICK)
    held = max(4, round(0.94 * length * plan.step_seconds / TICK))
    return round(begin * TICK, 2), round(held * TICK, 2)


def _lead(plan: _Plan, bar: int, root: int, motif: Bar, words: tuple[str, ...]) -> Iterator[Note]:
    chord = [(root + third) % 7 for third in (0, 2, 4)]
    for (start, length, degree), word in zip(motif, words, strict=True):
        if start % plan.beat == 0:  # on the beat, the nearest tone of the chord
            degree = min((degree, degree - 1, degree + 1), key=lambda d: (d % 7 not in chord))
        player = f"voice-{_vowel(word)}" if plan.lead == "voice" else plan.lead
        velocity = plan.style.levels[0] * (1.0 if start % plan.beat == 0 else 0.85)
        pitch = plan.pitch(degree, 64)
        when = _when(plan, bar, start, length)
        yield Note(*when, pitch, velocity, VOICES[player].track, player, 0.1)


def _chords(plan: _Plan, bar: int, root: int, loud: float) -> Iterator[Note]:
    lowest, thirds = (45, (0, 4)) if plan.chords == "fuzz" else (55, (0, 2, 4))
    pitches = sorted(lowest + (plan.pitch(root + third, 0) - lowest) % 12 for third in thirds)
    level = round(0.55 * loud * plan.style.levels[1], 3)
    track = VOICES[plan.chords].track
    for count, (start, length, _) in enumerate(_struck(plan.groove.chords)):
        when = _when(plan, bar, start, length)
        if plan.style.arpeggio:
            rise = [*pitches, pitches[0] + 12]
            pitch = rise[(0, 1, 2, 3, 2, 1)[count % 6]]
            pan = 0.3 if count % 2 else -0.3
            yield Note(*when, pitch, 1.3 * level, track, plan.chords, pan)
            continue
        for number, pitch in enumerate(pitches):
            yield Note(*when, pitch, level, track, plan.chords, 0.4 * (number - 1))


def _bass(plan: _Plan, bar: int, root: int) -> Iterator[Note]:
    lowest = 36 + (plan.pitch(root, 0) - 36) % 12
    for start, length, mark in _struck(plan.groove.bass):
        above = {"1": 0, "3": 2, "5": 4, "8": 7}[mark]
        pitch = lowest + plan.pitch(root + above, 0) - plan.pitch(root, 0)
        when = _when(plan, bar, start, length)
        yield Note(*when, pitch, plan.style.levels[2], "bass", plan.style.bass, 0.0)


def _drums(plan: _Plan, bar: int, loud: float) -> Iterator[Note]:
    for player, pattern in plan.groove.drums:
        for start, _, _ in _struck(pattern):
            level = loud * plan.style.levels[3] * (1.0 if start % plan.beat == 0 else 0.8)
            when = _when(plan, bar, start, 1)
            yield Note(*when, 0, level, "drums", player, DRUMS[player].pan)


def _struck(pattern: str) -> list[tuple[int, int, str]]:
    """(start, length, mark) of what a pattern strikes; a dash holds on."""
    starts = [step for step, mark in enumerate(pattern) if mark not in ".-"]
    held = [len(pattern[step + 1 :]) - len(pattern[step + 1 :].lstrip("-")) for step in starts]
    return [(step, 1 + more, pattern[step]) for step, more in zip(starts, held, strict=True)]


def _caption(name: str, plan: _Plan) -> str:
    _, speed, mood, lead, chords, drums, *_ = _tags(name, plan)
    return f"{speed} {mood} {name} with {lead}, {chords}, {drums}"


def _tags(name: str, plan: _Plan) -> tuple[str, ...]:
    speed = "slow" if plan.bpm < 88 else "mid-tempo" if plan.bpm < 122 else "fast"
    lead = "vocals" if plan.lead == "voice" else VOICES[plan.lead].noun
    meter = {"3": "three-four", "4": "four-four", "6": "six-eight"}[plan.groove.timesignature]
    drums = plan.style.drums or "no drums"
    return name, speed, plan.style.mood, lead, VOICES[plan.chords].noun, drums, plan.mode, meter


def _dry(song: Song) -> Mapping[str, Sound]:
    """Each part without the room, ``[2, n]``, before the level is set."""
    count = round(song.seconds * RATE)
    tracks: dict[tuple[str, float], Sound] = {}
    for note in song.notes:
        start = round(note.start * RATE)
        if start >= count:
            continue
        track = tracks.setdefault((note.part, note.pan), np.zeros(count, np.float32))
        sound = _played(note)[: count - start]
        track[start : start + len(sound)] += np.float32(note.velocity) * sound
    parts: dict[str, Sound] = {}
    for (part, pan), track in tracks.items():
        angle = (pan + 1) * np.pi / 4  # constant power
        sides = np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
        parts[part] = parts.get(part, 0) + sides * track
    return parts


def _played(note: Note) -> Sound:
    if note.player in DRUMS:
        return strike(DRUMS[note.player])
    return tone(VOICES[note.player], note.pitch, round(note.length / TICK))
