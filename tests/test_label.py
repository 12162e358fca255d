import json
import os
import signal
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from dataset_files import edited, labelled, notices, samples, scanned_dataset
from sound_files import make_song

from acestep import events
from acestep.config import LabelConfig, ScanConfig
from acestep.data.audio import write_audio
from acestep.data.song import load_dataset, save_dataset
from acestep.errors import ConfigError, DatasetError, LabelError, ModelError
from acestep.label import label
from acestep.labellers.described import Described
from acestep.labellers.listen import Listener
from acestep.mini.corpus import compose, render
from acestep.model.base import find_model, load_tokenizer
from acestep.model.prompt import build_prompt
from acestep.scan import scan


@pytest.fixture
def dataset(tmp_path):
    return scanned_dataset(tmp_path)



def test_labels_that_appeared_since_the_scan_are_filled_in(dataset, tmp_path):
    (tmp_path / "songs/a.caption.txt").write_text("warm jazz")
    (tmp_path / "songs/sub/c.json").write_text('{"caption": "slow jazz", "bpm": 70}')
    (tmp_path / "songs/keys.csv").write_text("File,BPM,Key\nb.flac,90,Am\n")
    said = labelled(dataset)
    a, b, c = samples(dataset)
    assert (a["caption"], c["caption"], c["bpm"]) == ("myjazz, warm jazz", "myjazz, slow jazz", 70)
    assert (b["caption"], b["bpm"], b["keyscale"]) == ("", 90, "A minor")
    assert said[-1].facts == {"songs": 3, "changed": 3, "drafts": 0, "without_caption": 1}
    assert "b.flac: it has no caption" in notices(said)
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


