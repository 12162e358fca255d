"""Scripts of letters, words and languages."""

import pytest

from acestep.data.labels import LANGUAGES
from acestep.data.scripts import SCRIPTS, letters_by_script, script_of, words_by_script


def test_letters_have_the_script_that_unicode_gives_them():
    letters = {"a": "LATIN", "é": "LATIN", "Ａ": "LATIN", "я": "CYRILLIC", "ω": "GREEK",
               "한": "HANGUL", "ㄱ": "HANGUL", "か": "KANA", "カ": "KANA", "ｶ": "KANA",
               "ー": "KANA", "漢": "CJK", "ก": "THAI", "ש": "HEBREW", "ب": "ARABIC",
               "अ": "DEVANAGARI", "ி": "TAMIL", "ఆ": "TELUGU", "ਅ": "GURMUKHI",
               "আ": "BENGALI"}  # fmt: skip
    assert {letter: script_of(letter) for letter in letters} == letters
    for nothing in ("1", " ", "!", "♪", "\n", "\u0301", "\ud800", "😀"):
        assert script_of(nothing) == ""


def test_every_language_of_the_model_has_its_scripts():
    assert SCRIPTS.keys() == LANGUAGES - {"unknown"}
    assert SCRIPTS["en"] == ("LATIN",) and SCRIPTS["ja"] == ("KANA", "CJK")


def test_letters_and_words_are_counted():
    assert letters_by_script("Ab 12 яя") == {"LATIN": 2, "CYRILLIC": 2}
    assert words_by_script("너를 사랑해 baby tonight, my love") == {"HANGUL": 2, "LATIN": 4}
    assert words_by_script("月亮代表我的心") == {"CJK": 4}
    assert words_by_script("ฉันรักเธอ") == {"THAI": 2}
    assert words_by_script("心") == {"CJK": 1}


@pytest.mark.parametrize("text", ["", " \n", "1 2 3", "... !"])
def test_what_has_no_letters_has_no_words(text):
    assert not letters_by_script(text) and not words_by_script(text)
