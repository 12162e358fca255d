"""Section marks and advice on lyrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep.data.lyrics import (
    MAX_LYRICS_TOKENS,
    SECTIONS,
    is_mark,
    lyrics_advice,
    normalize_sections,
    sung_lines,
    unknown_marks,
)

MARKS = [
    ("[verse]", "[Verse]"),
    ("[VERSE 2]", "[Verse 2]"),
    ("[verse2]", "[Verse 2]"),
    ("  [ Verse 1 ]  ", "[Verse 1]"),
    ("(Chorus)", "[Chorus]"),
    ("Verse 1:", "[Verse 1]"),
    ("Verse 1", "[Verse 1]"),
    ("chorus：", "[Chorus]"),
    ("**Chorus**", "[Chorus]"),
    ("**[Chorus]:**", "[Chorus]"),
    ("# Bridge", "[Bridge]"),
    ("## Verse 3 ##", "[Verse 3]"),
    ("{outro}", "[Outro]"),
    ("<intro>", "[Intro]"),
    ("【Hook】", "[Hook]"),
    ("[Hook]", "[Hook]"),
    ("Hook:", "[Hook]"),
    ("[prechorus]", "[Pre-Chorus]"),
    ("[Pre Chorus]", "[Pre-Chorus]"),
    ("[post_chorus]", "[Post-Chorus]"),
    ("[guitar solo]", "[Guitar Solo]"),
    ("[inst]", "[Instrumental]"),
    ("(instrumental)", "[Instrumental]"),
    ("[Chorus - explosive]", "[Chorus - explosive]"),
    ("[chorus: all together]", "[Chorus - all together]"),
    ("[Verse 1: Anna & Ben]", "[Verse 1 - Anna & Ben]"),
    ("[Chorus x2]", "[Chorus - x2]"),
]
WORDS = [
    "Verse", "chorus of angels", "Bridge over the river", "(break)", "(silence)", "drop 5", "hook",
    "(oh yeah)", "Chorus: all together now", "(bridge - it burns)", "she said:", "verse 1 is mine",
    "[Couplet 1]", "[Verses]", "[00:12.00] la la", "**", "[]", "()", ":", "#", "", "   ",
    "[Verse 1] la la la", "1", "♪", "[Introduction]",
]  # fmt: skip


@pytest.mark.parametrize(("written", "mark"), MARKS)
def test_marks_are_written_as_the_model_knows_them(written, mark):
    assert normalize_sections(f"la la\n{written}\nla la") == f"la la\n{mark}\nla la"
    assert normalize_sections(mark) == mark and is_mark(written)


@pytest.mark.parametrize("line", WORDS)
def test_words_are_never_touched(line):
    assert normalize_sections(f"{line}\n{line}") == f"{line}\n{line}"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_known_mark_stays_itself(name):
    for mark in (f"[{name}]", f"[{name} 2]", f"[{name} - soft piano]"):
        assert normalize_sections(mark.lower()).lower() == mark.lower()
        assert normalize_sections(mark) == mark


@given(st.text(alphabet="[](){}*#:- x2\nverschou Verse1你", max_size=60))
def test_normalising_twice_is_normalising_once_and_keeps_the_lines(text):
    once = normalize_sections(text)
    assert normalize_sections(once) == once
    assert once.count("\n") == text.count("\n")
    assert list(sung_lines(once)) == list(sung_lines(text))


def test_only_what_is_sung_is_sung():
    lyrics = "[Intro - soft]\n\nla [whispered] la\n(Chorus)\n (oh yeah) \n[Couplet]\n"
    assert list(sung_lines(lyrics)) == ["la   la", "(oh yeah)"]
    assert unknown_marks(lyrics + "[Couplet]") == ["[Couplet]"]


def test_advice_is_given_where_there_is_something_to_say():
    good = "[Verse 1]\nwalking down the street"
    assert lyrics_advice(good, "en", MAX_LYRICS_TOKENS) == []
    assert lyrics_advice(good, "unknown") == []
    assert lyrics_advice("[Instrumental]", "en", 9999) == [] == lyrics_advice("", "ko")
    (long,) = lyrics_advice(good, "en", 2049)
    assert "2049 tokens" in long and "2048" in long
    (script,) = lyrics_advice(good, "ko")
    assert "'ko'" in script and "Latin letters" in script
    (script,) = lyrics_advice("[Verse]\n月亮代表我的心", "en")
    assert "Chinese letters" in script
    assert lyrics_advice("Волим те", "sr") == [] == lyrics_advice("volim te", "sr")
    assert lyrics_advice("너를 사랑해 baby tonight", "ko") == []
    (empty,) = lyrics_advice("[Verse 1]\n[Chorus]", "unknown")
    assert "no words" in empty
    (marks,) = lyrics_advice("[Couplet 1]\nla vie", "fr")
    assert "[Couplet 1]" in marks
