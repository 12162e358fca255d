"""Draft captions say what is known, in plain words, and nothing else."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep.labellers.draft import Measured, SongFacts, draft_caption

ALL = Measured(66.0, "A minor", 1200.0, 1.0, -25.0, 14.0)


def test_a_caption_names_what_is_known():
    facts = SongFacts("Jazz", "Blue Train", "late night set", True)
    assert draft_caption(ALL, facts) == (
        "slow jazz in a minor key, warm, sparse, quiet, wide dynamics, instrumental, "
        'titled "Blue Train", from "late night set"'
    )


def test_what_is_not_known_is_not_said():
    assert draft_caption(Measured(), SongFacts()) == ""
    assert draft_caption(Measured(bpm=100), SongFacts()) == "mid-tempo"
    assert draft_caption(Measured(keyscale="C major"), SongFacts()) == "in a major key"
    assert draft_caption(Measured(), SongFacts(genre="Rock")) == "rock"
    assert draft_caption(Measured(), SongFacts(instrumental=False)) == "with vocals"
    middle = Measured(100.0, None, 2000.0, 3.0, -15.0, 8.0)
    assert draft_caption(middle, SongFacts()) == "mid-tempo"
    words = draft_caption(ALL, SongFacts())
    assert "vocal" not in words and "instrumental" not in words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bpm", {50: "very slow", 60: "slow", 84.9: "slow", 85: "mid-tempo", 120: "uptempo",
                 144: "uptempo", 145: "fast", 240: "fast"}),
        ("brightness", {500: "dark", 1000: "warm", 2500: "", 3500: "bright"}),
        ("density", {0: "sparse", 3: "", 9: "busy"}),
        ("loudness", {-40: "quiet", -14: "", -7: "loud"}),
        ("dynamics", {1: "even dynamics", 6: "", 20: "wide dynamics"}),
    ],
)  # fmt: skip
def test_each_measurement_has_its_words(name, words):
    said = {value: draft_caption(Measured(**{name: float(value)}), SongFacts()) for value in words}
    assert said == words


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_not_said(value):
    numbers = {item.name: value for item in fields(Measured) if item.name != "keyscale"}
    assert draft_caption(Measured(**numbers), SongFacts()) == ""


def test_tags_that_say_nothing_are_left_out():
    for name in ("", " ", "Other", "Unknown", "new folder", "Track 01", "songs", "0001", "my_music",
                 "---", "\n\t", '""'):  # fmt: skip
        assert draft_caption(Measured(), SongFacts(name, name, name)) == ""
    assert draft_caption(Measured(), SongFacts("Hip-Hop/Rap")) == "hip-hop, rap"
    assert draft_caption(Measured(), SongFacts(folder="lo-fi_beats")) == 'from "lo-fi beats"'
    assert draft_caption(Measured(), SongFacts(genre="Jazz", folder="jazz")) == "jazz"
    assert draft_caption(Measured(keyscale="D dorian"), SongFacts()) == ""


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_any_tag_makes_one_short_line(genre, title, folder):
    caption = draft_caption(ALL, SongFacts(genre, title, folder))
    assert len(caption) < 400 and "\n" not in caption and caption.count('"') in (0, 2, 4)
    assert caption.isprintable()
