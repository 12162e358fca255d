"""Render the corpus and encode it with the frozen autoencoder, shard after shard.

Seeds and styles decide everything, so a stopped run goes on with the first shard that is missing,
and two runs give the same files. One song in eight also gives a stem and the mix without it.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.config import knob
from acestep.errors import RunError
from acestep.events import Event, Finished, Progress, Saved, Started, Stopped
from acestep.mini.corpus import STYLES, VALIDATION, compose_round, render, render_parts
from acestep.mini.train.config import StageConfig
from acestep.mini.train.shards import (
    HELD_OUT,
    Encoded,
    Stem,
    labels_only,
    save_shard,
    shard_names,
)
from acestep.mini.train.vae import load_vae_folder
from acestep.mini.train.vae_forward import encode
from acestep.mini.train.vae_shapes import HOP
from acestep.model.device import choose_device
from acestep.training.stopping import stop_signals

SHARD = 60  # songs
HELD_OUT_SONGS = 24
STEMS = 8  # one song in so many gives a stem
SILENT_FRAMES, SILENCE_EDGE = 15_000, 32


class LatentsConfig(StageConfig):
    """Render songs and encode them."""

    songs: int = knob(1500, "Songs to encode, in shards of 60.", ge=1)
    seconds: float = knob(16.0, "Length of a song.", gt=1)


def train(config: LatentsConfig, begun: float) -> Iterator[Event]:
    """Encode what is missing until the time is up or a signal comes."""
    torch.set_num_threads(config.threads)
    folder = config.resume / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    total = -(-config.songs // SHARD)
    vae = frozen_vae(config.resume).to(choose_device(config.device))
    yield Started("latents", {"shards": total, "there": len(shard_names(folder))})
    with stop_signals() as stop:
        for number in range(-1, total):
            name = HELD_OUT if number < 0 else f"{number:04d}"
            if (folder / f"{name}.json").exists():
                continue
            if stop.requested or time.monotonic() - begun > 60 * config.minutes:
                break
            save_shard(folder, name, list(_songs(vae, number, config.seconds)))
            yield Progress("latents", number + 1, total, name)
            yield Saved("latents", str(folder / f"{name}.safetensors"))
    if stop.requested:
        yield Stopped("latents", str(folder), f"--stage latents --resume {config.resume}")
    else:
        yield Finished("latents", str(folder), {"shards": len(shard_names(folder))})


def frozen_vae(root: Path) -> Any:
    """The autoencoder with its encoder frozen. Raises ``RunError`` where there is none yet."""
    folder = root / "vae"
    if not folder.exists():
        raise RunError(f"{folder} is missing", hint="train --stage vae, then --stage decoder")
    return load_vae_folder(folder).eval().requires_grad_(False)


def encode_song(vae: Any, seed: int, seconds: float, *, with_stem: bool = False) -> Encoded:
    """Compose, render and encode one song; the style is its seed's turn, the tempo a round one."""
    style = list(STYLES)[seed % len(STYLES)]
    song = compose_round(seed, seconds, style)
    if not with_stem:
        return Encoded(labels_only(song), _latents(vae, [render(song)])[0])
    parts = render_parts(song)
    track = list(parts)[int(np.random.default_rng(seed).integers(len(parts)))]
    mix = np.sum(list(parts.values()), axis=0)
    whole, alone, rest = _latents(vae, [mix, parts[track], mix - parts[track]])
    others = tuple(name for name in parts if name != track)
    return Encoded(labels_only(song), whole, Stem(track, others, alone, rest))


@torch.no_grad()
def silence_latents(vae: Any, frames: int = SILENT_FRAMES) -> Tensor:
    """Latents of silence ``[1, frames, C]`` in bfloat16's values: the same frame between edges."""
    weight = next(vae.parameters())
    edge = SILENCE_EDGE
    short = encode(vae, torch.zeros(1, 2, 2 * edge * HOP, device=weight.device))
    middle = short[:, edge : edge + 1].expand(-1, frames - 2 * edge, -1)
    return torch.cat([short[:, :edge], middle, short[:, edge:]], dim=1).bfloat16().float().cpu()


def _songs(vae: Any, shard: int, seconds: float) -> Iterator[Encoded]:
    if shard < 0:
        for number in range(HELD_OUT_SONGS):
            yield encode_song(vae, VALIDATION + number, seconds)
        return
    for seed in range(SHARD * shard, SHARD * (shard + 1)):
        yield encode_song(vae, seed, seconds, with_stem=seed // len(STYLES) % STEMS == 0)


@torch.no_grad()
def _latents(vae: Any, sounds: list[np.ndarray]) -> list[Tensor]:
    weight = next(vae.parameters())
    found = []
    for sound in sounds:
        audio = torch.from_numpy(sound[:, : sound.shape[1] // HOP * HOP])[None]
        found.append(encode(vae, audio.to(weight.device), torch.bfloat16)[0].half().cpu())
    return found
