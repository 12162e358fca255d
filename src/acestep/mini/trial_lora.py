"""How well styles can be taught to a small base model: adapters of folders it has never heard.

For every style of :data:`acestep.mini.corpus.HELD_OUT` that is asked for, a folder of songs becomes
an adapter (:mod:`acestep.mini.teach`). With the tag for a prompt and the same seeds, base and
adapters make clips, and the distances between them and the folders are compared
(:func:`acestep.mini.statistics.distance`; folders as the VAE gives them back).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from acestep.errors import AceStepWarning
from acestep.mini.compare import through_the_vae
from acestep.mini.statistics import distance
from acestep.mini.teach import TAG, Lesson, Places, teach
from acestep.mini.trial import SECONDS, Mark, Trial
from acestep.pipeline import AceStepPipeline

NO_TAG = "music"
FIRST_NOISE = 100  # seed of a set's first clip
Clips = list[np.ndarray]


@dataclass(frozen=True)
class Taught:
    """A folder through the VAE, and what its adapter makes: told the tag, and told nothing of it.

    ``off`` is a clip of the tag with the adapter at strength 0.
    """

    folder: Clips
    tag: Clips
    plain: Clips
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
    base = make_clips(trial.pipeline, TAG, clips)
    taught = {}
    for style in styles:
        places = Places.below(root / style, style)
        for _ in teach(places, replace(lesson, style=style)):
            pass
        taught[style] = make_taught(trial, places, clips, min(SECONDS, lesson.seconds))
    return compare_marks(base, taught)


def make_taught(trial: Trial, places: Places, clips: int, seconds: float) -> Taught:
    """What the adapter of a lesson makes."""
    pipeline = AceStepPipeline(trial.model, lora_path=places.adapter)
    told = make_clips(pipeline, TAG, clips)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AceStepWarning)  # the tag is meant to be missing
        untold = make_clips(pipeline, NO_TAG, clips)
    pipeline.set_lora_scale(0.0)
    (off,) = make_clips(pipeline, TAG, 1)
    return Taught(through_the_vae(places.tensors, seconds), told, untold, off)


def make_clips(pipeline: AceStepPipeline, caption: str, count: int) -> Clips:
    """Clips of one caption without labels, a seed each."""
    seeds = range(FIRST_NOISE, FIRST_NOISE + count)
    return [pipeline.generate(caption, seed=seed, duration=SECONDS).audio for seed in seeds]


def compare_marks(base: Clips, taught: Mapping[str, Taught]) -> list[Mark]:
    """The marks of two adapters or more, beside the base's clips for the same prompt and seeds.

    For every style, the distance of its adapter's clips to its folder as a share of the base's; how
    many times farther the other adapters' clips lie on average; and how many times farther its own
    without the tag.
    """
    marks, change = [], 0.0
    for style, own in taught.items():
        near = distance(own.tag, own.folder)
        others = [other.tag for name, other in taught.items() if name != style]
        far = [distance(clips, own.folder) for clips in others]
        marks += [
            Mark("lora", f"{style}, of base", near / distance(base, own.folder), high=0.6),
            Mark("lora", f"{style}, others' times", float(np.mean(far)) / near, low=1.3),
            Mark("lora", f"{style}, without tag", distance(own.plain, own.folder) / near),
        ]
        change = max(change, float(np.abs(own.off - base[0]).max()))
    return [*marks, Mark("lora", "change, strength 0", change, high=0.0)]
