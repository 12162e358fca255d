import json
import shutil

import numpy as np
import pytest
from check_sounds import music, write, write_mp3

from acestep import events
from acestep.check import check
from acestep.cli import main
from acestep.config import CheckConfig
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.errors import AceStepError, DatasetError

SECONDS = 15.0


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A clean song, its MP3, one that is clipped and loud, and one that is no audio."""
    folder = tmp_path_factory.mktemp("songs")
    write(folder / "clean.wav", 0.3 * music(SECONDS, 0))
    write_mp3(folder / "copy.mp3", 0.3 * music(SECONDS, 0))
    write(folder / "loud.flac", np.clip(4 * music(SECONDS, 1), -1, 1), subtype="PCM_16")
    (folder / "broken.wav").write_bytes(b"no audio")
    return folder


@pytest.fixture
def dataset(songs, tmp_path):
    shutil.copytree(songs, tmp_path / "songs")
    labels = {"bpm": 120, "keyscale": "C major", "timesignature": "4", "instrumental": True}
    names = ("clean.wav", "copy.mp3", "loud.flac", "broken.wav")
    made = Dataset(name="set", tag="myjazz")
    made.songs = [Song(f"songs/{name}", name, f"a song, {name}", **labels) for name in names]
    save_dataset(made, tmp_path / "dataset.json")
    return tmp_path / "dataset.json"


def checked(dataset, **knobs):
    return list(check(CheckConfig(dataset=dataset, **knobs)))


def of(said, kind):
    return [event for event in said if isinstance(event, kind)]


def test_a_dataset_is_heard_song_by_song_and_all_is_reported(dataset, tmp_path):
    before = dataset.read_bytes()
    said = checked(dataset, output=tmp_path / "check.json", html=tmp_path / "check.html")
    assert dataset.read_bytes() == before
    progress = [(event.done, event.total) for event in of(said, events.Progress)]
    assert progress == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    (skipped,) = of(said, events.Skipped)
    assert skipped.what == "broken.wav" and skipped.hint
    value = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    kinds = {(finding["song"], finding["code"]) for finding in value["findings"]}
    assert kinds >= {
        ("broken.wav", "unreadable"), ("copy.mp3", "lossy"), ("copy.mp3", "duplicate"),
        ("loud.flac", "clipped"), ("loud.flac", "loudness"), ("clean.wav", "short-song"),
        (None, "few-songs"),
    }  # fmt: skip
    assert {code for song, code in kinds if song == "clean.wav"} == {"short-song"}
    (text,) = of(said, events.Text)
    assert f"score {value['score']} of 100" in text.text and "loud.flac" in text.text
    assert "<svg" in (tmp_path / "check.html").read_text(encoding="utf-8")
    assert [event.what for event in of(said, events.Saved)] == ["report", "page"]
    finished = said[-1]
    assert finished.path == str(tmp_path / "check.html")
    assert finished.facts["score"] == value["score"] and finished.facts["errors"] >= 1


def test_labels_alone_need_no_audio(dataset):
    shutil.rmtree(dataset.parent / "songs")
    said = checked(dataset, labels_only=True)
    assert not of(said, events.Progress) and not of(said, events.Skipped)
    assert said[-1].facts["errors"] == 0 and said[-1].path == ""


def test_tokens_are_those_of_the_model(dataset):
    data = load_dataset(dataset)
    data.songs[0].caption = "warm analogue strings " * 100
    save_dataset(data, dataset)
    (text,) = of(checked(dataset, labels_only=True), events.Text)
    assert "long-caption" in text.text and "tokens of 256" in text.text


def test_findings_fail_only_where_that_is_wanted(dataset, capsys):
    assert main(["check", str(dataset), "--labels-only", "--strict"]) == 0
    assert main(["check", str(dataset)]) == 0
    assert main(["check", str(dataset), "--strict"]) == 1
    shown = capsys.readouterr()
    assert "unreadable" in shown.out and "errors in" in shown.err
    with pytest.raises(AceStepError, match="dataset.json"):
        checked(dataset, strict=True)


def test_variants_are_no_copies(dataset):
    data = load_dataset(dataset)
    data.songs[1].extra["variant"] = {"of": data.songs[0].id}
    save_dataset(data, dataset)
    (text,) = of(checked(dataset), events.Text)
    assert "duplicate" not in text.text and "lossy" in text.text


def test_a_report_that_cannot_be_written(dataset, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DatasetError, match="cannot be written"):
        checked(dataset, labels_only=True, output=tmp_path / "file" / "x.json")


@pytest.mark.parametrize("kind", ["output", "html"])
def test_a_report_that_cannot_be_written_is_called_by_its_own_name(dataset, tmp_path, kind):
    (tmp_path / "reports").mkdir()
    with pytest.raises(DatasetError, match=r"reports cannot be written"):
        checked(dataset, labels_only=True, **{kind: tmp_path / "reports"})


def test_a_dataset_without_songs(tmp_path):
    save_dataset(Dataset(name="none"), tmp_path / "d.json")
    assert checked(tmp_path / "d.json")[-1].facts["errors"] == 1
    with pytest.raises(DatasetError, match="does not exist"):
        checked(tmp_path / "gone.json")
