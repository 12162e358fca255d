"""The audio encoder against ``AutoencoderOobleck.encode`` as it comes, and how fast files are read.

Both sides have the same weights and the same audio, in one process and in turn. *plain* is the
class as diffusers loads it, in one pass; *ours* is what ``acestep preprocess`` calls, tiles and
copies included. ``off`` is the distance from plain float32, root mean square.
"""

import gc
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderOobleck
from torch import nn

from acestep.data.audio import RATE
from acestep.data.readahead import Cut, ReadAhead, free_cores
from acestep.model.base import find_model
from acestep.model.load import drop_idle_modules, fold_weight_norm
from acestep.model.vae import encode_tiles
from acestep.speed.convolutions import fast_convolutions
from acestep.speed.encoding import tiles_at_once

# The autoencoder of every published checkpoint
PUBLISHED = {
    "encoder_hidden_size": 128,
    "decoder_channels": 128,
    "downsampling_ratios": [2, 4, 4, 6, 10],
    "channel_multiples": [1, 2, 4, 8, 16],
    "sampling_rate": 48000,
}
SHAPES = ("published", "mini")
PRECISIONS = (torch.float32, torch.bfloat16)
TILE_SECONDS = 30.0


def encoder_rates(device: torch.device, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """One row for each shape and precision: seconds of audio a second, plain and ours."""
    return [row for shape in SHAPES for row in _shape_rates(shape, device, seconds, rounds)]


def reading_rates(files: list[Path], rounds: int) -> dict[str, float]:
    """Seconds of audio decoded and resampled a second, here and by other processes."""
    workers = max(1, free_cores())
    with ReadAhead(0) as here, ReadAhead(workers) as there:
        sides = {
            "in this process": lambda: _read(here, files),
            f"by {workers} others": lambda: _read(there, files),
        }
        total = [read() for read in sides.values()][0] / RATE  # processes are started by it
        times = _in_turn(sides, rounds)
    return {name: round(total / times[name], 1) for name in sides}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(row[k]) for k in head) + " |" for row in rows])


def _shape_rates(
    shape: str, device: torch.device, seconds: float, rounds: int
) -> list[dict[str, Any]]:
    audio = np.random.default_rng(0).normal(0, 0.1, (2, round(seconds * RATE))).astype(np.float32)
    signal = torch.from_numpy(audio)[None]
    sides: dict[str, Callable[[], Any]] = {}
    heard: dict[str, torch.Tensor] = {}
    for dtype in PRECISIONS:
        plain = nn.Module.to(_plain(shape), device=device, dtype=dtype)
        ours = _ours(shape, device, dtype)
        at_once = int(tiles_at_once(ours.config, device, dtype, TILE_SECONDS).value)
        name = str(dtype).removeprefix("torch.")
        sides[f"{name} plain"] = lambda vae=plain, dtype=dtype: (
            vae.encode(signal.to(device, dtype)).latent_dist.mean[0].T.float().cpu()
        )
        sides[f"{name} ours"] = lambda vae=ours, at_once=at_once: torch.cat(
            [mean for mean, _ in encode_tiles(vae, audio, at_once=at_once)]
        )
    with torch.no_grad():
        heard = {name: encode() for name, encode in sides.items()}
        times = _in_turn(sides, rounds)
    exact = heard["float32 plain"]
    rows = []
    for dtype in PRECISIONS:
        name = str(dtype).removeprefix("torch.")
        before, after = (seconds / times[f"{name} {side}"] for side in ("plain", "ours"))
        off = [_off(heard[f"{name} {side}"], exact) for side in ("plain", "ours")]
        rows.append(
            {
                "autoencoder": shape,
                "precision": name,
                "plain, × real time": f"{before:.2f}",
                "ours, × real time": f"{after:.2f}",
                "faster": f"{after / before:.2f}",
                "plain off": f"{off[0]:.1e}",
                "ours off": f"{off[1]:.1e}",
            }
        )
    sides.clear()
    gc.collect()
    return rows


def _read(ahead: ReadAhead, files: list[Path]) -> int:
    """Samples that were read."""
    streams = ahead.streams([Cut(file) for file in files])
    return sum(block.shape[1] for blocks in streams for block in blocks)


def _in_turn(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median time of each side, in seconds; the order is turned round every time."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            start = time.perf_counter()
            sides[name]()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def _plain(shape: str) -> Any:
    """The class as diffusers has it; the published shape has random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        if shape == "mini":
            return AutoencoderOobleck.from_pretrained(
                find_model().vae_folder, torch_dtype=torch.float32
            )
        torch.manual_seed(0)
        vae = AutoencoderOobleck(**PUBLISHED).eval().requires_grad_(False)
    for name, parameter in vae.named_parameters():
        if name.endswith(("alpha", "beta")):
            parameter.normal_(0, 0.3)
    return vae


def _ours(shape: str, device: torch.device, dtype: torch.dtype) -> Any:
    """As ``acestep.model.load.load_vae`` turns it."""
    vae = _plain(shape)
    fold_weight_norm(vae)
    drop_idle_modules(vae)
    fast_convolutions(vae, device)
    return nn.Module.to(vae, device=device, dtype=dtype)


def _off(one: torch.Tensor, exact: torch.Tensor) -> float:
    return float((one - exact).norm() / exact.norm())
