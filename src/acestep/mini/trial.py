"""How good a small base model is: marks for what it makes of songs it was never trained on.

A :class:`Trial` holds a base model and songs of the corpus from :data:`FIRST_SEED` on, in wordings
drawn by the same seeds. Each function gives :class:`Mark`\\ s of one task. Beside what the model
reaches, a mark says what the songs themselves reach with the same measure, as rendered and as the
VAE gives them back, and what comes of chance: the labels of another song, or the VAE's sound for
white latents. Everything is made through :class:`acestep.AceStepPipeline`, by its defaults, with
fixed seeds: the same model gives the same marks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from acestep.data.audio import RATE
from acestep.mini.corpus import STYLES, TESTS, Song, compose, describe, render
from acestep.mini.measures import (
    StyleClassifier,
    chroma_cosine,
    clipped_share,
    key,
    key_matches,
    pulse_kept,
    silent_share,
    spectral_error,
    tempo,
    tempo_matches,
)
from acestep.mini.statistics import NAMES, chroma, cosine, pulse, statistics
from acestep.model.base import find_model, load_vae
from acestep.model.vae import decode_audio, encode_audio
from acestep.pipeline import AceStepPipeline

FIRST_SEED = TESTS  # of the songs that marks are given for
LESSON_SEED = TESTS + 20_000  # of those that the style classifier learns from
SECONDS, LESSON_SECONDS = 10.24, 5.12
NOISES = 4
FOLLOWED = 0.3  # cover strength for a change of style
WINDOW = (2.56, 7.68)  # what is repainted, seconds
TONAL = NAMES.index("tonal")


@dataclass(frozen=True)
class Mark:
    """One measure of one task. ``low`` and ``high`` bound what is good enough."""

    task: str
    measure: str
    value: float
    corpus: float | None = None
    vae: float | None = None
    chance: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the value is within its bounds; None where there are none."""
        if self.low is None and self.high is None:
            return None
        return (self.low is None or self.value >= self.low) and (
            self.high is None or self.value <= self.high
        )


@dataclass(frozen=True)
class Example:
    """A song, how it sounds, and one of the ways to describe it."""

    song: Song
    audio: np.ndarray
    caption: str


def make_example(
    seed: int,
    style: str,
    bpm: int | None = None,
    keyscale: str | None = None,
    seconds: float = SECONDS,
) -> Example:
    """The song of a seed in a style, at a tempo and in a key if they are given."""
    song = compose(seed, seconds, style=style, bpm=bpm, keyscale=keyscale)
    return Example(song, render(song), describe(song, np.random.default_rng(seed)))


class Trial:
    """A base model (as ``--model`` names it) and ``clips`` songs, the styles taking turns.

    The style classifier learns from ``lessons`` songs of each style.
    """

    def __init__(self, model: str | None = None, clips: int = 36, lessons: int = 6) -> None:
        self.model = model or "mini"
        self.pipeline = AceStepPipeline(self.model)
        self.clips = clips
        self.lessons = lessons
        self.vae = load_vae(find_model(self.model), torch.device("cpu"))

    @cached_property
    def examples(self) -> list[Example]:
        """The songs that marks are given for."""
        return list(_in_turn(FIRST_SEED, self.clips))

    @cached_property
    def heard(self) -> list[np.ndarray]:
        """The songs as the VAE gives them back."""
        return [self.through_the_vae(example.audio) for example in self.examples]

    @cached_property
    def noise(self) -> list[np.ndarray]:
        """What the VAE makes of latents without any order: each channel's own level, white."""
        songs = [self.encode(example.audio) for example in self.examples[:NOISES]]
        latents = torch.cat(songs, dim=1)
        mean, deviation = latents.mean(1, keepdim=True), latents.std(1, keepdim=True)
        rng = torch.Generator().manual_seed(0)
        shape = (1, round(SECONDS * 25), latents.shape[2])
        draws = (torch.randn(shape, generator=rng) for _ in range(NOISES))
        return [decode_audio(self.vae, mean + deviation * white) for white in draws]

    @cached_property
    def classifiers(self) -> dict[str, StyleClassifier]:
        """Who knows the styles, from songs as rendered (``corpus``) and through the ``vae``."""
        songs = _in_turn(LESSON_SEED, self.lessons * len(STYLES), LESSON_SECONDS)
        plain: dict[str, list[np.ndarray]] = {style: [] for style in STYLES}
        heard: dict[str, list[np.ndarray]] = {style: [] for style in STYLES}
        for example in songs:
            plain[example.song.style].append(example.audio)
            heard[example.song.style].append(self.through_the_vae(example.audio))
        return {"corpus": StyleClassifier.fit(plain), "vae": StyleClassifier.fit(heard)}

    def encode(self, audio: np.ndarray) -> torch.Tensor:
        """Latents ``[1, T, 64]``."""
        return encode_audio(self.vae, audio, seed=0)

    def through_the_vae(self, audio: np.ndarray) -> np.ndarray:
        """Audio, encoded and decoded."""
        return decode_audio(self.vae, self.encode(audio))

    def make(self, caption: str, seed: int, song: Song | None = None, **knobs: Any) -> np.ndarray:
        """A clip for a caption, and for the labels of a song if one is given."""
        if song is not None:
            knobs |= {"bpm": song.bpm, "keyscale": song.keyscale, "lyrics": song.lyrics}
            knobs |= {"timesignature": song.timesignature, "language": song.language}
        return self.pipeline.generate(caption, seed=seed, duration=SECONDS, **knobs).audio


