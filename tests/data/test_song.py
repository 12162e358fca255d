import json
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acestep.data.song import (
    Dataset,
    Song,
    load_dataset,
    make_ids_unique,
    save_dataset,
    written_path,
)
from acestep.errors import DatasetError

GUIDE = {
    "dataset_name": "my-jazz-dataset",
    "activation_tag": "myjazz",
    "tag_position": "prepend",
    "samples": [
        {
            "audio_path": "/path/to/song1.wav",
            "caption": "myjazz, smooth jazz with saxophone",
            "lyrics": "[Instrumental]",
            "bpm": 90,
            "keyscale": "Bb Major",
            "timesignature": 4,
            "language": "unknown",
            "instrumental": True,
        }
    ],
}
ORIGINAL_SAMPLE = {
    "id": "1a2b3c4d",
    "audio_path": "/abs/song.mp3",
    "filename": "song.mp3",
    "caption": "warm jazz",
    "genre": "jazz",
    "lyrics": "la la",
    "raw_lyrics": "la",
    "formatted_lyrics": "",
    "bpm": None,
    "keyscale": "",
    "timesignature": "",
    "duration": 183,
    "language": "en",
    "is_instrumental": False,
    "custom_tag": "mytag",
    "labeled": True,
    "prompt_override": None,
}
ORIGINAL = {
    "metadata": {
        "name": "my_lora_dataset",
        "custom_tag": "mytag",
        "tag_position": "replace",
        "created_at": "2026-02-08T14:03:51.123456",
        "num_samples": 1,
        "all_instrumental": True,
        "genre_ratio": 0,
    },
    "samples": [ORIGINAL_SAMPLE],
}


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def resave(path, layout=None):
    save_dataset(load_dataset(path), path, layout)
    return read(path)


def holds(new, old):
    """Whether everything in ``old`` is in ``new``, of the same type."""
    if isinstance(old, dict):
        return all(key in new and holds(new[key], value) for key, value in old.items())
    if isinstance(old, list):
        return len(new) == len(old) and all(map(holds, new, old))
    return type(new) is type(old) and new == old


# --- nothing is lost ------------------------------------------------------------------------------


def test_the_guides_example_is_read(tmp_path):
    dataset = load_dataset(write(tmp_path / "d.json", GUIDE))
    assert (dataset.name, dataset.tag, dataset.tag_position) == (
        "my-jazz-dataset",
        "myjazz",
        "prepend",
    )
    labels = dataset.prompt_labels(dataset.songs[0], seconds=30.5)
    assert labels.caption == "myjazz, smooth jazz with saxophone"
    assert (labels.bpm, labels.keyscale, labels.timesignature) == (90, "Bb major", "4")
    assert (labels.lyrics, labels.language, labels.seconds) == ("[Instrumental]", "unknown", 30.5)


def test_the_guides_example_is_saved_with_nothing_lost(tmp_path):
    path = write(tmp_path / "d.json", GUIDE)
    once = resave(path)
    assert holds(once, GUIDE)
    assert list(once["samples"][0])[:8] == list(GUIDE["samples"][0])
    assert resave(path) == once
    assert read(tmp_path / "d.json.history/0001.json") == GUIDE


def test_the_originals_format_is_saved_with_nothing_lost(tmp_path):
    path = write(tmp_path / "d.json", ORIGINAL)
    once = resave(path)
    assert holds(once, ORIGINAL)
    assert list(once["samples"][0])[:17] == list(ORIGINAL_SAMPLE)
    path = write(tmp_path / "l.json", [ORIGINAL_SAMPLE])
    assert holds(resave(path), [ORIGINAL_SAMPLE])
    assert load_dataset(path).tag == "mytag"


def test_the_original_gets_its_exact_keys_in_its_order(tmp_path):
    path = write(tmp_path / "d.json", GUIDE)
    saved = resave(path, "original")
    assert list(saved) == ["metadata", "samples"]
    assert list(saved["metadata"]) == list(ORIGINAL["metadata"])
    sample = saved["samples"][0]
    assert list(sample)[:17] == list(ORIGINAL_SAMPLE)
    assert sample["caption"] == "smooth jazz with saxophone"
    assert sample["custom_tag"] == "myjazz" and sample["is_instrumental"] is True
    assert sample["timesignature"] == "4" and sample["filename"] == "song1.wav"
    assert sample["labeled"] is True and "instrumental" not in sample


