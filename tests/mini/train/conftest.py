"""A training folder as the stages before the diffusion leave it, made of next to nothing."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from acestep.mini.corpus import STYLES, compose
from acestep.mini.train.shapes import build_codes, build_text_encoder
from acestep.mini.train.shards import HELD_OUT, Encoded, Stem, labels_only, save_shard
from acestep.mini.train.text_tokens import train_tokenizer
from acestep.mini.train.vae import save_vae
from acestep.mini.train.vae_shapes import build_vae

FRAMES = 400
ENDLESS = 1e12  # a run that begins in the future has not used up its minutes


def random_song(seed: int, *, with_stem: bool = False) -> Encoded:
    """Labels of a song that was composed, and latents that have nothing to do with it."""
    generator = torch.Generator().manual_seed(seed)
    song = compose(seed, FRAMES / 25, style=list(STYLES)[seed % len(STYLES)])
    latents = torch.randn(3, FRAMES, 64, generator=generator).half()
    stem = Stem("bass", ("drums", "synth"), latents[1], latents[2]) if with_stem else None
    return Encoded(labels_only(song), latents[0], stem)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    train_tokenizer(root / "text", songs=80)
    save_file(dict(build_text_encoder().state_dict()), root / "text" / "encoder.safetensors")
    (root / "vae").mkdir()
    save_vae(build_vae(), root / "vae")
    (root / "codes").mkdir()
    stored = {}
    for name, module in zip(("tokenizer", "detokenizer"), build_codes(), strict=True):
        stored |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    save_file(stored, root / "codes" / "codes.safetensors")
    save_shard(root / "latents", "0000", [random_song(n, with_stem=n % 2 == 0) for n in range(4)])
    save_shard(root / "latents", HELD_OUT, [random_song(900_000 + n) for n in range(2)])
    return root


@pytest.fixture
def root(prepared, tmp_path) -> Path:
    """A copy of the folder, to train in."""
    return Path(shutil.copytree(prepared, tmp_path / "mini"))