def vae_marks(trial: Trial) -> list[Mark]:
    """What the VAE keeps of songs."""
    return sound_marks("vae", trial, [(e.audio, e.song.bpm) for e in trial.examples], trial.heard)


def sound_marks(
    task: str,
    trial: Trial,
    sources: Sequence[tuple[np.ndarray, float]],
    heard: Sequence[np.ndarray] | None = None,
    highest_error: float = 0.8,
) -> list[Mark]:
    """What the VAE keeps of any audio with a tempo; chance is what another song has of it."""
    heard = heard or [trial.through_the_vae(audio) for audio, _ in sources]
    audios = [audio for audio, _ in sources]
    beating = [(made, *source) for made, source in zip(heard, sources, strict=True)]
    beating = [(made, audio, bpm) for made, audio, bpm in beating if pulse(audio, bpm) > 0.1]
    near, far = _paired(_chroma_likeness, heard, audios)
    error, other_error = _paired(spectral_error, heard, audios)
    kept = float(np.mean([pulse_kept(*triple) for triple in beating]))
    lost = [pulse_kept(trial.noise[0], audio, bpm) for _, audio, bpm in beating]
    return [
        Mark(task, "chroma cosine", near, 1.0, None, far, low=0.97),
        Mark(task, "MR-STFT error", error, 0.0, None, other_error, high=highest_error),
        Mark(task, "pulse kept", kept, 1.0, None, float(np.mean(lost)), low=0.8),
    ]


def generate_marks(trial: Trial) -> list[Mark]:
    """Clips from captions and labels: do they have the tempo, key and style that was asked for?"""
    made = [trial.make(e.caption, n, e.song) for n, e in enumerate(trial.examples)]
    return asked_marks(trial, made)


def asked_marks(trial: Trial, made: Sequence[np.ndarray]) -> list[Mark]:
    """The marks of clips that were made for the trial's songs, one each."""
    songs = [example.song for example in trial.examples]
    groups = [made, [example.audio for example in trial.examples], trial.heard]
    by = trial.classifiers
    judges = (by["vae"], by["corpus"], by["vae"])
    bpms = [song.bpm for song in songs]
    keys, styles = [song.keyscale for song in songs], [song.style for song in songs]
    tempi = [_agreeing([tempo(clip) for clip in group], bpms, tempo_matches) for group in groups]
    found = [_agreeing([key(clip) for clip in group], keys, key_matches) for group in groups]
    named = [
        _agreeing([judge.of(clip) for clip in group], styles, str.__eq__)
        for judge, group in zip(judges, groups, strict=True)
    ]
    beats = [_paired(pulse, group, bpms) for group in groups]
    tonal = [(_mean(_tonal, group), _mean(_tonal, trial.noise)) for group in groups]
    silence = [(max(map(silent_share, group)), None) for group in groups]
    flat = [(max(map(clipped_share, group)), None) for group in groups]
    return [
        _mark("generate", "asked BPM found", tempi, low=0.8),
        _mark("generate", "asked key found", found, low=0.7),
        _mark("generate", "asked style known", named, low=0.8),
        _mark("generate", "tonal share", tonal, low=0.7),
        _mark("generate", "pulse at asked BPM", beats),
        _mark("generate", "most silence", silence, high=0.05),
        _mark("generate", "most clipping", flat, high=0.001),
    ]


def repaint_marks(trial: Trial, clips: int | None = None) -> list[Mark]:
    """The middle of songs made anew: told the song's labels, and told its style alone."""
    examples = trial.examples[:clips]
    first, last = (round(second * RATE) for second in WINDOW)
    told, untold = (_repainted(trial, examples, labels) for labels in (True, False))
    outside = 0.0
    for clip, example in zip([*told, *untold], [*examples, *examples], strict=True):
        change = np.abs(clip - example.audio)
        change[:, first:last] = 0
        outside = max(outside, float(change.max()))
    marks = [Mark("repaint", "change outside", outside, high=0.0)]
    keys, bpms = [e.song.keyscale for e in examples], [e.song.bpm for e in examples]
    rest = [[example.audio for example in examples], trial.heard[: len(examples)]]
    for name, made in (("", told), (", untold", untold)):
        inside = [[clip[:, first:last] for clip in group] for group in (made, *rest)]
        kept = [_agreeing([key(clip) for clip in group], keys, key_matches) for group in inside]
        tempi = [_agreeing([tempo(clip) for clip in part], bpms, tempo_matches) for part in inside]
        harmony = [_paired(_chroma_likeness, group, inside[1]) for group in inside]
        marks += [
            _mark("repaint", f"key kept{name}", kept, low=0.7),
            _mark("repaint", f"BPM kept{name}", tempi),
            _mark("repaint", f"chroma cosine{name}", harmony),
        ]
    return marks


