"""How well styles can be taught to a small base model: adapters of folders it has never heard.

For every style of :data:`acestep.mini.corpus.HELD_OUT` that is asked for, a folder of songs becomes
an adapter (:mod:`acestep.mini.teach`). Base and adapters then make clips from the same seeds, asked
as a user would who knows tempo, key and metre and leaves the sound to the tag: the tag for a
caption, or nothing in its place; and once more for the songs' captions, with the tag and without.
Their distances to the folders are compared
(:func:`acestep.mini.statistics.distance`; folders as the VAE gives them back). The base is asked
without the tag: it is no word of its world.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from acestep.errors import AceStepWarning
from acestep.mini.compare import through_the_vae
from acestep.mini.corpus import Song
from acestep.mini.folder import songs_of
from acestep.mini.statistics import distance
from acestep.mini.teach import TAG, Lesson, Places, teach
from acestep.mini.trial import SECONDS, Mark, Trial
from acestep.pipeline import AceStepPipeline

NO_TAG = "music"  # what stands where a prompt is the tag alone
FIRST_NOISE = 100  # seed of a set's first clip
Clips = list[np.ndarray]


@dataclass(frozen=True)
class Heard:
    """Clips for the same prompts: of the base, of its adapter with the tag, and without it."""

    base: Clips
    own: Clips
    untagged: Clips


@dataclass(frozen=True)
class Taught:
    """A folder through the VAE, and clips for the tag ``alone``, or beside its songs' captions.

    ``others`` are those of other folders' adapters for the tag alone; ``off`` is a clip of the
    adapter at strength 0 for the first prompt without it.
    """

    folder: Clips
    alone: Heard
    captioned: Heard
    others: Mapping[str, Clips]
    off: np.ndarray


def lora_marks(
    trial: Trial,
    root: Path,
    styles: Sequence[str] = ("cumbia", "jig", "bossa", "funk"),
    lesson: Lesson | None = None,
    clips: int = 4,
) -> list[Mark]:
    """Teach every style, below ``root``, and compare."""
    lesson = lesson or Lesson(model=trial.model)
    lessons = {style: replace(lesson, style=style) for style in styles}
    places = {style: Places.below(root / style, style) for style in styles}
    for style in styles:
        for _ in teach(places[style], lessons[style]):
            pass
    adapters = {
        style: AceStepPipeline(trial.model, lora_path=places[style].adapter) for style in styles
    }
    taught = {}
    for style in styles:
        folder = songs_of(places[style].songs, style, lesson.songs, lesson.seconds)
        songs = [song for _, song in folder[:clips]]
        heard = through_the_vae(places[style].tensors, min(SECONDS, lesson.seconds))
        taught[style] = make_taught(trial.pipeline, adapters, style, songs, heard)
    return compare_marks(taught)


def make_taught(
    base: AceStepPipeline,
    adapters: Mapping[str, AceStepPipeline],
    style: str,
    songs: Sequence[Song],
    folder: Clips,
) -> Taught:
    """What base and adapters make of prompts with the labels of a style's ``songs``."""
    own = adapters[style]
    tagged = [f"{TAG}, {song.caption}" for song in songs]
    plain = [song.caption for song in songs]
    tag, nothing = [TAG] * len(songs), [NO_TAG] * len(songs)
    captioned = _heard(base, own, tagged, plain, songs)
    alone = _heard(base, own, tag, nothing, songs)
    others = {
        name: make_clips(other, tag, songs) for name, other in adapters.items() if name != style
    }
    own.set_lora_scale(0.0)
    (off,) = make_clips(own, nothing[:1], songs[:1])
    return Taught(folder, alone, captioned, others, off)


def _heard(
    base: AceStepPipeline,
    own: AceStepPipeline,
    tagged: Sequence[str],
    plain: Sequence[str],
    songs: Sequence[Song],
) -> Heard:
    return Heard(
        make_clips(base, plain, songs),
        make_clips(own, tagged, songs),
        make_clips(own, plain, songs),
    )


def make_clips(pipeline: AceStepPipeline, captions: Sequence[str], songs: Sequence[Song]) -> Clips:
    """A clip a song, a seed each, for a caption beside the song's tempo, key and metre."""
    clips = []
    for seed, (caption, song) in enumerate(zip(captions, songs, strict=True), FIRST_NOISE):
        labels: dict[str, Any] = {
            name: vars(song)[name] for name in ("bpm", "keyscale", "timesignature")
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AceStepWarning)  # the tag is meant to be missing
            made = pipeline.generate(caption, seed=seed, duration=SECONDS, **labels)
        clips.append(made.audio)
    return clips


def compare_marks(taught: Mapping[str, Taught]) -> list[Mark]:
    """The marks of two adapters or more.

    For every style, the distance of its adapter's clips to its folder, and as a share of the
    base's; how many times farther the other adapters' clips lie on average, and its own without the
    tag; then share and times where the songs' captions are told as well.
    """
    marks, change = [], 0.0
    for style, one in taught.items():
        base, near, without = _distances(one.alone, one.folder)
        far = [distance(clips, one.folder) for clips in one.others.values()]
        told = _distances(one.captioned, one.folder)
        marks += [
            Mark("lora", f"{style}, distance", near),
            Mark("lora", f"{style}, of base", near / base, high=0.6),
            Mark("lora", f"{style}, others' times", float(np.mean(far)) / near, low=1.3),
            Mark("lora", f"{style}, without tag", without / near, low=1.3),
            Mark("lora", f"{style}, captions, of base", told[1] / told[0]),
            Mark("lora", f"{style}, captions, without tag", told[2] / told[1]),
        ]
        change = max(change, float(np.abs(one.off - one.alone.base[0]).max()))
    return [*marks, Mark("lora", "change, strength 0", change, high=0.0)]


def _distances(heard: Heard, folder: Clips) -> tuple[float, float, float]:
    return (
        distance(heard.base, folder),
        distance(heard.own, folder),
        distance(heard.untagged, folder),
    )
