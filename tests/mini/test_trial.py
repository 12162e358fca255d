"""Marks of a model that gives songs back as they are, and of one that gives back other songs."""

from functools import cached_property

import numpy as np
import pytest

from acestep.data.audio import RATE
from acestep.mini.corpus import STYLES
from acestep.mini.trial import (
    FIRST_SEED,
    SECONDS,
    Mark,
    Trial,
    asked_marks,
    cover_marks,
    generate_marks,
    make_example,
    repaint_marks,
    vae_marks,
)

CLIPS = 4


class Perfect(Trial):
    """A trial whose model is no model: it knows the songs."""

    def through_the_vae(self, audio):
        return audio.copy()

    def make(self, caption, seed, song=None, **knobs):
        return self.examples[seed].audio

    @cached_property
    def noise(self):
        rng = np.random.default_rng(0)
        return [rng.standard_normal((2, round(SECONDS * RATE))).astype(np.float32) * 0.1]


@pytest.fixture(scope="module")
def perfect():
    return Perfect("mini", clips=CLIPS, lessons=2)


@pytest.fixture(scope="module")
def right(perfect):
    return generate_marks(perfect)


def by_name(marks: list[Mark]) -> dict[str, Mark]:
    return {mark.measure: mark for mark in marks}


def test_a_mark_passes_within_its_bounds():
    assert Mark("vae", "x", 0.8, low=0.8).passed and not Mark("vae", "x", 0.79, low=0.8).passed
    assert Mark("vae", "x", 0.0, high=0.0).passed and not Mark("vae", "x", 0.1, high=0.0).passed
    assert Mark("vae", "x", 0.5).passed is None


def test_examples_are_songs_that_nothing_was_trained_on(perfect):
    assert [example.song.seed for example in perfect.examples] == [
        FIRST_SEED + number for number in range(CLIPS)
    ]
    assert [example.song.style for example in perfect.examples] == list(STYLES)[:CLIPS]
    assert all(example.audio.shape == (2, round(SECONDS * RATE)) for example in perfect.examples)
    same = make_example(FIRST_SEED, "rock", 111, "E minor")
    assert (same.song.bpm, same.song.keyscale) == (111, "E minor")
    assert same.caption == make_example(FIRST_SEED, "rock", 111, "E minor").caption


def test_songs_themselves_reach_what_the_corpus_reaches(perfect, right):
    for marks in (right, cover_marks(perfect), repaint_marks(perfect)):
        for mark in marks:
            if mark.measure != "other style known":
                assert mark.value == pytest.approx(mark.corpus or 0, abs=1e-6), mark
    marks = by_name(right)
    for measure in ("asked BPM found", "asked key found", "asked style known"):
        assert marks[measure].chance < 0.4 < 0.6 < marks[measure].corpus, measure
    assert marks["most silence"].value == 0 and marks["tonal share"].chance < 0.4


def test_other_songs_fail(perfect, right):
    moved = [perfect.examples[(number + 1) % CLIPS].audio for number in range(CLIPS)]
    wrong, marks = by_name(asked_marks(perfect, moved)), by_name(right)
    for measure in ("asked BPM found", "asked key found", "asked style known"):
        assert wrong[measure].value < 0.5 * marks[measure].value, measure


def test_a_vae_that_changes_nothing_keeps_everything(perfect):
    marks = by_name(vae_marks(perfect))
    assert marks["chroma cosine"].value == pytest.approx(1)
    assert marks["MR-STFT error"].value == 0 and marks["MR-STFT error"].chance > 0.8
    assert marks["pulse kept"].value == 1 and marks["pulse kept"].chance < 0.3
    assert all(mark.passed for mark in marks.values())
