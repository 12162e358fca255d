import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep.data.labels import (
    LANGUAGES,
    apply_tag,
    genre_indices,
    has_words,
    normalize_key,
    normalize_meter,
    read_bpm,
    read_key,
    read_language,
    read_meter,
    strip_tag,
    tag_advice,
)

POSITIONS = ("prepend", "append", "replace")


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Bb Major", "Bb major"), ("A#maj", "A# major"), ("Am", "A minor"),
        ("F# minor", "F# minor"),
        ("f♯ minor", "F# minor"), ("B♭", "Bb major"), ("C", "C major"), ("bbm", "Bb minor"),
        ("b minor", "B minor"), ("C sharp minor", "C# minor"), ("E-flat major", "Eb major"),
        ("A:min", "A minor"), ("Ebmaj", "Eb major"), ("AM", "A major"), ("a moll", "A minor"),
        ("  D   MINOR ", "D minor"), ("Ｆ＃ｍ", "F# minor"), ("8A", "A minor"), ("08b", "C major"),
        ("1A", "Ab minor"), ("12B", "E major"), ("G min.", "G minor"), ("C_major", "C major"),
    ],
)  # fmt: skip
def test_keys(written, key):
    assert normalize_key(written) == key
    assert normalize_key(key) == key
    assert read_key(written) == key


@pytest.mark.parametrize(
    "written", ["D dorian", "C# / Db major", "H minor", "g", "bb", "Cmaj7", "13A", "o", "Am Bm"]
)
def test_what_is_no_key_stays_as_written(written):
    assert normalize_key(written) is None
    assert read_key(written) == written


def test_the_whole_vocabulary_is_its_own_normal_form():
    for note in "ABCDEFG":
        for sign, plain in (("", ""), ("#", "#"), ("b", "b"), ("♯", "#"), ("♭", "b")):
            for mode in ("major", "minor"):
                assert normalize_key(f"{note}{sign} {mode}") == f"{note}{plain} {mode}"


@pytest.mark.parametrize("nothing", ["", None, "N/A", "n/a", "  ", "unknown", "None"])
def test_no_value_is_none(nothing):
    assert read_key(nothing) is None
    assert read_meter(nothing) is None
    assert read_bpm(nothing) is None
    assert read_language(nothing) == "unknown"


@pytest.mark.parametrize(
    ("written", "meter"),
    [(4, "4"), ("4", "4"), ("4/4", "4"), (4.0, "4"), ("4.0", "4"), (" 4 / 4 ", "4"), ("3/4", "3"),
     ("6/8", "6"), (6, "6"), ("2/2", "2"), ("4/4 time", "4"), ("４/４", "4"), ("3/8", "3")],
)  # fmt: skip
def test_metres(written, meter):
    assert normalize_meter(written) == meter
    assert read_meter(written) == meter


@pytest.mark.parametrize("written", ["5/4", "12/8", "7", "4/3", "waltz", "44", True, 4.5, "-4", 0])
def test_what_is_no_metre_of_the_model_stays_as_written(written):
    assert normalize_meter(written) is None
    assert read_meter(written) == str(written)


@pytest.mark.parametrize(
    ("written", "bpm"),
    [(90, 90), ("90", 90), ("127.6", 128), ("127,6", 128), ("120 BPM", 120), (89.5, 90), (0, None),
     ("0", None), (999, 999), (" 75 ", 75)],
)  # fmt: skip
def test_tempi(written, bpm):
    assert read_bpm(written) == bpm


@pytest.mark.parametrize(
    "written",
    ["fast", "120-130", -5, 1000, "1e3", float("nan"), float("inf"), True, [90], 10**400, "9" * 99],
)  # fmt: skip
def test_what_is_no_tempo_is_an_error(written):
    with pytest.raises(ValueError, match="is not"):
        read_bpm(written)


def test_languages():
    assert len(LANGUAGES) == 51
    assert read_language("EN") == "en"
    assert read_language("instrumental") == "unknown"
    assert read_language("Klingon") == "Klingon"


@pytest.mark.parametrize(
    "lyrics", ["", " \n", "[Instrumental]", "[instrumental]", "Instrumental", "(Instrumental)"]
)
def test_no_words(lyrics):
    assert not has_words(lyrics)


def test_words():
    assert has_words("[Verse 1]\nla la")


def test_tag_rules_are_the_golden_ones():
    wanted = {"prepend": "mytag, warm jazz", "append": "warm jazz, mytag", "replace": "mytag"}
    for position in POSITIONS:
        assert apply_tag("warm jazz", "mytag", position) == wanted[position]
        assert apply_tag("", "mytag", position) == "mytag"
        assert apply_tag("warm jazz", "", position) == "warm jazz"


@pytest.mark.parametrize(
    "caption",
    ["myjazz, smooth jazz", "smooth jazz, myjazz", "MyJazz,smooth jazz", "smooth jazz,  myjazz  ",
     "myjazz ,myjazz, smooth jazz"],
)  # fmt: skip
def test_a_tag_that_is_there_is_moved_not_repeated(caption):
    assert strip_tag(caption, "myjazz") == "smooth jazz"
    assert apply_tag(caption, "myjazz", "prepend") == "myjazz, smooth jazz"
    assert apply_tag(caption, "myjazz", "append") == "smooth jazz, myjazz"


def test_a_tag_inside_a_sentence_or_a_word():
    assert apply_tag("myjazz piano trio", "myjazz", "prepend") == "myjazz piano trio"
    assert apply_tag("in the manner of myjazz", "myjazz", "append") == "in the manner of myjazz"
    assert apply_tag("smooth jazz", "jazz", "prepend") == "jazz, smooth jazz"
    assert apply_tag("jazzy, blue", "jazz", "prepend") == "jazz, jazzy, blue"
    assert apply_tag("a (b) c", "c++", "prepend") == "c++, a (b) c"


captions = st.text("abAB ,\n.tT", max_size=30)
tags = st.text("abT+.", min_size=1, max_size=6)


@given(captions, tags, st.sampled_from(POSITIONS))
def test_a_tag_is_applied_once_however_often(caption, tag, position):
    once = apply_tag(caption, tag, position)
    assert apply_tag(once, tag, position) == once
    assert tag.lower() in once.lower()
    items = [item.strip().lower() for item in once.split(",")]
    assert items.count(tag.lower()) <= 1
    if position != "replace":
        assert apply_tag(strip_tag(once, tag), tag, position) == once


def test_genre_indices_are_the_golden_ones():
    golden = {
        (5, 50): {1, 3}, (8, 30): {3, 4}, (10, 30): {2, 3, 7}, (10, 50): {2, 3, 5, 7, 8},
        (20, 20): {4, 5, 14, 19},
    }  # fmt: skip
    for (count, ratio), indices in golden.items():
        assert genre_indices(count, ratio) == indices
    assert genre_indices(10, 0) == set()
    assert genre_indices(10, 100) == set(range(10))
    assert genre_indices(0, 50) == set()


@pytest.mark.parametrize("tag", ["myjazz", "xmas24", "xmas2024", "xmas", "mykpop", "", "나재즈"])
def test_good_tags(tag):
    assert tag_advice(tag) == []


@pytest.mark.parametrize(
    ("tag", "words"),
    [("jazz", "ordinary word"), ("my-custom-jazz-style-2024", "is long"),
     ("my_jazz!", "letters and digits"), ("MyJazz", "capital")],
)  # fmt: skip
def test_bad_tags(tag, words):
    assert any(words in advice for advice in tag_advice(tag))
