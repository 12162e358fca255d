import pytest

from acestep.labellers.lm_answer import describe_answer, parse_answer

ANSWER = """<think>
bpm: 73
caption: A gentle folk ballad with a plucked zither,
  a bamboo flute and a warm female voice.
duration: 273
genres: Chinese folk
keyscale: G major
language: en
timesignature: 4
</think>

# Lyric
[Verse 1]
The river runs

[Chorus]
home<|im_end|>"""


def test_a_whole_answer():
    fields, lyrics = parse_answer(ANSWER)
    assert fields == {
        "bpm": 73,
        "caption": "A gentle folk ballad with a plucked zither, "
        "a bamboo flute and a warm female voice.",
        "duration": 273,
        "genres": "Chinese folk",
        "keyscale": "G major",
        "language": "en",
        "timesignature": "4",
    }
    assert lyrics == "[Verse 1]\nThe river runs\n\n[Chorus]\nhome"
    described = describe_answer(ANSWER, ["a note"])
    assert (described.caption, described.genre) == (fields["caption"], "Chinese folk")
    assert (described.bpm, described.duration) == (73, 273)
    assert (described.keyscale, described.timesignature) == ("G major", "4")
    assert (described.language, described.lyrics) == ("en", lyrics)
    assert described.instrumental is False and described.notes == ("a note",)


# The golden cases that the original's own reader was described with
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("<think>\ncaption: A.\n  B.\n</think>", {"caption": "A. B."}),
        ("<think>\nbpm: 73\n</think>", {"bpm": 73}),
        ("<think>\nbpm: abc\n</think>", {"bpm": "abc"}),
        ("<think>\ntimesignature: 4\n</think>", {"timesignature": "4"}),
        ("bpm: 90\nlanguage: ja\n<|audio_code_5|>genres: no", {"bpm": 90, "language": "ja"}),
        ("<reasoning>\nbpm: 90\n</reasoning>", {"bpm": 90}),
        ("<think>\nBPM: 90\nmood: sad\nidle words\n</think>", {"bpm": 90}),
        ("<think>\n<x>: y\nlanguage:\n</think>", {"language": ""}),
    ],
)
def test_fields_as_the_original_reads_them(text, fields):
    assert parse_answer(text) == (fields, "")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'Fast: a drum solo'", "Fast: a drum solo"),
        ("'It''s\n  slow: very'", "It's slow: very"),
        ('"He said \\"go\\""', 'He said "go"'),
        (">-\n  Folded.\n  Twice.", "Folded. Twice."),
        ("'90s pop and rock 'n' roll", "'90s pop and rock 'n' roll"),
        ("'", "'"),
        ("A.\n\n  B.", "A. B."),
    ],
)
def test_what_yaml_puts_around_a_value_is_taken_off(written, value):
    fields, _ = parse_answer(f"<think>\nbpm: 90\ncaption: {written}\nlanguage: 'no'\n</think>")
    assert fields == {"bpm": 90, "caption": value, "language": "no"}


@pytest.mark.parametrize("heading", ["# Lyric\n", "# Lyrics\n", "\n\n# lyrics:  \n", "", "\n"])
def test_the_heading_is_no_lyric(heading):
    _, lyrics = parse_answer(f"<think>\nbpm: 90\n</think>{heading}[Verse]\nla<|im_end|>rest")
    assert lyrics == "[Verse]\nla"


def test_a_broken_off_thought_has_no_lyrics():
    assert parse_answer("<think>\nbpm: 90\n\n# Lyric\nla") == ({"bpm": 90}, "")


@pytest.mark.parametrize(
    ("written", "label", "value"),
    [
        ("bpm: 29", "bpm", None),
        ("bpm: 301", "bpm", None),
        ("bpm: N/A", "bpm", None),
        ("bpm: 1" + "0" * 5000, "bpm", None),
        ("duration: 9", "duration", None),
        ("keyscale: E♭ minor", "keyscale", "Eb minor"),
        ("keyscale: H major", "keyscale", None),
        ("timesignature: '4'", "timesignature", "4"),
        ("timesignature: 5", "timesignature", None),
        ("caption: \x00\ufffd", "caption", None),
        ("genres: pop\x1b, rock", "genre", "pop, rock"),
    ],
)
def test_what_the_vocabulary_does_not_have_was_not_said(written, label, value):
    assert vars(describe_answer(f"<think>\n{written}\n</think>", []))[label] == value


def test_lyrics_decide_about_language_and_singing():
    said = "<think>\nlanguage: {}\n</think>\n\n# Lyric\n{}"
    silent = describe_answer(said.format("en", "[Instrumental]"), [])
    assert (silent.language, silent.instrumental) == ("unknown", True)
    nothing = describe_answer(said.format("en", ""), [])
    assert (nothing.language, nothing.instrumental, nothing.lyrics) == (None, None, None)
    assert describe_answer(said.format("xx", "la la"), []).language is None


@pytest.mark.parametrize("text", ["", "\x00" * 1000, "</think>", "<think>", ":" * 10_000, "\ud800"])
def test_nonsense_is_an_answer_without_fields(text):
    described = describe_answer(text, [])
    assert not any(value for name, value in vars(described).items())
