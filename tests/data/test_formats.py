import pytest

from acestep.data.fields import FIELDS
from acestep.data.formats import (
    Origin,
    WrongValue,
    changed_by_hand,
    digest,
    file_name,
    read_sample,
    read_settings,
    write_sample,
    write_settings,
)
from acestep.data.song import Dataset, Song

TAG = ("qq", "prepend")


def values_of(song):
    return {item.name: vars(song)[item.name] for item in FIELDS}


def test_reading_separates_known_from_unknown_keys():
    values, extra = read_sample({"audio_path": "a.wav", "bpm": "90", "stars": 5}, "guide")
    assert values == {"audio_path": "a.wav", "bpm": 90} and extra == {"stars": 5}


def test_either_name_of_a_key_is_read_and_the_layouts_own_wins():
    assert read_sample({"is_instrumental": True}, "guide")[0] == {"instrumental": True}
    both = {"is_instrumental": True, "instrumental": False}
    assert read_sample(both, "guide")[0] == {"instrumental": False}
    assert read_sample(both, "original")[0] == {"instrumental": True}


def test_a_wrong_value_comes_with_its_place():
    with pytest.raises(WrongValue) as caught:
        read_sample({"bpm": "fast"}, "guide")
    assert (caught.value.place, caught.value.value) == ("bpm", "fast")


def test_a_new_song_in_each_layout():
    song = Song("s/a.wav", "id1", "warm", timesignature="4", keyscale="A minor", duration=12.5678)
    song.sources = {"caption": "person"}
    guide = write_sample(values_of(song), {}, "guide", None, TAG)
    assert guide == {
        "audio_path": "s/a.wav",
        "caption": "qq, warm",
        "lyrics": "[Instrumental]",
        "bpm": None,
        "keyscale": "A minor",
        "timesignature": 4,
        "language": "unknown",
        "instrumental": False,
        "id": "id1",
        "duration": 12.568,
        "sources": {"caption": "person"},
    }
    original = write_sample(values_of(song), {}, "original", None, TAG)
    assert original == {
        "id": "id1",
        "audio_path": "s/a.wav",
        "filename": "a.wav",
        "caption": "warm",
        "genre": "",
        "lyrics": "[Instrumental]",
        "raw_lyrics": "",
        "formatted_lyrics": "",
        "bpm": None,
        "keyscale": "A minor",
        "timesignature": "4",
        "duration": 12,
        "language": "unknown",
        "is_instrumental": False,
        "custom_tag": "qq",
        "labeled": True,
        "prompt_override": None,
        "sources": {"caption": "person"},
    }


def test_only_what_changed_is_written_anew():
    raw = {"audio_path": "a.wav", "keyscale": "Bb Major", "timesignature": "4/4", "bpm": "90"}
    values, _ = read_sample(raw, "guide")
    song = Song(**values, id="x")
    origin = Origin("guide", raw, values, TAG)
    song.bpm = 91
    saved = write_sample(values_of(song), {}, "guide", origin, TAG)
    assert {key: saved[key] for key in raw} == {**raw, "bpm": 91}


def test_lyrics_that_change_take_the_originals_copies_along():
    raw = {"audio_path": "a.wav", "lyrics": "old", "formatted_lyrics": "old!", "raw_lyrics": "o",
           "filename": "A", "labeled": False, "caption": "c"}  # fmt: skip
    values, extra = read_sample(raw, "original")
    origin = Origin("original", raw, values, TAG)
    song = Song(**values)
    saved = write_sample(values_of(song), extra, "original", origin, TAG)
    assert {key: saved[key] for key in raw} == raw
    song.lyrics, song.caption = "new", "d"
    saved = write_sample(values_of(song), extra, "original", origin, TAG)
    assert (saved["formatted_lyrics"], saved["raw_lyrics"], saved["labeled"]) == ("new", "o", True)


def test_digests_tell_a_changed_label():
    song = Song("a.wav", "x", "warm", sources={"caption": "lm", "bpm": "person"})
    saved = write_sample(values_of(song), {}, "guide", None, ("", "prepend"))
    assert saved["label_digests"] == {"caption": digest("warm")}
    assert changed_by_hand(saved, {"caption": "warm"}) == set()
    assert changed_by_hand(saved, {"caption": "hot"}) == {"caption"}
    assert changed_by_hand({"label_digests": 3}, {"caption": "hot"}) == set()


def test_settings_of_both_layouts():
    dataset = Dataset(name="n", tag="t", tag_position="append", genre_ratio=30)
    for layout in ("guide", "original"):
        values, extra = read_settings(write_settings(vars(dataset), layout), layout)
        assert values == {"name": "n", "tag": "t", "tag_position": "append", "genre_ratio": 30}
        assert set(extra) <= {"created_at", "all_instrumental"}
    assert read_settings({"version": "of another program"}, "guide")[1]["version"]
    assert read_settings({"tag_position": "Append"}, "guide")[0] == {"tag_position": "append"}
    with pytest.raises(WrongValue, match="newer"):
        read_settings({"version": 2}, "guide")


def test_file_names_of_any_system():
    assert file_name("C:\\music\\a b.wav") == file_name("/x/a b.wav") == "a b.wav"


@pytest.mark.parametrize("layout", ["guide", "original", "list"])
def test_what_was_found_of_a_label_survives_every_layout(layout):
    found = {"bpm": {"value": 97.2, "confidence": 0.8, "runner_up": 194, "source": "analysis"}}
    song = Song("a.wav", "id1", "warm", bpm=97, evidence=found)
    sample = write_sample(values_of(song), {}, layout, None, TAG)
    assert read_sample(sample, layout)[0]["evidence"] == found
    assert "evidence" not in write_sample(values_of(Song("a.wav", "id1")), {}, layout, None, TAG)
    with pytest.raises(WrongValue, match="what was found"):
        read_sample({"evidence": {"bpm": 97}}, layout)
