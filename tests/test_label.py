import json
import os
from pathlib import Path

import pytest
from sound_files import make_song

from acestep import events
from acestep.config import EditConfig, LabelConfig, ScanConfig
from acestep.data.song import load_dataset
from acestep.errors import ConfigError, DatasetError
from acestep.label import edit, label
from acestep.model.base import find_model, load_tokenizer
from acestep.model.prompt import build_prompt
from acestep.scan import scan


@pytest.fixture
def dataset(tmp_path):
    """A dataset of three short songs, scanned before any sidecar was there."""
    for number, name in enumerate(("a.wav", "b.flac", "sub/c.mp3")):
        make_song(tmp_path / "songs" / name, 0.5, pitch=220 + 110 * number)
    list(scan(ScanConfig(songs=tmp_path / "songs", output=tmp_path / "d.json", tag="myjazz")))
    return tmp_path / "d.json"


def samples(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["samples"]


def labelled(path: Path, **knobs) -> list[events.Event]:
    return list(label(LabelConfig(dataset=path, **knobs)))


def edited(path: Path, song: str = "", **knobs) -> list[events.Event]:
    return list(edit(EditConfig(dataset=path, song=song, **knobs)))


def notices(said: list[events.Event]) -> str:
    return "\n".join(f"{n.about}: {n.message}" for n in said if isinstance(n, events.Notice))


# --- label ----------------------------------------------------------------------------------------


def test_labels_that_appeared_since_the_scan_are_filled_in(dataset, tmp_path):
    (tmp_path / "songs/a.caption.txt").write_text("warm jazz")
    (tmp_path / "songs/sub/c.json").write_text('{"caption": "slow jazz", "bpm": 70}')
    (tmp_path / "songs/keys.csv").write_text("File,BPM,Key\nb.flac,90,Am\n")
    said = labelled(dataset)
    a, b, c = samples(dataset)
    assert (a["caption"], c["caption"], c["bpm"]) == ("myjazz, warm jazz", "myjazz, slow jazz", 70)
    assert (b["caption"], b["bpm"], b["keyscale"]) == ("", 90, "A minor")
    assert said[-1].facts == {"songs": 3, "changed": 3, "without_caption": 1}
    assert "b.flac: it has no caption: acestep edit" in notices(said)
    assert "a.wav: it has no caption" not in notices(said)


def test_nothing_new_means_nothing_written(dataset):
    before = dataset.read_bytes(), dataset.stat().st_mtime_ns
    said = labelled(dataset)
    assert (dataset.read_bytes(), dataset.stat().st_mtime_ns) == before
    assert not any(isinstance(event, events.Saved) for event in said)


def test_a_persons_words_are_overwritten_only_when_told_to(dataset, tmp_path):
    edited(dataset, "1", caption="a person's", bpm=99)
    (tmp_path / "songs/a.json").write_text('{"caption": "sidecar", "bpm": 60, "genre": "jazz"}')
    labelled(dataset)
    a = samples(dataset)[0]
    assert (a["caption"], a["bpm"], a["genre"]) == ("myjazz, a person's", 99, "jazz")
    labelled(dataset, overwrite=True)
    a = samples(dataset)[0]
    assert (a["caption"], a["bpm"]) == ("myjazz, sidecar", 60)
    assert a["sources"]["caption"] == "sidecar"


def test_skipping_metas_and_songs_with_a_caption(dataset, tmp_path):
    record = '{"caption": "x", "bpm": 60, "keyscale": "Am", "timesignature": 3, "genre": "g"}'
    for name in ("a", "b"):
        (tmp_path / f"songs/{name}.json").write_text(record)
    edited(dataset, "a.wav", caption="has one")
    labelled(dataset, skip_metas=True, only_unlabelled=True)
    a, b, _ = samples(dataset)
    assert "genre" not in a and b["genre"] == "g" and b["caption"] == "myjazz, x"
    assert (b["bpm"], b["keyscale"], b["timesignature"]) == (None, "", None)


def test_the_guides_file_gets_durations_and_nothing_else(tmp_path):
    make_song(tmp_path / "song1.wav", 0.5)
    sample = {
        "audio_path": "song1.wav",
        "caption": "myjazz, smooth jazz",
        "lyrics": "[Instrumental]",
        "bpm": 90,
        "keyscale": "Bb Major",
        "timesignature": 4,
        "language": "unknown",
        "instrumental": True,
    }
    gone = {**sample, "audio_path": "gone.wav"}
    value = {"dataset_name": "n", "activation_tag": "myjazz", "samples": [sample, gone]}
    path = tmp_path / "d.json"
    path.write_text(json.dumps(value))
    said = labelled(path)
    first, second = samples(path)
    assert first["duration"] == 0.5 and len(first["id"]) == 16 and "duration" not in second
    assert {key: first[key] for key in sample} == sample
    assert "gone.wav: its file" in notices(said)


def test_broken_audio_is_skipped_by_name(dataset, tmp_path):
    value = json.loads(dataset.read_text())
    for sample in value["samples"]:
        del sample["duration"]
    dataset.write_text(json.dumps(value))
    (tmp_path / "songs/b.flac").write_text("text")
    said = labelled(dataset)
    assert [event.what for event in said if isinstance(event, events.Skipped)] == ["b.flac"]
    assert [sample.get("duration") for sample in samples(dataset)] == [0.5, None, 0.5]


@pytest.mark.parametrize(
    ("tag", "words"),
    [("jazz", "ordinary word"), ("My_Jazz!", "capital"), ("", "no activation tag"), ("myjazz", "")],
)
def test_advice_on_the_tag(dataset, tag, words):
    edited(dataset, tag=tag)
    heard = notices(labelled(dataset))
    assert words in heard
    assert ("a good tag is short" in heard) == bool(words)


def test_lyrics_without_a_language_are_mentioned(dataset):
    edited(dataset, "1", lyrics="la la")
    assert "a.wav: its lyrics have no language" in notices(labelled(dataset))
    edited(dataset, "1", language="en")
    assert "no language" not in notices(labelled(dataset))


# --- show -----------------------------------------------------------------------------------------


def test_show_prints_exactly_what_the_encoder_sees(dataset):
    edited(dataset, "1", caption="smooth jazz", lyrics="[Verse 1]\nla la", language="en", bpm=90,
           keyscale="Bb Major", timesignature="4/4")  # fmt: skip
    before = dataset.read_bytes()
    (text,) = [event for event in labelled(dataset, show="a.wav") if isinstance(event, events.Text)]
    assert dataset.read_bytes() == before
    caption = (
        "# Instruction\nFill the audio semantic mask based on the given conditions:\n\n"
        "# Caption\nmyjazz, smooth jazz\n\n# Metas\n- bpm: 90\n- timesignature: 4\n"
        "- keyscale: Bb major\n- duration: 0 seconds\n<|endoftext|>\n"
    )
    lyrics = "# Languages\nen\n\n# Lyric\n[Verse 1]\nla la<|endoftext|>"
    assert caption in text.text and lyrics in text.text
    loaded = load_dataset(dataset)
    tokenizer = load_tokenizer(find_model("mini"))
    prompt = build_prompt(loaded.prompt_labels(loaded.songs[0]), tokenizer)
    assert (prompt.caption_text, prompt.lyrics_text) == (caption, lyrics)
    assert f"{len(prompt.caption_ids)} of 256 tokens" in text.text
    assert f"{len(prompt.lyrics_ids)} of 2048 tokens" in text.text


def test_show_says_what_was_cut_and_keeps_the_metas(dataset):
    edited(dataset, "2", caption="word " * 400, bpm=90)
    said = labelled(dataset, show="2")
    assert "b.flac: the caption makes" in notices(said)
    assert "- bpm: 90" in said[-1].text


def test_show_uses_the_length_that_preprocess_uses(dataset):
    value = json.loads(dataset.read_text())
    value["samples"][0]["duration"] = 301.7
    dataset.write_text(json.dumps(value))
    said = labelled(dataset, show="1")
    assert "- duration: 240 seconds" in said[-1].text
    assert "the first 240 of 302 s" in notices(said)


def test_show_of_a_song_whose_audio_is_missing(tmp_path):
    path = tmp_path / "d.json"
    path.write_text('[{"audio_path": "gone.wav", "caption": "words"}]')
    said = labelled(path, show="gone.wav")
    assert "gone.wav is missing" in notices(said) and "words" in said[-1].text
    with pytest.raises(DatasetError, match="no song 'other'"):
        labelled(path, show="other")


# --- edit -----------------------------------------------------------------------------------------


def test_only_what_is_given_changes(dataset):
    before = samples(dataset)
    edited(dataset, "b.flac", caption="warm jazz", bpm=85)
    after = samples(dataset)
    assert after[0] == before[0] and after[2] == before[2]
    changed = {key for key in after[1] if after[1][key] != before[1].get(key)}
    assert changed == {"caption", "bpm", "sources"}
    assert after[1]["sources"] == {"caption": "person", "bpm": "person"}
    assert dataset.with_name("d.json.bak").exists()


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
    assert not os.path.exists(f"{dataset}.bak")
