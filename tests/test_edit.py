import json
import os

import pytest
from dataset_files import edited, labelled, notices, samples, scanned_dataset

from acestep import events
from acestep.config import EditConfig
from acestep.data.song import load_dataset
from acestep.errors import ConfigError, DatasetError


@pytest.fixture
def dataset(tmp_path):
    return scanned_dataset(tmp_path)



def test_only_what_is_given_changes(dataset):
    before = samples(dataset)
    edited(dataset, "b.flac", caption="warm jazz", bpm=85)
    after = samples(dataset)
    assert after[0] == before[0] and after[2] == before[2]
    changed = {key for key in after[1] if after[1][key] != before[1].get(key)}
    assert changed == {"caption", "bpm", "sources"}
    assert after[1]["sources"] == {"caption": "person", "bpm": "person"}
    assert dataset.with_name("d.json.history").is_dir()


def test_every_label_can_be_set(dataset, tmp_path):
    (tmp_path / "words.txt").write_bytes("\ufeff[Verse 1]\r\nla la\r\n\r\n".encode())
    given = {"caption": "c", "genre": "g", "bpm": 120, "keyscale": "A#maj", "timesignature": "6/8",
             "language": "KO", "lyrics_file": tmp_path / "words.txt"}  # fmt: skip
    edited(dataset, "3", **given)
    sample = samples(dataset)[2]
    wanted = {"caption": "myjazz, c", "genre": "g", "bpm": 120, "keyscale": "A# major",
              "timesignature": 6, "language": "ko", "lyrics": "[Verse 1]\nla la",
              "instrumental": False}  # fmt: skip
    assert {key: sample[key] for key in wanted} == wanted


def test_a_caption_given_with_its_tag_has_it_once(dataset):
    edited(dataset, "1", caption="myjazz, warm jazz")
    assert samples(dataset)[0]["caption"] == "myjazz, warm jazz"
    dataset_ = load_dataset(dataset)
    assert dataset_.prompt_labels(dataset_.songs[0]).caption == "myjazz, warm jazz"


def test_lyrics_make_a_song_sung_and_their_absence_instrumental(dataset):
    edited(dataset, "1", instrumental=True)
    said = edited(dataset, "1", lyrics="la la")
    assert samples(dataset)[0]["instrumental"] is False
    assert "no longer counts as instrumental" in notices(said)
    edited(dataset, "1", lyrics="[Instrumental]")
    assert samples(dataset)[0]["instrumental"] is True
    said = edited(dataset, "1", lyrics="la", instrumental=True)
    assert samples(dataset)[0]["instrumental"] is True
    assert "its lyrics are kept and not used" in notices(said)


def test_what_is_not_understood_is_kept_and_said(dataset):
    said = edited(dataset, "1", keyscale="D dorian", timesignature="5/4", language="Klingon")
    sample = samples(dataset)[0]
    assert (sample["keyscale"], sample["timesignature"]) == ("D dorian", "5/4")
    for words in ("'D dorian' is not understood", "'5/4' is not understood", "'Klingon' is not"):
        assert words in notices(said)


def test_an_emptied_label_can_be_found_again(dataset, tmp_path):
    edited(dataset, "1", caption="x", keyscale="Am")
    edited(dataset, "1", caption="", keyscale="")
    assert (samples(dataset)[0]["caption"], samples(dataset)[0]["keyscale"]) == ("", "")
    (tmp_path / "songs/a.caption.txt").write_text("found")
    labelled(dataset)
    assert samples(dataset)[0]["caption"] == "myjazz, found"


def test_settings_change_without_a_song_and_wipe_nothing(dataset):
    edited(dataset, "1", caption="warm", lyrics="la la")
    said = edited(dataset, name="new", tag=" My_Tag! ", tag_position="append")
    value = json.loads(dataset.read_text())
    assert (value["dataset_name"], value["activation_tag"]) == ("new", "My_Tag!")
    assert value["samples"][0]["caption"] == "warm, My_Tag!"
    assert value["samples"][0]["lyrics"] == "la la"
    assert "letters and digits" in notices(said)
    edited(dataset, tag="")
    assert samples(dataset)[0]["caption"] == "warm"


