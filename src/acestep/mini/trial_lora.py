"""How well styles can be taught to a small base model: adapters of folders it has never heard.

For every style of :data:`acestep.mini.corpus.HELD_OUT` that is asked for, a folder of songs becomes
an adapter (:mod:`acestep.mini.teach`). Clips are then asked for as a user would who knows tempo and
key and leaves the sound to the tag: the tag for a caption, beside tempo, key and metre of one of
the folder's songs. Base and adapters make them from the same seeds, and their distances to the
folders are compared (:func:`acestep.mini.statistics.distance`; folders as the VAE gives them back).
The tag alone, without tempo and key, is a mark of its own.
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

NO_TAG = "music"
FIRST_NOISE = 100  # seed of a set's first clip
Clips = list[np.ndarray]


@dataclass(frozen=True)
class Taught:
    """A folder through the VAE, and clips: of the base and of its own adapter for the same prompts.

    ``others`` are those of other folders' adapters, ``plain`` without the tag, ``bare`` pairs base
    and adapter for the tag alone; ``off`` is a clip of the adapter at strength 0.
    """

    folder: Clips
    base: Clips
    own: Clips
    others: Mapping[str, Clips]
    plain: Clips
    bare: tuple[Clips, Clips]
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AceStepWarning)  # the tag is meant to be missing
        plain = make_clips(own, NO_TAG, songs)
    made = make_clips(own, TAG, songs)
    bare = make_clips(base, TAG, songs, told=False), make_clips(own, TAG, songs, told=False)
    others = {
        name: make_clips(other, TAG, songs) for name, other in adapters.items() if name != style
    }
    own.set_lora_scale(0.0)
    (off,) = make_clips(own, TAG, songs[:1])
    return Taught(folder, make_clips(base, TAG, songs), made, others, plain, bare, off)


def make_clips(
    pipeline: AceStepPipeline, caption: str, songs: Sequence[Song], *, told: bool = True
) -> Clips:
    """A clip a song, a seed each; with the song's tempo, key and metre if they are ``told``."""
    clips = []
    for seed, song in enumerate(songs, FIRST_NOISE):
        labels: dict[str, Any] = {}
        if told:
            labels = {name: vars(song)[name] for name in ("bpm", "keyscale", "timesignature")}
        clips.append(pipeline.generate(caption, seed=seed, duration=SECONDS, **labels).audio)
    return clips


def compare_marks(taught: Mapping[str, Taught]) -> list[Mark]:
    """The marks of two adapters or more.

    For every style, the distance of its adapter's clips to its folder, and as a share of the
    base's; how many times farther the other adapters' clips lie on average, and its own without the
    tag; and the share of the base's where nothing but the tag is told.
    """
    marks, change = [], 0.0
    for style, one in taught.items():
        near = distance(one.own, one.folder)
        far = [distance(clips, one.folder) for clips in one.others.values()]
        bare = [distance(clips, one.folder) for clips in one.bare]
        marks += [
            Mark("lora", f"{style}, distance", near),
            Mark("lora", f"{style}, of base", near / distance(one.base, one.folder), high=0.6),
            Mark("lora", f"{style}, others' times", float(np.mean(far)) / near, low=1.3),
            Mark("lora", f"{style}, without tag", distance(one.plain, one.folder) / near),
            Mark("lora", f"{style}, tag alone, of base", bare[1] / bare[0]),
        ]
        change = max(change, float(np.abs(one.off - one.base[0]).max()))
    return [*marks, Mark("lora", "change, strength 0", change, high=0.0)]
