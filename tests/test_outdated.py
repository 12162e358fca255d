"""What a folder of tensors lacks, and why: said before anything is encoded."""

import json
from importlib import import_module

import numpy as np
import pytest

from acestep.config import PreprocessConfig, ScanConfig
from acestep.data.audio import write_audio
from acestep.data.song import load_dataset, save_dataset
from acestep.preprocess import preprocess
from acestep.scan import scan

RATE = 48000


@pytest.fixture
def folder(tmp_path):
    """Two songs of a second with captions, preprocessed."""
    for number in (1, 2):
        noise = np.random.default_rng(number).normal(0, 0.1, (2, RATE)).astype(np.float32)
        write_audio(tmp_path / "songs" / f"{number}.wav", noise, RATE)
        (tmp_path / "songs" / f"{number}.caption.txt").write_text("noise")
    list(scan(ScanConfig(songs=tmp_path / "songs", output=tmp_path / "d.json", tag="zz")))
    return tmp_path


def run(folder, **knobs) -> list:
    config = {"dataset": folder / "d.json", "output": folder / "tensors", **knobs}
    return list(preprocess(PreprocessConfig(**config)))


def outlook(folder, **knobs) -> dict[str, tuple[str, str]]:
    facts = run(folder, dry_run=True, **knobs)[-1].facts
    rows = {row["name"]: (row["todo"], row["why"]) for row in facts["outlook"]}
    assert facts["stale"] == sum(todo != "nothing" for todo, _ in rows.values())
    return rows


def test_what_would_be_encoded_is_what_is_encoded(folder):
    assert outlook(folder)["1.wav"] == ("audio and text", "it is new")
    assert not (folder / "tensors").exists()
    facts = run(folder)[-1].facts
    assert facts["audio_encoded"] == 2
    assert set(outlook(folder).values()) == {("nothing", "")}

    dataset = load_dataset(folder / "d.json")
    dataset.songs[0].bpm, dataset.songs[0].caption = 90, "soft noise"
    save_dataset(dataset, folder / "d.json")
    loud = np.random.default_rng(3).normal(0, 0.3, (2, RATE)).astype(np.float32)
    write_audio(folder / "songs" / "2.wav", loud, RATE)
    assert outlook(folder) == {
        "1.wav": ("text", "caption, bpm changed"),
        "2.wav": ("audio and text", "its audio changed"),
    }
    before = {file.name: file.read_bytes() for file in (folder / "tensors").iterdir()}
    assert outlook(folder, seed=1)["1.wav"][1] == "the settings or the model changed"
    assert {file.name: file.read_bytes() for file in (folder / "tensors").iterdir()} == before
    facts = run(folder)[-1].facts
    assert (facts["audio_encoded"], facts["texts_encoded"]) == (1, 2)


def test_a_half_done_sample_needs_its_text_alone(folder, monkeypatch):
    module = import_module("acestep.preprocess")
    monkeypatch.setattr(module, "_text_pass", lambda *_: iter(()))
    monkeypatch.setattr(module, "_write_manifest", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    monkeypatch.undo()
    assert set(outlook(folder).values()) == {("text", "its text is not encoded yet")}


def _interrupted(*_) -> None:
    raise KeyboardInterrupt


def test_a_song_without_words_is_left_out(folder):
    values = json.loads((folder / "d.json").read_text())
    values["activation_tag"] = ""
    values["samples"][0]["caption"] = ""
    (folder / "d.json").write_text(json.dumps(values))
    assert list(outlook(folder)) == ["2.wav"]
