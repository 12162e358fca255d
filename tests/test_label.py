import json
from pathlib import Path

import pytest
from sound_files import make_song

from acestep import events
from acestep.config import EditConfig, LabelConfig, ScanConfig
from acestep.data.song import load_dataset
from acestep.edit import edit
from acestep.errors import DatasetError
from acestep.label import label
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
    labelled(dataset, overwrite=["all"])
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
