"""The music language model end to end, on a tiny random Qwen3 with the published vocabulary."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from language_models import save_music_lm

from acestep.errors import LabelError, ModelError
from acestep.labellers import lm_grammar, music_lm
from acestep.labellers.audio_codes import audio_codes
from acestep.labellers.lm_answer import FIELDS, parse_answer
from acestep.labellers.lm_prompt import CODES
from acestep.labellers.music_lm import MusicLM, load_music_lm
from acestep.model.find import find_model
from acestep.model.parts import Parts

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def base():
    """A tiny base model in the published layout."""
    return find_model(str(GOLDEN / "upstream_tiny" / "acestep-v15-turbo"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_music_lm(tmp_path_factory.mktemp("models") / "acestep-5Hz-lm-0.6B")


@pytest.fixture(autouse=True)
def short_answers(monkeypatch, folder):
    """Answers of a random model end where they must: their limits are set low here."""
    monkeypatch.setattr(lm_grammar, "CAPTION_TOKENS", 8)
    monkeypatch.setattr(lm_grammar, "GENRE_TOKENS", 4)
    monkeypatch.setattr(music_lm, "MOST_LYRICS_TOKENS", 8)
    monkeypatch.setenv("ACESTEP_MODELS", str(folder.parent))


@pytest.fixture(scope="module")
def loaded(folder, base):
    """Found by itself in the folder of models."""
    with pytest.MonkeyPatch.context() as around:
        around.setenv("ACESTEP_MODELS", str(folder.parent))
        return load_music_lm(model=base, device="cpu", seed=3)


def song(seconds=3.0):
    noise = np.random.default_rng(0).standard_normal((2, int(seconds * 48_000)))
    return (0.1 * noise).astype(np.float32)


def again(loaded, **settings):
    """The same model with another ``seed``, ``temperature`` or ``room``."""
    other = copy.copy(loaded)
    vars(other).update({f"_{name}": value for name, value in settings.items()})
    return other


def test_from_audio_to_labels(folder, loaded):
    described = loaded.describe(song(), 3.0)
    assert any(map(str.isalpha, described.caption)) and described.genre
    assert 30 <= described.bpm <= 300 and described.timesignature in ("2", "3", "4", "6")
    assert described.keyscale.split()[1] in ("major", "minor") and described.lyrics
    assert described.notes == ()
    assert loaded.name == "music-lm"
    words = loaded.transcribe(song())
    assert (words.lyrics, words.language) == (described.lyrics, described.language)
    assert words.caption is None and words.bpm is None


@pytest.mark.parametrize("temperature", [0, 0.1, 5.0])
def test_any_answer_can_be_read(loaded, temperature):
    answer = again(loaded, temperature=temperature).answer([0, 18953, CODES - 1])
    assert tuple(parse_answer(answer)[0]) == FIELDS


def test_the_seed_decides_what_is_drawn(loaded):
    first, same, other = (
        again(loaded, seed=seed, temperature=1.0).answer([1, 2]) for seed in (1, 1, 2)
    )
    assert first == same != other


def test_the_randomness_around_is_left_alone(loaded):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    loaded.answer([1])
    assert torch.equal(torch.rand(1), expected)


def test_the_model_is_asked_about_the_codes_of_the_song(loaded, base, monkeypatch):
    asked = []
    monkeypatch.setattr(loaded, "answer", lambda codes: asked.append(codes) or "<think>\n</think>")
    with pytest.raises(LabelError, match="gave no caption; it said '<think>"):
        loaded.describe(song(), 3.0)
    with pytest.raises(LabelError, match="gave no lyrics"):
        loaded.transcribe(song())
    parts = Parts(base, torch.device("cpu"), torch.float32)
    assert asked == [audio_codes(parts, song(), 3)] * 2 and len(asked[0]) == 15


def test_codes_of_the_packaged_model_can_be_asked_about_but_mean_nothing(loaded):
    mini = find_model("mini")
    parts = Parts(mini, torch.device("cpu"), torch.float32)
    assert again(loaded, parts=parts).describe(song(), 3.0).caption
    with pytest.raises(ModelError, match="those of the model 'mini' are others") as caught:
        load_music_lm(model=mini)
    assert "--model acestep-v15-turbo" in caught.value.hint


def test_a_song_that_does_not_fit_is_cut_and_it_is_said(loaded, monkeypatch):
    assert 2400 < loaded._room < 3300  # of 4096, less the longest answer's head and its lyrics
    short = again(loaded, room=10)
    asked = []
    monkeypatch.setattr(
        short, "answer", lambda codes: asked.append(codes) or "<think>\ncaption: a\n</think>"
    )
    described = short.describe(song(), 3.0)
    assert len(asked[0]) == 10
    assert described.notes[0].startswith("the music language model heard the first 2 of 3 s")
    monkeypatch.setattr(music_lm, "CONTEXT", 700)
    with pytest.raises(ModelError, match="700 tokens leaves no room"):
        MusicLM(loaded._tokenizer, loaded._network, loaded._parts)


def test_silence_is_not_described(loaded):
    with pytest.raises(LabelError, match="silent"):
        loaded.describe(np.zeros((2, 48_000), np.float32), 1.0)


def test_a_model_that_is_not_there_says_what_to_download(base):
    with pytest.raises(ModelError, match="'acestep-5Hz-lm-4B' is not on this machine") as caught:
        load_music_lm("acestep-5Hz-lm-4B", model=base)
    assert "ACE-Step/acestep-5Hz-lm-4B" in caught.value.hint and "8.4 GB" in caught.value.hint


def broken(folder, tmp_path, name, change):
    damaged = tmp_path / "broken"
    shutil.copytree(folder, damaged)
    change(damaged / name)
    return str(damaged)


def edit_config(**values):
    def change(file):
        config = json.loads(file.read_text(encoding="utf-8")) | values
        file.write_text(json.dumps(config), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", edit_config(model_type="llama"), "holds a 'llama' model"),
        ("config.json", edit_config(num_hidden_layers=3, layer_types=None), "is missing"),
        ("config.json", edit_config(num_hidden_layers=3), "cannot be read"),
        ("config.json", edit_config(hidden_size=32), "cannot be read"),
        ("config.json", lambda file: file.unlink(), "config.json is missing"),
        ("tokenizer.json", lambda file: file.write_text("{}"), "no byte-pair tokenizer"),
        ("tokenizer.json", lambda file: file.unlink(), "tokenizer.json is missing"),
        ("model.safetensors", lambda file: file.write_bytes(b""), "not a safetensors file"),
        ("model.safetensors", lambda file: file.unlink(), "model.safetensors is missing"),
    ],
)
def test_a_damaged_folder_is_named(folder, base, tmp_path, name, change, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_music_lm(broken(folder, tmp_path, name, change), model=base)
    assert "broken" in str(caught.value)
