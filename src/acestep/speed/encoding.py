"""How songs are encoded on a device: how many tiles at once, and how many processes read ahead."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from acestep.data.readahead import free_cores
from acestep.model.vae import encoder_reach
from acestep.speed.pace import Choice

MOST_TILES = 8  # more fill no card better than these
LIVE = 5  # copies of the widest layer that are in memory at once
SHARE = 0.5  # of a card's free memory


def tiles_at_once(
    config: Mapping[str, Any], device: torch.device, dtype: torch.dtype, tile_seconds: float
) -> Choice:
    """How many tiles of a song go through the encoder together, and why.

    ``config`` is the autoencoder's. A CPU is full with one tile; a card takes what fits into
    half of its free memory.
    """
    if device.type != "cuda":
        return Choice(1, f"one fills a {device.type}" if device.type == "cpu" else "not measured")
    free, _ = torch.cuda.mem_get_info(device)
    need = tile_bytes(config, dtype, tile_seconds)
    count = max(1, min(MOST_TILES, int(SHARE * free // need)))
    return Choice(count, f"of {need / 2**30:.1f} GiB each, {free / 2**30:.0f} GiB are free")


def tile_bytes(config: Mapping[str, Any], dtype: torch.dtype, tile_seconds: float) -> int:
    """What encoding one tile takes: the widest of its layers, as often as it is there at once."""
    ratios = config["downsampling_ratios"]
    widths = [config["encoder_hidden_size"] * each for each in (1, *config["channel_multiples"])]
    widest = max(
        width / math.prod(ratios[:level]) for level, width in enumerate(widths[: len(ratios) + 1])
    )
    hop = math.prod(ratios)
    samples = tile_seconds * config["sampling_rate"] + sum(encoder_reach(config)) * hop
    return int(LIVE * widest * samples * dtype.itemsize)


def readers(workers: int | None, device: torch.device) -> Choice:
    """How many processes decode audio ahead of the device, and why."""
    if workers is not None:
        return Choice(workers, "as --workers says")
    if device.type == "cpu":
        return Choice(0, "encoding takes all of a CPU; reading is a small part of it")
    return Choice(free_cores(), f"cores left beside the {device.type}")