def test_saving_elsewhere_and_in_another_layout(dataset, tmp_path):
    before = dataset.read_bytes()
    edited(dataset, "1", caption="warm", save_as=tmp_path / "x/new.json", format="original")
    assert dataset.read_bytes() == before
    value = json.loads((tmp_path / "x/new.json").read_text())
    assert value["metadata"]["custom_tag"] == "myjazz" and value["samples"][0]["caption"] == "warm"
    loaded = load_dataset(tmp_path / "x/new.json")
    assert all(loaded.resolve(song).exists() for song in loaded.songs)
    said = edited(dataset, save_as=tmp_path / "l.json", format="list", tag_position="append")
    assert isinstance(json.loads((tmp_path / "l.json").read_text()), list)
    assert "keeps no tag position" in notices(said)


def test_contradictions_and_mistakes_change_nothing(dataset, tmp_path):
    before = dataset.read_bytes()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes(b"s\xfc\xdf")
    cases = [
        ({}, "nothing to change"),
        ({"song": "1"}, "nothing to change"),
        ({"caption": "x"}, "--caption: it is not said of which song"),
        ({"song": "1", "lyrics": "a", "lyrics_file": tmp_path / "a.txt"}, "give one of the two"),
        ({"song": "1", "lyrics_file": tmp_path / "none.txt"}, "--lyrics-file: .*cannot be read"),
        ({"song": "1", "lyrics_file": tmp_path / "empty.txt"}, "--lyrics-file: .*is empty"),
        ({"song": "1", "lyrics_file": tmp_path / "latin.txt"}, "--lyrics-file: .*not UTF-8"),
    ]
    for knobs, words in cases:
        with pytest.raises(ConfigError, match=words):
            edited(dataset, **knobs)
    with pytest.raises(DatasetError, match="no song 'nine'"):
        edited(dataset, "nine", bpm=90)
    for bpm in (0, 1000, "fast"):
        with pytest.raises(ConfigError, match="--bpm"):
            EditConfig(dataset=dataset, song="1", bpm=bpm)
    assert dataset.read_bytes() == before
    assert not os.path.exists(f"{dataset}.history")


def test_many_songs_are_changed_at_once(dataset):
    edited(dataset, "1", bpm=50, caption="jazz, soft")
    edited(dataset, "2", bpm=100, caption="rock")
    said = edited(dataset, where="bpm<60", set=["bpm*=2", "language=en"])
    assert [sample["bpm"] for sample in samples(dataset)] == [100, 100, None]
    assert [sample["language"] for sample in samples(dataset)] == ["en", "unknown", "unknown"]
    assert "1 of 3 songs: bpm<60" in notices(said) and "1 song changed" in notices(said)
    edited(dataset, where="language==unknown", language="ko", instrumental=False)
    assert [sample["language"] for sample in samples(dataset)] == ["en", "ko", "ko"]
    edited(dataset, prepend="lo-fi", append="live", replace=("rock", "pop"), strip="jazz")
    assert [sample["caption"] for sample in samples(dataset)] == [
        "myjazz, lo-fi, soft, live", "myjazz, lo-fi, pop, live", ""]  # fmt: skip
    edited(dataset, "b.flac", set=["caption+=, late"])
    assert samples(dataset)[1]["caption"] == "myjazz, lo-fi, pop, live, late"


def test_where_nothing_fits_or_one_result_is_wrong_nothing_is_saved(dataset):
    edited(dataset, "1", bpm=300)
    before = dataset.read_bytes()
    said = edited(dataset, where="bpm<60", set=["bpm*=2"], bpm=90)
    assert "0 of 3 songs" in notices(said) and not any(isinstance(e, events.Saved) for e in said)
    for wrong in ({"set": ["caption=x", "bpm*=4"]}, {"where": "bmp<3", "bpm": 90},
                  {"set": ["bpm"]}, {"where": "bpm<60"}):  # fmt: skip
        with pytest.raises(ConfigError):
            edited(dataset, **wrong)
    assert dataset.read_bytes() == before


