import numpy as np
import pytest
import torch

from acestep.errors import RunError
from acestep.events import Finished
from acestep.mini.corpus import STYLES, compose, render
from acestep.mini.train import latents
from acestep.mini.train.latents import (
    LatentsConfig,
    encode_song,
    frozen_vae,
    silence_latents,
    train,
)
from acestep.mini.train.shards import HELD_OUT, load_shard
from acestep.model.vae import encode_tiles
from tests.mini.train.conftest import ENDLESS


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(latents, "SHARD", 2)
    monkeypatch.setattr(latents, "HELD_OUT_SONGS", 1)


def test_a_song_is_encoded_as_the_class_does_it(prepared):
    vae = frozen_vae(prepared)
    encoded = encode_song(vae, 17, 1.2, with_stem=True)
    style = list(STYLES)[17 % len(STYLES)]
    drawn = compose(17, 1.2, style=style).bpm
    assert encoded.song.bpm % 5 == 0 and abs(drawn - encoded.song.bpm) < 3
    audio = render(compose(17, 1.2, style=style, bpm=encoded.song.bpm))
    ((mean, _),) = encode_tiles(vae, audio)
    assert encoded.latents.shape == mean.shape == (30, 64)
    difference = (encoded.latents.float() - mean).square().mean().sqrt()
    assert difference < 0.02 * mean.std()
    assert encoded.stem is not None and encoded.stem.track not in encoded.stem.others
    assert not np.allclose(encoded.stem.alone, encoded.stem.rest)


def test_a_run_goes_on_where_it_was(root, few):
    for file in (root / "latents").iterdir():
        file.unlink()
    config = LatentsConfig(resume=root, songs=4, seconds=1.2)
    assert isinstance(list(train(config, ENDLESS))[-1], Finished)
    first = (root / "latents" / "0001.safetensors").read_bytes()
    (root / "latents" / "0001.json").unlink()
    list(train(config, ENDLESS))
    assert (root / "latents" / "0001.safetensors").read_bytes() == first
    seeds = [each.song.seed for each in load_shard(root / "latents", "0001")]
    assert seeds == [2, 3]
    assert load_shard(root / "latents", HELD_OUT)[0].song.seed == 900_000


def test_silence_is_what_the_encoder_says_of_silence(prepared):
    vae = frozen_vae(prepared)
    ((mean, _),) = encode_tiles(vae, np.zeros((2, 1920 * 90), np.float32))
    found = silence_latents(vae, 90)
    torch.testing.assert_close(found[0], mean, rtol=0, atol=0.02)
    assert torch.equal(found, found.bfloat16().float())


def test_without_a_frozen_encoder_it_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match="vae is missing"):
        frozen_vae(tmp_path)
