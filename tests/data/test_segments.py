"""Cutting songs and their lyrics."""

import pytest

from acestep.data.segments import cut_song, segment_lyrics

LYRICS = "[Verse 1]\none\ntwo\n[Chorus]\nthree\nfour"


@pytest.mark.parametrize(
    ("seconds", "longest", "segment", "parts"),
    [
        (100, 240, None, [(0, 100)]),
        (3600, 240, None, [(0, 240)]),
        (20, 240, 30, [(0, 20)]),
        (60, 240, 30, [(0, 30), (30, 30)]),
        (50, 240, 30, [(0, 30), (30, 20)]),
        (40, 240, 30, [(0, 30)]),
        (300, 240, 100, [(0, 100), (100, 100)]),
    ],
)
def test_parts(seconds, longest, segment, parts):
    assert cut_song(seconds, longest, segment) == parts


def test_each_segment_has_its_own_lines_under_their_section():
    assert segment_lyrics(LYRICS, 0, 20, 40) == "[Verse 1]\none\ntwo"
    assert segment_lyrics(LYRICS, 20, 20, 40) == "[Chorus]\nthree\nfour"
    assert segment_lyrics(LYRICS, 10, 20, 40) == "[Verse 1]\ntwo\n[Chorus]\nthree"


def test_a_segment_between_lines_is_instrumental():
    assert segment_lyrics("[Verse]\none", 0, 5, 40) == "[Instrumental]"


def test_whole_songs_and_instrumentals_keep_their_text():
    assert segment_lyrics(LYRICS, 0, 40, 40) == LYRICS
    assert segment_lyrics("[Instrumental]", 0, 10, 40) == "[Instrumental]"


def test_no_line_is_lost_or_doubled():
    text = "\n".join(f"line {n}" for n in range(17))
    parts = [segment_lyrics(text, start, length, 100) for start, length in cut_song(100, 240, 12.5)]
    assert "\n".join(parts) == text
