"""What the shipped small base is good for, held on a few songs it was never trained on.

The benchmark (``benchmarks/mini.py``) measures the same on more songs; bounds are looser here by
what so few songs may stray.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from acestep.data.audio import RATE
from acestep.mini.compare import through_the_vae
from acestep.mini.folder import songs_of
from acestep.mini.statistics import distance
from acestep.mini.teach import TAG, Lesson, Places, teach
from acestep.mini.trial import (
    SECONDS,
    Mark,
    Trial,
    cover_marks,
    generate_marks,
    repaint_marks,
    sound_marks,
)
from acestep.mini.trial_lora import NO_TAG, make_clips
from acestep.model.find import find_model
from acestep.pipeline import AceStepPipeline

CLIPS = 12  # one a style


class Quick(Trial):
    """A trial that leaves out what stands beside the marks in a table."""

    @cached_property
    def heard(self):
        return [example.audio for example in self.examples]


@pytest.fixture(scope="module")
def trial():
    return Quick("mini", clips=CLIPS, lessons=3)


def values(marks: list[Mark]) -> dict[str, float]:
    return {mark.measure: mark.value for mark in marks}


def test_the_package_is_small():
    files = [file for file in Path(find_model("mini").path).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 20_000_000


def test_the_vae_keeps_harmony_sound_and_beat(trial):
    sources = [(example.audio, example.song.bpm) for example in trial.examples[:3]]
    marks = values(sound_marks("vae", trial, sources))
    assert marks["chroma cosine"] > 0.97
    assert marks["MR-STFT error"] < 0.8
    assert marks["pulse kept"] > 0.75


def test_clips_have_the_tempo_key_and_style_that_was_asked_for(trial):
    made = {mark.measure: mark for mark in generate_marks(trial)}
    for measure, least in (
        ("asked BPM found", 0.75),
        ("asked key found", 0.7),
        ("asked style known", 0.65),
    ):
        assert made[measure].value >= least > 2 * made[measure].chance, measure
    assert made["tonal share"].value > max(0.7, made["tonal share"].chance)
    assert made["most silence"].value < 0.05 and made["most clipping"].value < 0.001


def test_what_is_repainted_stays_in_key_and_the_rest_as_it_was(trial):
    marks = values(repaint_marks(trial, clips=6))
    assert marks["change outside"] == 0
    assert marks["key kept"] >= 0.5


def test_a_cover_keeps_harmony_and_takes_the_style(trial):
    marks = values(cover_marks(trial))
    assert marks["codes to music, chroma"] > 0.8
    assert marks["other style, chroma"] > 0.6
    assert marks["other style, BPM kept"] >= 0.65
    assert marks["other style known"] >= 0.4


def test_white_latents_are_no_silence_and_a_clip_comes_again_bit_by_bit(trial):
    (white, *_) = trial.noise
    assert np.sqrt(np.mean(white**2)) > 0.01
    example = trial.examples[0]
    first, again = (trial.make(example.caption, 1, example.song) for _ in range(2))
    assert np.array_equal(first, again) and first.shape == (2, round(SECONDS * RATE))


def test_an_adapter_comes_near_its_folder_and_answers_to_its_tag(tmp_path):
    """The lesson of the demo, on a style that the base never heard."""
    places, lesson = Places.below(tmp_path, "bossa"), Lesson("bossa")
    list(teach(places, lesson))
    folder = through_the_vae(places.tensors, SECONDS)
    songs = [song for _, song in songs_of(places.songs, "bossa", 8, lesson.seconds)][:4]
    base, adapted = AceStepPipeline("mini"), AceStepPipeline("mini", lora_path=places.adapter)

    def far(pipeline, caption):
        return distance(make_clips(pipeline, [caption] * len(songs), songs), folder)

    alone, tagged, untagged = far(base, NO_TAG), far(adapted, TAG), far(adapted, NO_TAG)
    assert tagged < 0.6 * alone and untagged > 1.5 * tagged
    adapted.set_lora_scale(0.0)
    assert far(adapted, NO_TAG) == alone
