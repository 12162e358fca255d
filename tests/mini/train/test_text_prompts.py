import numpy as np
import pytest

from acestep.data.labels import normalize_key
from acestep.mini.corpus import compose, describe
from acestep.mini.train.text_prompts import Tokens, song_labels, song_prompt
from acestep.mini.train.text_tokens import open_tokenizer
from acestep.model.prompt import build_prompt


def test_the_fast_tokens_are_the_tokenizers(prepared):
    tokenizer = open_tokenizer(prepared / "text")
    labels = song_labels(compose(3, 10.0, style="ballad"), np.random.default_rng(1))
    assert song_prompt(labels, Tokens(tokenizer)) == build_prompt(labels, tokenizer)


def test_without_chance_the_labels_are_the_songs():
    song = compose(8, 16.0, style="ballad")
    labels = song_labels(song, frames=128)
    assert (labels.caption, labels.bpm, labels.keyscale) == (song.caption, song.bpm, song.keyscale)
    assert labels.seconds == pytest.approx(5.12)


def test_all_that_chance_says_is_true():
    song = compose(4, 16.0, style="folk", keyscale="C# minor", bpm=97)
    rng = np.random.default_rng(0)
    drawn = [song_labels(song, rng) for _ in range(200)]
    assert {labels.keyscale for labels in drawn} == {"C# minor", "Db minor", None}
    assert {labels.bpm for labels in drawn} == {97, None}
    assert {labels.timesignature for labels in drawn} == {song.timesignature, None}
    assert all(normalize_key(each.keyscale) == each.keyscale for each in drawn if each.keyscale)
    assert len({labels.caption for labels in drawn}) > 20
    told = {song_labels(song, rng, slack=2).bpm for _ in range(200)}
    assert told == {95, 96, 97, 98, 99, None}


def test_a_base_meets_prompts_of_nothing_but_a_word_it_does_not_know():
    song = compose(4, 16.0, style="folk", keyscale="C# minor", bpm=97)
    rng = np.random.default_rng(0)
    drawn = [song_labels(song, rng) for _ in range(1000)]
    metas = [(each.bpm, each.keyscale, each.timesignature) for each in drawn]
    assert 100 < metas.count((None, None, None)) < 220
    known = {word.strip(",.") for _ in range(300) for word in describe(song, rng).split()}
    strange = [each for each in drawn if each.caption.split()[0].strip(",.") not in known]
    alone = [each for each in strange if len(each.caption.split()) == 1]
    assert 90 < len(strange) < 210
    assert 40 < len(alone) < 120
    assert any((each.bpm, each.keyscale) == (None, None) for each in alone)