@pytest.mark.parametrize("layout", ["original", "list"])
def test_going_through_another_layout_keeps_the_meaning(tmp_path, layout):
    path = write(tmp_path / "d.json", {**GUIDE, "mine": 1, "genre_ratio": 30})
    before = load_dataset(path)
    save_dataset(before, tmp_path / "o.json", layout)
    save_dataset(load_dataset(tmp_path / "o.json"), path, "guide")
    after = load_dataset(path)
    assert read(path)["samples"][0]["caption"] == GUIDE["samples"][0]["caption"]
    assert after.prompt_labels(after.songs[0]) == before.prompt_labels(before.songs[0])
    assert after.songs[0].sources == before.songs[0].sources
    if layout == "original":
        assert after.extra["mine"] == 1 and after.genre_ratio == 30


def test_unknown_keys_survive_everywhere_and_through_edits(tmp_path):
    guide = json.loads(json.dumps(GUIDE))
    guide["mine"], guide["samples"][0]["rating"] = {"a": [1, None]}, {"stars": 5}
    path = write(tmp_path / "g.json", guide)
    dataset = load_dataset(path)
    dataset.songs[0].give("caption", "other words", "person")
    save_dataset(dataset, path)
    assert read(path)["mine"] == guide["mine"]
    assert read(path)["samples"][0]["rating"] == {"stars": 5}
    original = json.loads(json.dumps(ORIGINAL))
    original["metadata"]["more"], original["outside"] = 1, 2
    saved = resave(write(tmp_path / "o.json", original))
    assert saved["metadata"]["more"] == 1 and saved["outside"] == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
words = st.text(st.characters(codec="utf-8"), max_size=20)
guide_samples = st.fixed_dictionaries(
    {"audio_path": st.sampled_from(["a.wav", "/x/ä.mp3", "b/c.flac", "C:\\d.ogg"])},
    optional={
        "caption": words | st.sampled_from(["tag, x", "x,tag", "tag"]) | st.none(),
        "lyrics": words | st.none(),
        "bpm": st.none() | st.integers(0, 999) | st.sampled_from(["90", "", "N/A", 90.5]),
        "keyscale": words | st.sampled_from(["Bb Major", "Am", None]),
        "timesignature": st.sampled_from([4, "4", "4/4", "6/8", "5/4", "", None, 3.0]),
        "language": st.sampled_from(["en", "KO", "unknown", "", None, "instrumental", "Klingon"]),
        "instrumental": st.booleans() | st.none(),
        "duration": st.none() | st.floats(0, 1e4),
        "genre": words,
        "id": st.sampled_from(["", "one", "1a2b3c4d", 7]),
        "prompt_override": st.sampled_from([None, "caption", "genre"]),
        "sources": st.dictionaries(
            st.sampled_from(["caption", "bpm"]), st.sampled_from(["lm", "person"])
        ),
        "rating": json_values,
    },
)
any_datasets = st.fixed_dictionaries(
    {"samples": st.lists(guide_samples, max_size=4)},
    optional={
        "dataset_name": words,
        "activation_tag": st.sampled_from(["", "tag", "Tag ", None]),
        "tag_position": st.sampled_from(["prepend", "append", "replace"]),
        "notes": json_values,
    },
)


def without_ids(value):
    samples = [
        {key: item for key, item in sample.items() if key != "id"} for sample in value["samples"]
    ]
    settings = {key: item for key, item in value.items() if item is not None}
    return {**settings, "samples": samples}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(any_datasets)
def test_any_guide_file_survives_loading_and_saving(tmp_path, value):
    path = write(tmp_path / "d.json", value)
    first = load_dataset(path)
    save_dataset(first, path)
    saved = read(path)
    assert holds(without_ids(saved), without_ids(value))
    second = load_dataset(path)
    assert second.songs == first.songs
    assert [second.prompt_labels(song) for song in second.songs] == [
        first.prompt_labels(song) for song in first.songs
    ]
    save_dataset(second, path)
    assert read(path) == saved
    assert len({song.id for song in second.songs}) == len(second.songs)