def test_a_history_without_versions_says_so(dataset, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("File\nsong.wav\n", encoding="utf-8")
    (history,) = edited(table, history=True)
    assert history.text.endswith("new.csv has no earlier versions")


def test_every_save_can_be_undone_and_an_undo_too(dataset):
    edited(dataset, "1", bpm=50)
    edited(dataset, where="bpm<60", set=["bpm*=2"])
    (history,) = [e.text for e in edited(dataset, history=True) if isinstance(e, events.Text)]
    lines = history.splitlines()
    assert lines[0].startswith("now") and lines[0].endswith("1 song: bpm")
    assert [line.split()[:2] for line in lines[1:]] == [["--undo", "1"], ["--undo", "2"]]
    edited(dataset, undo=1)
    assert samples(dataset)[0]["bpm"] == 50
    edited(dataset, undo=1)
    assert samples(dataset)[0]["bpm"] is None
    edited(dataset, redo=2)
    assert samples(dataset)[0]["bpm"] == 100
    with pytest.raises(DatasetError, match="2 earlier versions"):
        edited(dataset, undo=3)
    dataset.write_text("broken")
    edited(dataset, undo=1)
    assert samples(dataset)[0]["bpm"] == 100


def test_a_step_in_the_history_is_given_alone(dataset):
    for beside in ({"bpm": 3}, {"redo": 1}, {"history": True}, {"tag": "x"}, {"set": ["bpm=3"]}):
        with pytest.raises(ConfigError, match="given alone"):
            EditConfig(dataset=dataset, undo=1, **beside)
    with pytest.raises(ConfigError, match="at least 1"):
        EditConfig(dataset=dataset, undo=0)
    with pytest.raises(ConfigError, match="named already"):
        EditConfig(dataset=dataset, song="1", where="bpm<3", bpm=4)
    with pytest.raises(ConfigError, match="of nothing"):
        EditConfig(dataset=dataset, replace=("", "x"))


def test_a_dataset_becomes_a_table_and_an_audiofolder_and_comes_back(dataset, tmp_path):
    edited(dataset, "1", caption="=warm", bpm=90, lyrics="la\nla")
    before = load_dataset(dataset)
    edited(dataset, save_as=tmp_path / "songs.csv", format="csv")
    edited(dataset, save_as=tmp_path / "also.csv")
    assert (tmp_path / "songs.csv").read_bytes() == (tmp_path / "also.csv").read_bytes()
    said = edited(dataset, save_as=tmp_path / "set", format="audiofolder", tag_position="append")
    assert "a table keeps no tag position" in notices(said)
    for made in ("songs.csv", "set"):
        after = load_dataset(tmp_path / made)
        assert after.tag == "myjazz" and all(after.resolve(s).is_file() for s in after.songs)
        for old, new in zip(before.songs, after.songs, strict=True):
            assert (new.caption, new.bpm, new.lyrics, new.id, new.sources) == (
                old.caption, old.bpm, old.lyrics, old.id, old.sources)  # fmt: skip
    edited(tmp_path / "songs.csv", set=["bpm*=2"])
    assert load_dataset(tmp_path / "songs.csv").songs[0].bpm == 180
    edited(tmp_path / "songs.csv", undo=1)
    edited(tmp_path / "set", "1", bpm=91)
    edited(tmp_path / "set", undo=1)
    assert [load_dataset(tmp_path / p).songs[0].bpm for p in ("songs.csv", "set")] == [90, 90]
    edited(tmp_path / "songs.csv", save_as=tmp_path / "again.json", format="guide")
    assert samples(tmp_path / "again.json")[0]["caption"] == "myjazz, =warm"


def test_a_layout_and_an_ending_that_disagree_are_refused(dataset):
    for knobs in ({"format": "csv"}, {"format": "csv", "save_as": "x.json"},
                  {"format": "list", "save_as": "x.csv"}, {"format": "audiofolder"},
                  {"link": True}):  # fmt: skip
        with pytest.raises(ConfigError, match="--save-as|is read as|it is for"):
            EditConfig(dataset=dataset, **knobs)
