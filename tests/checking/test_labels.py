import pytest

from acestep.checking.labels import FILLED_IN, findings, song_names, told
from acestep.data.song import Dataset, Song

CAPTIONS = (
    "smooth jazz with saxophone", "slow ballad, piano", "fast bebop", "cool jazz, vibraphone",
    "latin jazz with congas", "late night trio", "big band swing", "jazz waltz, brushes",
)  # fmt: skip


def song(number: int = 0, **labels) -> Song:
    good = {
        "audio_path": f"{number}.wav", "id": str(number), "caption": CAPTIONS[number], "bpm": 90,
        "keyscale": "C major", "timesignature": "4", "language": "en", "duration": 240.0,
        "lyrics": "[Verse 1]\nthe night is long and the road is wide",
    }  # fmt: skip
    return Song(**{**good, **labels})


def dataset(*songs: Song, **settings) -> Dataset:
    """Eight good songs, of which the first are replaced."""
    rest = [song(number) for number in range(len(songs), 8)]
    return Dataset(songs=[*songs, *rest], **{"tag": "myjazz", **settings})


def codes(data: Dataset, tokens=None) -> dict[str, str]:
    return {finding.code: finding.level for finding in findings(data, tokens)}


def test_a_good_dataset_has_no_findings():
    assert findings(dataset()) == []
    assert findings(dataset(), lambda _: (120, 900)) == []


@pytest.mark.parametrize(
    ("labels", "code", "level"),
    [
        ({"caption": ""}, "no-caption", "warning"),
        ({"caption": "jazz"}, "short-caption", "warning"),
        ({"duration": 59.0}, "short-song", "warning"),
        ({"duration": 119.0}, "short-song", "info"),
        ({"duration": 301.0}, "long-song", "info"),
        ({"duration": 601.0}, "long-song", "warning"),
        ({"bpm": None}, "no-bpm", "info"),
        ({"bpm": 12}, "odd-bpm", "warning"),
        ({"bpm": 400}, "odd-bpm", "warning"),
        ({"keyscale": None}, "no-keyscale", "info"),
        ({"keyscale": "H sharp"}, "odd-keyscale", "warning"),
        ({"timesignature": None}, "no-timesignature", "info"),
        ({"timesignature": "7/8"}, "odd-timesignature", "warning"),
        ({"language": "xx"}, "odd-language", "warning"),
        ({"language": "unknown"}, "no-language", "info"),
        ({"language": "ko"}, "lyrics", "warning"),
        ({"instrumental": True}, "sung-instrumental", "warning"),
        ({"lyrics": "[Instrumental]"}, "no-lyrics", "warning"),
        ({"lyrics": ""}, "no-lyrics", "warning"),
        ({"tag": "My_Jazz"}, "tag-case", "warning"),
    ],
)
def test_what_is_wrong_with_a_song(labels, code, level):
    found = [f for f in findings(dataset(song(**labels))) if f.code == code]
    assert [(finding.level, finding.advice != "") for finding in found] == [(level, True)]
    assert found[0].song == (None if code.startswith("tag-") else "0.wav")


@pytest.mark.parametrize(
    "labels",
    [
        {"duration": 0.0},
        {"lyrics": "[Instrumental]", "instrumental": True, "language": "unknown"},
        {"caption": "夜の静かなジャズ"},
        {"language": "ko", "lyrics": "[Chorus]\n밤은 길고 길은 넓다\nall night long"},
        {"keyscale": "Bb Major", "timesignature": "3/4"},
    ],
)
def test_what_is_right(labels):
    assert findings(dataset(song(**labels))) == []


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("jazz", {"tag-word"}),
        ("mycustomjazzstyle", {"tag-long"}),
        ("MyJazz", {"tag-case"}),
        ("my_jazz!", {"tag-characters"}),
        ("my-custom-Jazz-style-2024", {"tag-long", "tag-case", "tag-characters"}),
        ("", {"no-tag"}),
        ("xmas24", set()),
    ],
)
def test_the_guides_good_and_bad_tags(tag, expected):
    found = findings(dataset(tag=tag))
    assert {finding.code for finding in found} == expected
    assert all("myjazz, xmas24" in finding.advice for finding in found)


def test_a_song_without_a_tag_among_others():
    assert [f.song for f in findings(dataset(song(tag="")))] == ["0.wav"]


def test_without_a_tag_a_song_without_caption_is_an_error():
    assert codes(dataset(song(caption=" "), tag=""))["no-caption"] == "error"
    assert "no-caption" not in codes(dataset(song(caption=""), tag_position="replace"))
    assert "no-caption" not in codes(
        dataset(song(caption="", genre="hard bop", prompt_override="genre"))
    )


def test_captions_that_are_the_same():
    (found,) = findings(
        dataset(song(1), song(1, audio_path="b.wav", caption=" Slow Ballad,  piano"))
    )
    assert found.code == "same-caption" and found.value == "slow ballad, piano"
    assert "1.wav, b.wav" in found.message
    variant = song(1, audio_path="b.wav", extra={"variant": {"of": "1"}})
    assert findings(dataset(song(1), variant)) == []


@pytest.mark.parametrize(
    ("songs", "seconds", "expected"),
    [
        (0, 0, {"no-songs": "error"}),
        (4, 300, {"few-songs": "warning", "little-music": "info"}),
        (5, 150, {"few-songs": "info", "little-music": "warning"}),
        (7, 300, {"few-songs": "info"}),
        (8, 225, {}),
        (8, 224, {"little-music": "info"}),
        (8, 0, {}),
    ],
)
def test_how_much_there_is(songs, seconds, expected):
    data = Dataset(tag="myjazz", songs=[song(n, duration=float(seconds)) for n in range(songs)])
    assert codes(data) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((204, 2048), {}),
        ((205, 2048), {"long-caption": "info"}),
        ((256, 2048), {"long-caption": "info"}),
        ((257, 2048), {"long-caption": "warning"}),
        ((100, 2049), {"lyrics": "warning"}),
    ],
)
def test_tokens(counts, expected):
    assert codes(dataset(), lambda one: counts if one.id == "0" else (9, 9)) == expected


def test_files_of_one_name_are_told_apart():
    data = Dataset(songs=[Song("a/x.wav"), Song("b/x.wav"), Song("b/y.wav")])
    assert song_names(data) == ["a/x.wav", "b/x.wav", "y.wav"]


def test_other_verbs_leave_out_what_they_say_themselves():
    data = dataset(song(caption="", bpm=None, duration=30.0))
    assert [notice.about for notice in told(data, but=FILLED_IN)] == ["0.wav", ""]
    assert len(list(told(data, but=frozenset()))) == 4


def test_an_empty_song_and_odd_values_do_not_break_it():
    data = Dataset(songs=[Song("", caption="\ud800", lyrics="\ud800", bpm=0, duration=-1.0)])
    assert codes(data)
