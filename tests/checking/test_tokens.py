import pytest

from acestep.checking.tokens import token_counter
from acestep.data.song import Dataset, Song
from acestep.errors import ModelError
from acestep.model.base import find_model, load_tokenizer
from acestep.model.prompt import build_prompt


def test_as_many_tokens_as_the_prompt_has_and_more_where_it_is_cut():
    song = Song("a.wav", caption="slow jazz", lyrics="[Verse]\nla la", language="en")
    endless = Song("b.wav", caption="slow jazz", lyrics="over the river " * 2000)
    dataset = Dataset(songs=[song, endless])
    count = token_counter(dataset, None)
    prompt = build_prompt(dataset.prompt_labels(song), load_tokenizer(find_model(None)))
    assert count(song) == (len(prompt.caption_ids), len(prompt.lyrics_ids))
    assert count(endless)[1] > 6000


def test_a_model_that_is_not_there():
    with pytest.raises(ModelError, match="nowhere"):
        token_counter(Dataset(), "nowhere/at/all")
