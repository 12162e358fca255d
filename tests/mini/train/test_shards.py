import pytest
import torch

from acestep.errors import TensorError
from acestep.mini.train.shards import load_shard, save_shard, shard_names
from tests.mini.train.conftest import random_song


def test_a_shard_comes_back_as_it_was(tmp_path):
    songs = [random_song(1), random_song(2, with_stem=True)]
    save_shard(tmp_path, "0003", songs)
    assert shard_names(tmp_path) == ["0003"]
    loaded = load_shard(tmp_path, "0003")
    for one, other in zip(songs, loaded, strict=True):
        assert one.song == other.song
        assert torch.equal(one.latents, other.latents)
    assert loaded[0].stem is None
    assert loaded[1].stem.track == "bass"
    assert torch.equal(loaded[1].stem.rest, songs[1].stem.rest)


def test_a_damaged_shard_is_named(tmp_path):
    save_shard(tmp_path, "0000", [random_song(1)])
    (tmp_path / "0000.safetensors").write_bytes(b"nothing")
    with pytest.raises(TensorError, match="0000.safetensors is damaged"):
        load_shard(tmp_path, "0000")
