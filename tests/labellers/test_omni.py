"""Captioner and transcriber: a tiny random Qwen2.5-Omni, and answers as the cards have them."""

import numpy as np
import pytest
from language_models import save_omni

from acestep.errors import LabelError, ModelError
from acestep.labellers import omni
from acestep.labellers.omni import (
    OmniCaptioner,
    OmniTranscriber,
    load_captioner,
    load_transcriber,
    read_transcript,
)

CARD = """# Languages
en

# Lyrics
[Intro - Acoustic Guitar]

[Verse 1]
Walking down the empty street tonight
Stars are shining oh so bright

[Chorus]
This is where we belong"""


class Says:
    """What stands in for the network: it says one thing, and remembers what it was asked."""

    def __init__(self, text, notes=()):
        self.text, self.notes, self.asked = text, list(notes), []

    def answer(self, audio, task):
        self.asked.append((audio.shape, task))
        return self.text, list(self.notes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_omni(tmp_path_factory.mktemp("models") / "acestep-captioner")


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    monkeypatch.setattr(omni, "ANSWER_TOKENS", 12)
    monkeypatch.delenv("ACESTEP_MODELS", raising=False)


def sound(seconds):
    return np.full((2, int(seconds * 48_000)), 0.1, np.float32)


def test_a_real_network_of_its_kind_answers(folder):
    captioner = load_captioner(str(folder), device="cpu")
    heard = []
    network = captioner._omni._network
    network.model.audio_tower.register_forward_hook(
        lambda module, given, kwargs, out: heard.append(out.last_hidden_state.shape[0]),
        with_kwargs=True,
    )
    text, notes = captioner._omni.answer(sound(2), "hear")
    assert heard == [50] and text  # two seconds are fifty places for audio
    assert notes == ["the answer was cut at 12 tokens"]
    assert captioner._omni.answer(sound(2), "hear") == (text, notes)
    _, notes = captioner._omni.answer(sound(301), "hear")
    assert notes[0] == "the model heard the first 300 of 301 s"
    with pytest.raises(LabelError, match="too short"):
        captioner._omni.answer(sound(0.1), "hear")
    with pytest.raises(LabelError, match="no numbers"):
        captioner._omni.answer(sound(1) * np.nan, "hear")


def test_the_question_is_that_of_the_card(folder):
    ids = load_captioner(str(folder), device="cpu")._omni
    text = ids._tokenizer.decode(ids._question(omni.DESCRIBE, 2)[0])
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|audio_bos|><|AUDIO|><|AUDIO|><|audio_eos|>"
        "*Task* Describe this audio in detail<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_captioner_writes_a_caption():
    model = Says(" A warm\n\n**folk** song.\x00 ", ["it was cut"])
    described = OmniCaptioner(model).describe(sound(1), 1.0)
    assert described.caption == "A warm **folk** song." and described.notes == ("it was cut",)
    assert model.asked == [((2, 48_000), "*Task* Describe this audio in detail")]
    for nothing in ("", " \n", "...", "\x00"):
        with pytest.raises(LabelError, match="gave no caption; it said"):
            OmniCaptioner(Says(nothing)).describe(sound(1), 1.0)


def test_the_transcriber_writes_lyrics_with_their_language():
    model = Says(CARD)
    described = OmniTranscriber(model).transcribe(sound(1))
    assert described.language == "en" and described.instrumental is False
    assert described.lyrics == CARD.split("# Lyrics\n")[1]
    assert model.asked[0][1] == "*Task* Transcribe this audio in detail"


@pytest.mark.parametrize(
    ("text", "language", "lyrics"),
    [
        ("# Language: \nKO\n# Lyric\n[Verse]\n사랑해", "ko", "[Verse]\n사랑해"),
        ("# Lyrics\nla la", None, "la la"),
        ("# Languages\nzh-yue\n## Lyrics\n月光", "yue", "月光"),
        ("# Languages\nxx\n# Lyrics\nla la", "unknown", "la la"),
        ("# Languages\nen\n# Lyrics\n[Intro]\n[Instrumental]", "unknown", "[Instrumental]"),
        ("# Languages\nen\n# Lyrics\n", "unknown", "[Instrumental]"),
    ],
)
def test_transcripts(text, language, lyrics):
    described = read_transcript(text, [])
    assert (described.language, described.lyrics) == (language, lyrics)


def test_of_several_languages_the_first_stands():
    described = read_transcript("# Languages\nko, en\n# Lyrics\n사랑 love", ["before"])
    assert described.language == "ko"
    assert described.notes == ("before", "the lyrics are in ko, en; ko stands for them")


@pytest.mark.parametrize("text", ["", "I hear a song about love.", "# Languages\nen", "\x00"])
def test_what_is_no_transcript_is_refused_by_its_words(text):
    with pytest.raises(LabelError) as caught:
        read_transcript(text, [])
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("load", [load_captioner, load_transcriber])
def test_a_missing_model_says_what_to_download(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="is not on this machine") as caught:
        load()
    assert "huggingface.co/ACE-Step/acestep-" in caught.value.hint
    assert "22 GB" in caught.value.hint and "ACESTEP_MODELS" in caught.value.hint
    with pytest.raises(ModelError, match="is not on this machine"):
        load("no-such-folder")


def test_another_model_is_refused(tmp_path):
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        (tmp_path / name).write_text('{"model_type": "qwen3"}', encoding="utf-8")
    with pytest.raises(ModelError, match="holds a 'qwen3' model, not the captioner"):
        load_captioner(str(tmp_path))