def _repainted(trial: Trial, examples: Sequence[Example], labels: bool) -> list[np.ndarray]:
    """Each example with its window made anew, told its labels or only its caption."""
    made = []
    for number, example in enumerate(examples):
        knobs: dict[str, Any] = {"repainting_start": WINDOW[0], "repainting_end": WINDOW[1]}
        knobs |= {"task_type": "repaint", "src_audio": (example.audio, RATE)}
        song = example.song if labels else None
        made.append(trial.make(example.caption, number, song, **knobs))
    return made


def cover_marks(trial: Trial, clips: int | None = None) -> list[Mark]:
    """Songs played from their codes: in their own style, and in the style of another caption.

    Codes tell more of a song than its notes, so for another style they are followed in a share of
    the steps alone (``FOLLOWED``); followed to the end the source's own style stays.
    """
    examples = trial.examples[:clips]
    names = list(STYLES)
    audios = [example.audio for example in examples]
    own, others, told = [], [], []
    for number, example in enumerate(examples):
        song = example.song
        source: dict[str, Any] = {"task_type": "cover", "src_audio": (example.audio, RATE)}
        own.append(trial.make(example.caption, number, song, **source))
        style = names[(names.index(song.style) + 1 + number // len(names)) % len(names)]
        told.append(make_example(song.seed, style, song.bpm, song.keyscale))
        source["cover_strength"] = FOLLOWED
        others.append(trial.make(told[-1].caption, number, song, **source))
    heard = trial.heard[: len(examples)]
    again, harmony = (
        [_kept_harmony(trial, group, audios) for group in (made, audios, heard)]
        for made in (own, others)
    )
    bpms = [example.song.bpm for example in examples]
    tempi = [
        _agreeing([tempo(clip) for clip in group], bpms, tempo_matches)
        for group in (others, audios, heard)
    ]
    styles = [example.song.style for example in told]
    groups = {"vae": others, "corpus": [example.audio for example in told]}
    known = [
        _agreeing([trial.classifiers[name].of(clip) for clip in group], styles, str.__eq__)
        for name, group in groups.items()
    ]
    return [
        _mark("cover", "codes to music, chroma", again, low=0.8),
        _mark("cover", "other style, chroma", harmony, low=0.6),
        _mark("cover", "other style, BPM kept", tempi, low=0.8),
        _mark("cover", "other style known", known, low=0.6),
    ]


def _in_turn(first_seed: int, count: int, seconds: float = SECONDS) -> Iterator[Example]:
    names = list(STYLES)
    for number in range(count):
        yield make_example(first_seed + number, names[number % len(names)], seconds=seconds)


def _agreeing(found: Sequence, asked: Sequence, matches: Callable) -> tuple[float, float]:
    """Share of what was found that is what was asked; and, by chance, what another was asked."""
    hits = np.array([[bool(matches(one, other)) for other in asked] for one in found], float)
    return float(np.diag(hits).mean()), _off_diagonal(hits)


def _paired(measure: Callable, ones: Sequence, others: Sequence) -> tuple[float, float]:
    """Mean of a measure over pairs, and over pairs where the other is the next one's."""
    count = len(ones)
    right = [measure(ones[n], others[n]) for n in range(count)]
    wrong = [measure(ones[n], others[(n + 1) % count]) for n in range(count)]
    return float(np.mean(right)), float(np.mean(wrong))


def _kept_harmony(
    trial: Trial, clips: Sequence[np.ndarray], sources: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Chroma cosine over time; by chance, that of another clip or of white latents."""
    value, other = _paired(chroma_cosine, clips, sources)
    white = [chroma_cosine(trial.noise[0], source) for source in sources]
    return value, max(other, float(np.mean(white)))


def _off_diagonal(table: np.ndarray) -> float:
    away = ~np.eye(len(table), dtype=bool)
    return float(table[away].mean()) if away.any() else 0.0


def _mark(
    task: str,
    measure: str,
    shares: Sequence[tuple[float, float | None]],
    low: float | None = None,
    high: float | None = None,
) -> Mark:
    """A mark from (value, chance) of the model, of the corpus, and of what the VAE leaves of it."""
    (value, chance), (corpus, _), *rest = shares
    return Mark(task, measure, value, corpus, rest[0][0] if rest else None, chance, low, high)


def _chroma_likeness(one: np.ndarray, other: np.ndarray) -> float:
    return cosine(chroma(one), chroma(other))


def _tonal(clip: np.ndarray) -> float:
    return float(statistics(clip)[TONAL])


def _mean(measure: Callable[[np.ndarray], float], clips: Sequence[np.ndarray]) -> float:
    return float(np.mean([measure(clip) for clip in clips]))