songs = st.builds(
    Song,
    audio_path=st.sampled_from(["a.wav", "b/c.flac"]),
    caption=words.map(lambda text: text.strip(string.whitespace + ",").strip()),
    lyrics=words,
    bpm=st.none() | st.integers(1, 999),
    keyscale=st.sampled_from([None, "C# minor", "D dorian"]),
    timesignature=st.sampled_from([None, "4", "5/4"]),
    language=st.sampled_from(["unknown", "en", "Klingon"]),
    instrumental=st.booleans(),
    genre=words,
    title=words,
    duration=st.integers(0, 10**6).map(lambda ms: ms / 1000),
    prompt_override=st.sampled_from([None, "caption", "genre"]),
    sources=st.fixed_dictionaries(
        {
            "caption": st.just("lm"),
            "lyrics": st.just("person"),
            "instrumental": st.just("sidecar"),
            "genre": st.just("tag"),
            "title": st.just("tag"),
            "bpm": st.just("analysis"),
            "keyscale": st.just("sidecar"),
            "timesignature": st.just("lm"),
            "language": st.just("lm"),
        }
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(songs, max_size=3), st.sampled_from(["guide", "original"]))
def test_songs_made_in_python_come_back_equal(tmp_path, made, layout):
    make_ids_unique([setattr(song, "id", "x") or song for song in made])
    dataset = Dataset(tmp_path / "d.json", "n", "qq", "append", made, layout=layout)
    save_dataset(dataset, tmp_path / "d.json")
    back = load_dataset(tmp_path / "d.json")
    for new, old in zip(back.songs, made, strict=True):
        new.extra = {}
        if layout == "original":
            old.duration = float(int(old.duration))
        assert new == old


# --- meaning --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [4, "4", "4/4", 4.0])
def test_one_metre_in_all_its_spellings(tmp_path, written):
    guide = json.loads(json.dumps(GUIDE))
    guide["samples"][0]["timesignature"] = written
    path = write(tmp_path / "d.json", guide)
    song = load_dataset(path).songs[0]
    assert song.timesignature == "4"
    saved = resave(path)["samples"][0]["timesignature"]
    assert saved == written and type(saved) is type(written)


@pytest.mark.parametrize(
    ("written", "prompted"),
    [
        ("Bb Major", "Bb major"),
        ("A#maj", "A# major"),
        ("Am", "A minor"),
        ("F# minor", "F# minor"),
        ("D dorian", "D dorian"),
        ("", None),
        (None, None),
    ],
)
def test_keys_are_normalised_for_the_prompt_and_kept_in_the_file(tmp_path, written, prompted):
    guide = json.loads(json.dumps(GUIDE))
    guide["samples"][0]["keyscale"] = written
    path = write(tmp_path / "d.json", guide)
    dataset = load_dataset(path)
    assert dataset.prompt_labels(dataset.songs[0]).keyscale == prompted
    for layout in ("guide", "original", "guide"):
        assert (resave(path, layout)["samples"][0]["keyscale"] or "") == (written or "")


def test_the_tag_is_in_saved_captions_and_never_twice(tmp_path):
    path = write(tmp_path / "d.json", GUIDE)
    dataset = load_dataset(path)
    assert dataset.songs[0].caption == "smooth jazz with saxophone"
    dataset.songs.append(Song("b.wav", "b", caption="piano"))
    dataset.songs.append(Song("c.wav", "c"))
    for _ in range(3):
        save_dataset(dataset, path)
        dataset = load_dataset(path)
    captions = [sample["caption"] for sample in read(path)["samples"]]
    assert captions == ["myjazz, smooth jazz with saxophone", "myjazz, piano", ""]
    dataset.tag = "newtag"
    save_dataset(dataset, path)
    captions = [sample["caption"] for sample in read(path)["samples"]]
    assert captions == ["newtag, smooth jazz with saxophone", "newtag, piano", ""]
    dataset = load_dataset(path)
    assert dataset.prompt_labels(dataset.songs[0]).caption == "newtag, smooth jazz with saxophone"
    dataset.tag_position = "append"
    save_dataset(dataset, path)
    assert read(path)["samples"][1]["caption"] == "piano, newtag"
    dataset = load_dataset(path)
    dataset.tag = ""
    save_dataset(dataset, path)
    assert read(path)["samples"][1]["caption"] == "piano"


def test_replacing_captions_by_the_tag_loses_none(tmp_path):
    path = write(tmp_path / "d.json", {**GUIDE, "tag_position": "replace"})
    dataset = load_dataset(path)
    assert dataset.prompt_labels(dataset.songs[0]).caption == "myjazz"
    dataset.songs[0].caption = "other words"
    save_dataset(dataset, path)
    assert load_dataset(path).songs[0].caption == "other words"


def test_a_song_may_have_a_tag_of_its_own(tmp_path):
    other = {**ORIGINAL_SAMPLE, "id": "x", "custom_tag": "other"}
    stale = {**ORIGINAL_SAMPLE, "id": "y", "custom_tag": ""}
    value = {**ORIGINAL, "samples": [ORIGINAL_SAMPLE, other, stale]}
    value["metadata"] = {**ORIGINAL["metadata"], "tag_position": "append"}
    path = write(tmp_path / "d.json", value)
    dataset = load_dataset(path)
    captions = [dataset.prompt_labels(song).caption for song in dataset.songs]
    assert captions == ["warm jazz, mytag", "warm jazz, other", "warm jazz, mytag"]
    dataset.tag = "new"
    save_dataset(dataset, path)
    assert [sample["custom_tag"] for sample in read(path)["samples"]] == ["new", "other", "new"]


def test_genres_take_turns_with_captions_as_in_the_original():
    dataset = Dataset(genre_ratio=50)
    dataset.songs = [Song(f"{n}.wav", str(n), caption=f"c{n}", genre=f"g{n}") for n in range(10)]
    shown = [dataset.prompt_labels(song).caption for song in dataset.songs]
    assert [text[0] for text in shown] == list("ccggcgcggc")
    dataset.songs[0].prompt_override, dataset.songs[2].prompt_override = "genre", "caption"
    assert dataset.prompt_labels(dataset.songs[0]).caption == "g0"
    assert dataset.prompt_labels(dataset.songs[2]).caption == "c2"
    dataset.songs[3].genre = ""  # nothing to show
    assert dataset.prompt_labels(dataset.songs[3]).caption == "c3"


def test_instrumental_songs_and_songs_without_words():
    dataset = Dataset()
    song = Song("a.wav", lyrics="la la", language="en")
    assert dataset.prompt_labels(song).lyrics == "la la"
    song.instrumental = True
    labels = dataset.prompt_labels(song)
    assert (labels.lyrics, labels.language) == ("[Instrumental]", "unknown")
    blank = dataset.prompt_labels(Song("a.wav", lyrics="  "))
    assert blank.lyrics == "[Instrumental]"


# --- sources --------------------------------------------------------------------------------------


def test_labels_without_a_source_were_written_by_a_person(tmp_path):
    sources = load_dataset(write(tmp_path / "d.json", GUIDE)).songs[0].sources
    assert sources == dict.fromkeys(
        ["bpm", "caption", "instrumental", "keyscale", "timesignature"], "person"
    )


def test_a_label_changed_in_a_text_editor_becomes_a_persons(tmp_path):
    path = tmp_path / "d.json"
    song = Song("a.wav", "a")
    for label, value in (("caption", "machine words"), ("keyscale", "A minor"), ("bpm", 90)):
        song.give(label, value, "lm" if label == "caption" else "sidecar")
    save_dataset(Dataset(path, songs=[song]), path)
    assert load_dataset(path).songs[0].sources["caption"] == "lm"
    value = read(path)
    value["samples"][0]["caption"] = "my words"
    value["samples"][0]["keyscale"] = "Am"  # the same key
    write(path, value)
    sources = load_dataset(path).songs[0].sources
    assert sources == {"caption": "person", "keyscale": "sidecar", "bpm": "sidecar"}
    save_dataset(load_dataset(path), path)
    assert load_dataset(path).songs[0].sources == sources


# --- paths and names ------------------------------------------------------------------------------


def test_paths_resolve_against_the_file_and_then_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sets/in.wav", "here.wav", "sets/sub/win.wav", "both.wav", "sets/both.wav"):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "w").close()
    names = ["in.wav", "here.wav", "sub\\win.wav", "both.wav", str(tmp_path / "here.wav"), "no.wav"]
    path = write(tmp_path / "sets/d.json", [{"audio_path": name} for name in names])
    dataset = load_dataset(path)
    wanted = [
        "sets/in.wav",
        "here.wav",
        "sets/sub/win.wav",
        "sets/both.wav",
        "here.wav",
        "sets/no.wav",
    ]
    places = [os.path.abspath(dataset.resolve(song)) for song in dataset.songs]
    assert places == [str(tmp_path / name) for name in wanted]
    assert [sample["audio_path"] for sample in resave(path)] == names


def test_saved_elsewhere_the_songs_are_still_found(tmp_path):
    (tmp_path / "a/songs").mkdir(parents=True)
    (tmp_path / "a/songs/x.wav").touch()
    path = write(tmp_path / "a/d.json", [{"audio_path": "songs/x.wav"}, {"audio_path": "gone.wav"}])
    for place, wanted in (
        ("b/d.json", str(tmp_path / "a/songs/x.wav")),
        ("a/songs/d.json", "x.wav"),
        ("d.json", "a/songs/x.wav"),
    ):
        save_dataset(load_dataset(path), tmp_path / place)
        assert [s["audio_path"] for s in read(tmp_path / place)] == [wanted, "gone.wav"]


def test_paths_are_relative_inside_the_folder_and_absolute_outside(tmp_path):
    assert written_path(tmp_path / "a/b.wav", tmp_path) == "a/b.wav"
    assert written_path(tmp_path / "a/b.wav", tmp_path / "a") == "b.wav"
    assert written_path(tmp_path / "a/b.wav", tmp_path / "c") == str(tmp_path / "a/b.wav")
    assert written_path(tmp_path / "..b.wav", tmp_path) == "..b.wav"


def test_finding_a_song():
    songs = [
        Song("a/one.wav", "id1"),
        Song("b/one.wav", "id2"),
        Song("zwei.mp3", "id3"),
        Song("2.wav", "id4"),
    ]
    dataset = Dataset(songs=songs)
    for text, number in (
        ("1", 0),
        ("2", 1),
        ("id2", 1),
        ("b/one.wav", 1),
        ("zwei.mp3", 2),
        ("zwei", 2),
        ("2.wav", 3),
    ):
        assert dataset.find(text) is songs[number]
    with pytest.raises(DatasetError, match="the name of 2 songs") as caught:
        dataset.find("one.wav")
    assert "id1" in caught.value.hint and "b/one.wav" in caught.value.hint
    with pytest.raises(DatasetError, match="no song 'zwie.mp3'") as caught:
        dataset.find("zwie.mp3")
    assert "zwei.mp3" in caught.value.hint
    for text in ("0", "5", "", "-1"):
        with pytest.raises(DatasetError):
            dataset.find(text)


def test_ids_are_unique_and_fit_for_file_names(tmp_path):
    samples = [{"audio_path": "a.wav", "id": id_} for id_ in ("x", "x", "X", "", "", 12)]
    ids = [song.id for song in load_dataset(write(tmp_path / "d.json", samples)).songs]
    assert ids[:3] == ["x", "x-2", "X-3"] and ids[4] == ids[3] + "-2" and ids[5] == "12"
    for bad in ("../evil", "a/b", "a\\b", ".hidden", "x" * 200, "a\nb", "c:d"):
        with pytest.raises(DatasetError, match=r"\[0\]\.id: .*file name"):
            load_dataset(write(tmp_path / "d.json", [{"audio_path": "a.wav", "id": bad}]))


# --- broken files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"   \n", "it is empty"),
        (b"{", "line 1, column 2"),
        (b'{"samples": [\n{"audio_path": "a.wav",}]}', "line 2, column 2"),
        (b"not json", "not valid JSON"),
        (b"\xff\x00\x01", "not UTF-8"),
        (b"[" * 100_000, "not valid JSON"),
        (b"PK\x03\x04\x00\x00", "zero bytes"),
        (b'{"samples": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"null", "no list of samples"),
        (b"3", "no list of samples"),
        (b"{}", "no list of samples"),
        (b'{"metadata": {}}', "no list of samples"),
        (b'{"samples": {}}', "samples: {} is not a list"),
        (b'{"samples": null}', "samples: null is not a list"),
        (b'"text"', "no list of samples"),
    ],
)
def test_what_is_no_dataset_is_named_and_left_alone(tmp_path, content, words):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert words in str(caught.value) and "broken.json" in str(caught.value) and caught.value.hint
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["broken.json"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bpm", "fast", "is not a number"),
        ("bpm", float("nan"), "is not a number"),
        ("bpm", -3, "between"),
        ("bpm", True, "is not a number"),
        ("bpm", [90], "is not a number"),
        ("caption", 5, "is not text"),
        ("caption", ["a"], "is not text"),
        ("lyrics", {}, "is not text"),
        ("keyscale", 7, "is not text"),
        ("timesignature", True, "time signature"),
        ("timesignature", [4], "time signature"),
        ("language", 1, "is not text"),
        ("instrumental", "yes", "neither true nor false"),
        ("duration", "long", "seconds"),
        ("duration", -1, "seconds"),
        ("duration", float("inf"), "seconds"),
        ("prompt_override", "both", "not one of caption, genre"),
        ("sources", ["person"], "label: source"),
        ("audio_path", "", "not a path"),
        ("audio_path", None, "not a path"),
        ("genre", 1, "is not text"),
    ],
)
def test_wrong_types_are_named_with_their_place(tmp_path, key, value, words):
    samples = [{"audio_path": "a.wav"}, {"audio_path": "b.wav", key: value}]
    path = write(tmp_path / "d.json", {"samples": samples})
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert f"d.json: samples[1].{key}: " in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"samples": [3]}, "samples[0]: 3 is not an object"),
        ({"samples": [{"caption": "x"}]}, "has no audio_path"),
        ({"samples": [], "activation_tag": 3}, "activation_tag: 3 is not text"),
        ({"samples": [], "dataset_name": []}, "dataset_name: [] is not text"),
        ({"samples": [], "tag_position": "before"}, 'tag_position: "before" is not one of prepend'),
        ({"samples": [], "genre_ratio": 120}, "genre_ratio: 120 is not a whole number"),
        ({"samples": [], "metadata": {"custom_tag": 1}}, "metadata.custom_tag: 1 is not text"),
        ({"samples": [], "version": 2}, "version: 2 is newer than this program's"),
        ([1], "[0]: 1 is not an object"),
    ],
)
def test_wrong_settings_are_named(tmp_path, value, words):
    with pytest.raises(DatasetError) as caught:
        load_dataset(write(tmp_path / "d.json", value))
    assert words in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        load_dataset(tmp_path / "none.json")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_dataset(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written"):
        save_dataset(Dataset(), tmp_path / "file" / "d.json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom"])