@pytest.mark.parametrize("seconds", [0, 1000])
def test_what_is_edited_while_it_runs_stays(dataset, tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(import_module("acestep.label"), "SAVE_SECONDS", seconds)
    for name in ("a", "b"):
        (tmp_path / f"songs/{name}.caption.txt").write_text("from the sidecar")
    running = label(LabelConfig(dataset=dataset))
    said = [next(running), next(running), next(running)]
    edited(dataset, "1", caption="by hand", bpm=77)
    edited(dataset, tag="other")
    said += running
    a, b, _ = samples(dataset)
    assert (a["caption"], a["bpm"], a["sources"]["bpm"]) == ("other, by hand", 77, "person")
    assert b["caption"] == "other, from the sidecar"
    assert isinstance(said[-1], events.Finished)


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


def test_lyrics_that_the_model_will_not_read_to_their_end(dataset):
    edited(dataset, "1", lyrics="over the river and through the wood\n" * 400, language="en")
    assert "a.wav: its lyrics are" in (said := notices(labelled(dataset)))
    assert "tokens long and the model reads 2048" in said


def test_marks_of_lyrics_in_a_file_are_mended_once(dataset, tmp_path):
    (tmp_path / "songs/a.lyrics.txt").write_text("(verse 1)\nover the river")
    assert "a.wav: its section marks were put" in notices(labelled(dataset))
    assert "section marks" not in notices(labelled(dataset))
    list(scan(ScanConfig(songs=tmp_path / "songs", output=dataset)))
    assert samples(dataset)[0]["lyrics"] == "[Verse 1]\nover the river"
    (tmp_path / "songs/a.lyrics.txt").write_text("(verse 1)\nunder the river")
    labelled(dataset)
    assert samples(dataset)[0]["lyrics"] == "[Verse 1]\nunder the river"


def test_lyrics_are_read_where_the_audio_is_missing_or_broken(dataset, tmp_path):
    for song in ("1", "2"):
        edited(dataset, song, lyrics="the night is falling on the river and we go home again")
    (tmp_path / "songs/a.wav").unlink()
    (tmp_path / "songs/b.flac").write_bytes(b"")
    labelled(dataset, analysis=True)
    assert [sample["language"] for sample in samples(dataset)] == ["en", "en", "unknown"]


def test_lyrics_without_a_language_are_mentioned(dataset):
    edited(dataset, "1", lyrics="la la")
    assert "a.wav: it has lyrics of no language" in notices(labelled(dataset))
    edited(dataset, "1", language="en")
    assert "of no language" not in notices(labelled(dataset))


# --- what is heard --------------------------------------------------------------------------------


@pytest.fixture
def heard(tmp_path):
    """Two songs of known tempo and key in a folder called funk, and one that is no audio."""
    for seed, name in ((950_000, "one.wav"), (950_001, "two.flac")):
        song = compose(seed, 24.0, style="house", bpm=124, keyscale="A minor")
        write_audio(tmp_path / "funk" / name, render(song), 48_000)
    write_audio(tmp_path / "funk" / "three.wav", np.ones((2, 48_000), np.float32) * 0.1, 48_000)
    list(scan(ScanConfig(songs=tmp_path / "funk", output=tmp_path / "d.json")))
    return tmp_path / "d.json"


def listened(path: Path, **knobs) -> list[events.Event]:
    return labelled(path, **{"analysis": True, "captioner": "draft"} | knobs)


def by_name(path: Path) -> dict[str, dict]:
    return {Path(sample["audio_path"]).name: sample for sample in samples(path)}


def test_what_is_heard_becomes_labels_with_how_sure_it_is(heard):
    said = listened(heard)
    for name in ("one.wav", "two.flac"):
        sample = by_name(heard)[name]
        assert (sample["bpm"], sample["keyscale"], sample["timesignature"]) == (124, "A minor", 4)
        assert {sample["sources"][label] for label in ("bpm", "keyscale")} == {"analysis"}
        assert sample["sources"]["caption"] == "draft" and "funk" in sample["caption"]
        found = sample["evidence"]["bpm"]
        assert found["value"] == 124 and found["source"] == "analysis" and found["runner_up"]
        assert 0.5 < found["confidence"] <= 1
        assert -40 < sample["evidence"]["sound"]["loudness"] < 0
    assert "captions drafted from measurements: 3 (" in notices(said)
    assert "three.wav: nothing to hear of its tempo, key, time signature" in notices(said)
    assert by_name(heard)["three.wav"]["bpm"] is None


def test_a_persons_tempo_stays_and_what_was_heard_is_said(heard):
    edited(heard, "one.wav", bpm=90, caption="my own words")
    said = notices(listened(heard))
    sample = by_name(heard)["one.wav"]
    assert (sample["bpm"], sample["sources"]["bpm"]) == (90, "person")
    assert sample["caption"] == "my own words" and sample["evidence"]["bpm"]["value"] == 124
    assert "one.wav: its tempo stays 90; the sound says 124" in said
    listened(heard, overwrite=["bpm"])
    sample = by_name(heard)["one.wav"]
    assert (sample["bpm"], sample["sources"]["bpm"]) == (124, "analysis")
    assert sample["caption"] == "my own words"


def test_what_finds_nothing_better_overwrites_nothing(heard):
    edited(heard, "three.wav", bpm=90, keyscale="C major")
    listened(heard, overwrite=["all"])
    sample = by_name(heard)["three.wav"]
    assert (sample["bpm"], sample["keyscale"]) == (90, "C major")
    assert sample["sources"]["bpm"] == sample["sources"]["keyscale"] == "person"


def test_a_range_settles_the_octave_and_the_second_run_changes_nothing(heard):
    listened(heard)
    before = heard.read_bytes()
    listened(heard)
    assert heard.read_bytes() == before
    listened(heard, bpm_range="50-80")
    assert by_name(heard)["one.wav"]["bpm"] == 62
    listened(heard, skip_metas=True, bpm_range="100-140")
    assert by_name(heard)["one.wav"]["bpm"] == 62


def test_a_stopped_run_goes_on_from_there(heard):
    knobs = {"lyrics": "none", "write_sidecars": True, "overwrite": ["bpm", "genre"]}
    steps = label(LabelConfig(dataset=heard, **knobs))
    done = []
    for event in steps:
        done.append(event)
        if isinstance(event, events.Progress) and event.done == 1:
            os.kill(os.getpid(), signal.SIGTERM)
    assert isinstance(done[-1], events.Stopped)
    again = f"acestep label {heard} --overwrite bpm --overwrite genre --write-sidecars"
    assert done[-1].resume == again
    assert [bool(sample.get("evidence")) for sample in samples(heard)].count(True) in (1, 2)
    first = {name: each for name, each in by_name(heard).items() if each.get("evidence")}
    assert isinstance(listened(heard)[-1], events.Finished)
    assert all(sample["evidence"] for sample in samples(heard))
    assert {name: by_name(heard)[name] for name in first} == first


def test_one_song_that_cannot_be_read_does_not_stop_the_others(heard, tmp_path):
    (tmp_path / "funk/one.wav").write_bytes(b"RIFF")
    said = listened(heard)
    assert [event.what for event in said if isinstance(event, events.Skipped)] == ["one.wav"]
    assert by_name(heard)["two.flac"]["bpm"] == 124


def test_a_models_words_stand_above_a_draft_and_below_a_persons(heard, monkeypatch):
    class Teller:
        name = "music-lm"

        def describe(self, audio, seconds):
            assert audio.shape[0] == 2 and seconds == pytest.approx(24.0)
            return Described(caption="deep house", bpm=62, keyscale="A minor", notes=("cut",))

    listened(heard)
    edited(heard, "two.flac", caption="mine")
    opened = Listener(LabelConfig(dataset=heard), captioner=Teller())
    monkeypatch.setattr(Listener, "open", classmethod(lambda cls, config: opened))
    (next(iter([heard.with_name("funk") / "three.wav"]))).unlink()
    said = notices(listened(heard))
    one, two = by_name(heard)["one.wav"], by_name(heard)["two.flac"]
    assert (one["caption"], one["sources"]["caption"]) == ("deep house", "lm")
    # how sure a model is of its words nobody has measured, and so nobody says
    assert one["evidence"]["caption"] == {"value": "deep house", "source": "music-lm"}
    assert "one.wav: its tempo stays 124; music-lm says 62" in said
    assert one["evidence"]["bpm"]["music-lm"] == 62 and one["bpm"] == 124
    assert "key stays" not in said and "one.wav: music-lm: cut" in said
    assert two["caption"] == "mine"


def test_a_model_that_makes_no_sense_skips_the_song(heard, monkeypatch):
    class Teller:
        name = "whisper"

        def transcribe(self, audio):
            raise LabelError("it said 'qqq'", hint="try another model")

    opened = Listener(LabelConfig(dataset=heard), lyricist=Teller())
    monkeypatch.setattr(Listener, "open", classmethod(lambda cls, config: opened))
    skipped = [event for event in listened(heard) if isinstance(event, events.Skipped)]
    assert len(skipped) == 3 and skipped[0].hint == "try another model"
    assert by_name(heard)["one.wav"]["bpm"] == 124


class Teller:
    """A model that answers what it was given, and counts how often it was asked."""

    def __init__(self, name: str, **answer):
        self.name, self.answer, self.asked = name, Described(**answer), 0

    def describe(self, audio, seconds):
        return self.transcribe(audio)

    def transcribe(self, audio):
        self.asked += 1
        return self.answer


@pytest.fixture
def told(dataset, monkeypatch):
    """Labels the dataset with models, and says what was said."""

    def run(captioner=None, lyricist=None, **knobs):
        def opened(cls, config):
            return cls(config, captioner=captioner, lyricist=lyricist)

        monkeypatch.setattr(Listener, "open", classmethod(opened))
        return notices(labelled(dataset, **knobs))

    return run


LM = {"caption": "deep house", "genre": "house", "lyrics": "[Verse]\nmade up", "language": "en"}


def test_who_captions_writes_no_lyrics_unless_asked(dataset, told):
    said = told(Teller("music-lm", **LM))
    sample = samples(dataset)[0]
    assert (sample["caption"], sample["genre"]) == ("myjazz, deep house", "house")
    assert (sample["lyrics"], sample["language"]) == ("[Instrumental]", "unknown")
    assert "a.wav: music-lm wrote lyrics too: --lyrics music-lm takes them" in said


def test_lyrics_are_of_who_was_asked_for_them(dataset, told):
    told(Teller("music-lm", **LM), Teller("whisper", lyrics="real words", instrumental=False))
    assert [sample["lyrics"] for sample in samples(dataset)] == ["real words"] * 3
    assert samples(dataset)[0]["evidence"]["lyrics"]["source"] == "whisper"
    both = Teller("music-lm", **LM)
    told(both, both, overwrite=["lyrics", "caption"])
    assert samples(dataset)[0]["lyrics"] == "[Verse]\nmade up" and both.asked == 3


def test_a_song_found_instrumental_is_not_asked_about_again(dataset, told):
    edited(dataset, "1", instrumental=True)
    first = Teller("whisper", lyrics="[Instrumental]", instrumental=True)
    told(None, first)
    told(None, first)
    assert first.asked == 2
    told(None, Teller("whisper", lyrics="words", instrumental=False), overwrite=["lyrics"])
    for sample in samples(dataset):
        assert (sample["lyrics"], sample["instrumental"]) == ("words", False)


def test_a_song_that_a_person_says_is_sung_gets_its_lyrics(dataset, told):
    edited(dataset, "1", instrumental=False)
    told(None, Teller("whisper", lyrics="words", instrumental=False))
    assert samples(dataset)[0]["lyrics"] == "words"


def test_a_language_read_off_lyrics_follows_them(dataset):
    edited(dataset, "1", lyrics="the night is falling on the river and we go home again")
    labelled(dataset)
    assert samples(dataset)[0]["language"] == "en"
    edited(dataset, "1", lyrics="오늘 밤은 너무 아름다워요\n당신을 사랑합니다")
    labelled(dataset)
    assert samples(dataset)[0]["language"] == "ko"
    edited(dataset, "1", language="en")
    labelled(dataset)
    assert samples(dataset)[0]["language"] == "en"
    labelled(dataset, overwrite=["language"])
    assert samples(dataset)[0]["language"] == "ko"


def test_what_was_heard_before_is_a_label_without_hearing_it_again(heard, monkeypatch):
    listened(heard, skip_metas=True)
    assert by_name(heard)["one.wav"]["bpm"] is None
    monkeypatch.setattr("acestep.labellers.listen.read_audio", None)
    listened(heard)
    assert by_name(heard)["one.wav"]["bpm"] == 124
    edited(heard, "one.wav", bpm=90)
    listened(heard, overwrite=["bpm"])
    assert by_name(heard)["one.wav"]["bpm"] == 124


def test_a_run_with_a_range_goes_on_where_it_was(heard, monkeypatch):
    listened(heard, bpm_range="50-80")
    monkeypatch.setattr("acestep.labellers.listen.read_audio", None)
    listened(heard, bpm_range="50 - 80")
    assert by_name(heard)["one.wav"]["bpm"] == 62
    with pytest.raises(TypeError):
        listened(heard, bpm_range="100-140")


def test_a_song_whose_audio_was_replaced_is_heard_anew(heard, tmp_path):
    listened(heard)
    other = compose(950_002, 24.0, style="house", bpm=100, keyscale="E minor")
    write_audio(tmp_path / "funk/one.wav", render(other), 48_000)
    list(scan(ScanConfig(songs=tmp_path / "funk", output=heard)))
    listened(heard)
    assert by_name(heard)["one.wav"]["bpm"] == 100


def test_a_models_tempo_gives_way_to_the_sounds_own(heard):
    songs = load_dataset(heard)
    songs.songs[0].give("bpm", 62, "lm")
    save_dataset(songs, heard)
    listened(heard)
    assert samples(heard)[0]["bpm"] == 124 and samples(heard)[0]["sources"]["bpm"] == "analysis"


def test_evidence_that_makes_no_sense_is_found_anew(heard):
    listened(heard)
    value = json.loads(heard.read_text())
    for sample in value["samples"]:
        sample["evidence"]["bpm"] = {"value": "fast", "confidence": 9}
    heard.write_text(json.dumps(value))
    listened(heard)
    assert by_name(heard)["one.wav"]["evidence"]["bpm"]["value"] == 124


def test_lyrics_get_known_marks_and_a_language(heard):
    edited(heard, "1", lyrics="(verse 1)\nthe night is falling on the river\nand we go home")
    listened(heard)
    sample = samples(heard)[0]
    assert sample["lyrics"].startswith("[Verse 1]\nthe night")
    assert (sample["language"], sample["sources"]["language"]) == ("en", "analysis")
    assert sample["sources"]["lyrics"] == "person"


def test_only_sidecars_of_the_named_labels_are_replaced(dataset, tmp_path):
    caption, record = tmp_path / "songs/a.caption.txt", tmp_path / "songs/a.json"
    caption.write_text("in a file")
    record.write_text('{"bpm": 60}')
    edited(dataset, "1", caption="in the dataset", bpm=90)
    said = notices(labelled(dataset, overwrite=["caption"], captioner="none", write_sidecars=True))
    assert "a.json says something else" in said and json.loads(record.read_text()) == {"bpm": 60}
    edited(dataset, "1", caption="mine", bpm=90)
    said = notices(labelled(dataset, overwrite=["genre"], write_sidecars=True))
    assert "a.caption.txt says something else" in said and caption.read_text() == "in a file"


def test_labels_are_written_beside_the_songs(heard, tmp_path):
    listened(heard, write_sidecars=True)
    record = json.loads((tmp_path / "funk/one.json").read_text())
    assert (record["bpm"], record["keyscale"], record["timesignature"]) == (124, "A minor", "4")
    assert "funk" in (tmp_path / "funk/one.caption.txt").read_text()
    before = by_name(heard)["one.wav"]
    list(scan(ScanConfig(songs=tmp_path / "funk", output=heard)))
    assert by_name(heard)["one.wav"]["sources"] == before["sources"]


@pytest.mark.parametrize("flag", ["captioner_model", "lyrics_model"])
def test_a_model_for_nobody_is_a_mistake(dataset, flag):
    with pytest.raises(ConfigError, match="whose model"):
        labelled(dataset, **{flag: "folder"})


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"captioner": "music-lm"}, "music"),
        ({"lyrics": "whisper"}, "whisper"),
        ({"beats": "beat-this", "beats_checkpoint": "no.ckpt"}, "no.ckpt|beat_this"),
    ],
)
def test_a_model_that_is_missing_is_said_before_the_first_song(heard, knobs, words):
    before = heard.read_bytes()
    with pytest.raises(ModelError, match=words) as caught:
        listened(heard, **knobs)
    assert caught.value.hint and heard.read_bytes() == before


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
