"""Whisper through a stand-in with the interface of faster_whisper.WhisperModel."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from acestep.errors import LabelError, ModelError
from acestep.labellers.whisper import Whisper, load_whisper


def segment(text, start=0.0, end=1.0, no_speech_prob=0.1, compression_ratio=1.2):
    return SimpleNamespace(
        text=text, start=start, end=end, no_speech_prob=no_speech_prob,
        compression_ratio=compression_ratio, avg_logprob=-0.3,
    )  # fmt: skip


class Model:
    def __init__(self, segments=(), language="en", probability=0.93):
        self.segments, self.given = segments, None
        self.info = SimpleNamespace(language=language, language_probability=probability)

    def transcribe(self, audio, **settings):
        self.given = (audio, settings)
        return iter(self.segments), self.info


def sound(seconds=1.0):
    time = np.arange(int(seconds * 48_000)) / 48_000
    tone = np.sin(2 * np.pi * 440 * time)
    return np.stack([tone, tone * 0]).astype(np.float32)


def test_segments_become_lines():
    model = Model([
        segment(" Hello ", 0, 2), segment("world", 2.5, 4), segment(" again\x00", 9, 10),
    ])  # fmt: skip
    described = Whisper(model).transcribe(sound())
    assert described.lyrics == "Hello\nworld\n\nagain"
    assert (described.language, described.certainty) == ("en", 0.93)
    assert described.instrumental is False and described.notes == ()


def test_it_is_given_mono_at_16_khz():
    model = Model()
    Whisper(model).transcribe(sound(2.0))
    audio, settings = model.given
    assert audio.shape == (32_000,) and audio.dtype == np.float32
    peak = np.abs(np.fft.rfft(audio)).argmax() / 2.0
    assert peak == 440 and abs(np.abs(audio[8000:-8000]).max() - 0.5) < 0.01
    assert settings["condition_on_previous_text"] is False and settings["vad_filter"] is False


def test_what_it_doubts_itself_is_left_out():
    model = Model([
        segment("Thanks for watching!", no_speech_prob=0.9),
        segment("la la la la la la la la", compression_ratio=3.1),
        segment("   "),
        segment("real words"),
    ])  # fmt: skip
    described = Whisper(model).transcribe(sound())
    assert described.lyrics == "real words"
    assert described.notes == ("3 of 4 segments that Whisper wrote were left out: noise",)


def test_nothing_sung_is_an_instrumental():
    described = Whisper(Model([segment("you", no_speech_prob=0.8)])).transcribe(sound())
    assert (described.lyrics, described.language) == ("[Instrumental]", "unknown")
    assert described.instrumental is True and described.certainty is None


def test_languages_are_the_base_models():
    words = [segment("words")]
    assert Whisper(Model(words, "nn")).transcribe(sound()).language == "no"
    unknown = Whisper(Model(words, "haw")).transcribe(sound())
    assert unknown.language == "unknown" and "'haw'" in unknown.notes[0]


@pytest.mark.parametrize("audio", [np.zeros((2, 0)), np.full((2, 100), np.nan)])
def test_audio_that_is_none(audio):
    with pytest.raises(LabelError, match="no audio"):
        Whisper(Model()).transcribe(audio.astype(np.float32))


def test_its_own_errors_become_ours():
    def fails():
        raise RuntimeError("CUDA failed")
        yield

    with pytest.raises(LabelError, match="CUDA failed"):
        Whisper(Model(fails())).transcribe(sound())


def installed(monkeypatch, model):
    module = ModuleType("faster_whisper")
    module.WhisperModel = model
    monkeypatch.setitem(sys.modules, "faster_whisper", module)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ModelError, match="not installed") as caught:
        load_whisper()
    assert "pip install faster-whisper" in caught.value.hint


def test_a_folder_is_loaded_and_nothing_else(monkeypatch, tmp_path):
    given = {}
    installed(monkeypatch, lambda folder, **settings: given.update(settings, folder=folder))
    folder = tmp_path / "faster-whisper-small"
    folder.mkdir()
    for name in ("config.json", "model.bin"):
        (folder / name).write_bytes(b"{}")
    with pytest.raises(ModelError, match="tokenizer.json is missing"):
        load_whisper(str(folder), device="cpu")
    (folder / "tokenizer.json").write_bytes(b"{}")
    monkeypatch.setenv("ACESTEP_MODELS", str(tmp_path))
    assert load_whisper(device="cpu").name == "whisper"
    assert given == {
        "folder": str(folder), "device": "cpu", "device_index": 0, "compute_type": "int8",
        "local_files_only": True,
    }  # fmt: skip


def test_a_missing_or_damaged_model(monkeypatch, tmp_path):
    def refuses(folder, **settings):
        raise RuntimeError("Unsupported model binary version")

    installed(monkeypatch, refuses)
    monkeypatch.delenv("ACESTEP_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="not on this machine") as caught:
        load_whisper("faster-whisper-small")
    assert "Systran/faster-whisper-small" in caught.value.hint and "0.5 GB" in caught.value.hint
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ModelError, match="Unsupported model binary"):
        load_whisper(str(tmp_path), device="cpu")
