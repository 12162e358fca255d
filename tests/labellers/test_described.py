import pytest

from acestep.labellers.described import (
    LONGEST_LYRICS,
    MOST_REPEATS,
    clean_line,
    clean_lyrics,
    describe_lyrics,
    language_code,
)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("A slow\n  ballad,\tpiano. ", "A slow ballad, piano."),
        ("\x00soft\x07 \x1b[31mred\x1b[0m", "soft [31mred[0m"),
        ("abc\u202edcba\u2066 x\ufeff", "abcdcba x"),
        ("Warm pop.<|im_end|><|endoftext|>", "Warm pop."),
        ("</think>jazz<think>", "jazz"),
        ("broken \ud800 \ufffd half", "broken half"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner is part of the word
        ("cafe\u0301", "café"),
        ("", ""),
        ("\n\r\t", ""),
    ],
)
def test_a_line_holds_what_can_be_read(said, line):
    assert clean_line(said, 100) == line


def test_a_long_line_ends_with_a_sentence_or_a_word():
    assert clean_line("One two. Three four five", 20) == "One two. Three four"
    assert clean_line("One two three. Four five", 20) == "One two three."
    assert clean_line("一二三四五。六七八九十", 8) == "一二三四五。"
    assert clean_line("x" * 10_000_000, 50) == "x" * 50


def test_lyrics_keep_their_lines_and_lose_the_rest():
    said = "[Verse 1\r\n  One   line \r\rtwo\x00\n\n\n\n\nChorus]\n<|im_end|>three"
    assert clean_lyrics(said) == ("[Verse 1]\nOne line\n\ntwo\n\n[Chorus]\nthree", [])


def test_a_model_that_goes_round_in_circles_is_stopped():
    lyrics, notes = clean_lyrics("[Verse]\n" + "la la\n" * 5000 + "the end")
    assert lyrics == "[Verse]\n" + "la la\n" * MOST_REPEATS + "the end"
    assert len(notes) == 1 and "'la la'" in notes[0]


def test_enormous_lyrics_are_cut_at_a_line():
    lyrics, notes = clean_lyrics("\n".join(f"line {number}" for number in range(100_000)))
    assert LONGEST_LYRICS - 20 < len(lyrics) <= LONGEST_LYRICS
    assert lyrics.split("\n")[-1] == f"line {lyrics.count(chr(10))}"
    assert "cut" in notes[0]
    assert max(map(len, clean_lyrics("x" * 100_000)[0].split("\n"))) == 500


def test_lyrics_say_whether_anybody_sings():
    sung = describe_lyrics("[Verse 1]\nhello", "en", certainty=0.9)
    assert (sung.lyrics, sung.language, sung.certainty) == ("[Verse 1]\nhello", "en", 0.9)
    assert sung.instrumental is False and sung.caption is None
    for nothing in ("", "[Instrumental]", "[Intro]\n\n[Guitar Solo]\n[Outro]"):
        silent = describe_lyrics(nothing, "en", certainty=0.9)
        assert (silent.lyrics, silent.language) == ("[Instrumental]", "unknown")
        assert silent.instrumental is True and silent.certainty is None


def test_a_language_without_a_code_is_unknown_and_said():
    described = describe_lyrics("aloha", "haw", certainty=0.8)
    assert described.language == "unknown" and described.certainty is None
    assert "'haw'" in described.notes[0]


@pytest.mark.parametrize(
    ("said", "code"),
    [("en", "en"), (" EN-us ", "en"), ("zh_CN", "zh"), ("zh-yue", "yue"), ("cmn", "zh"),
     ("nn", "no"), ("yue", "yue"), ("klingon", "klingon")],
)  # fmt: skip
def test_codes_of_other_models(said, code):
    assert language_code(said) == code