def test_encodings_of_text_editors(tmp_path, encoding):
    guide = json.loads(json.dumps(GUIDE))
    guide["samples"][0]["caption"] = "ñandú 🎷"
    text = json.dumps(guide, ensure_ascii=False)
    data = (
        b"\xfe\xff" + text.encode("utf-16-be")
        if encoding.endswith("bom")
        else text.encode(encoding)
    )
    (tmp_path / "d.json").write_bytes(data)
    assert load_dataset(tmp_path / "d.json").songs[0].caption == "ñandú 🎷"
    assert holds(resave(tmp_path / "d.json"), guide)


def test_half_a_surrogate_pair_survives(tmp_path):
    path = tmp_path / "d.json"
    path.write_text('{"samples": [{"audio_path": "a.wav", "caption": "x\\ud800", "z": "\\udfff"}]}')
    dataset = load_dataset(path)
    assert dataset.prompt_labels(dataset.songs[0]).caption == "x?"
    saved = resave(path)["samples"][0]
    assert (saved["caption"], saved["z"]) == ("x\ud800", "\udfff")


def test_saving_is_atomic_keeps_the_version_before_and_follows_links(tmp_path, monkeypatch):
    path = write(tmp_path / "d.json", GUIDE)
    dataset = load_dataset(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DatasetError, match="No space left"):
            save_dataset(dataset, path)
    assert path.read_bytes() == before and not os.listdir(tmp_path / "d.json.history")
    save_dataset(dataset, path)
    assert (tmp_path / "d.json.history/0001.json").read_bytes() == before
    (tmp_path / "link.json").symlink_to(path)
    dataset.name = "through the link"
    save_dataset(dataset, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink() and read(path)["dataset_name"] == dataset.name
