"""Songs as latents on disk: what the diffusion is trained on, in files that grow in number.

A shard is ``latents/0007.safetensors`` and ``0007.json`` beside it: latents of whole songs in
float16 ``[songs, T, C]``, their labels, and for some songs one stem and the mix without it.
``validation`` holds songs that are never trained on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from acestep.data.files import atomic, write_json
from acestep.errors import TensorError
from acestep.mini.corpus import Song
from acestep.mini.voices import Room

HELD_OUT = "validation"
LABELS = (
    "seed", "style", "caption", "tags", "bpm", "keyscale", "timesignature", "language", "lyrics",
    "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Stem:
    """One track of a song by the model's name for it, and all others; latents ``[T, C]``.

    ``others`` are the names of the tracks in the rest.
    """

    track: str
    others: tuple[str, ...]
    alone: Tensor
    rest: Tensor


@dataclass(frozen=True)
class Encoded:
    """A song (without its notes) and its latents ``[T, C]`` float16."""

    song: Song
    latents: Tensor
    stem: Stem | None = None


def shard_names(folder: Path) -> list[str]:
    """The complete shards of training songs, in order."""
    return sorted(file.stem for file in folder.glob("*.json") if file.stem != HELD_OUT)


def save_shard(folder: Path, name: str, songs: list[Encoded]) -> None:
    """Write a shard; its json comes last, so that a shard that has one is whole."""
    tensors = {"mix": torch.stack([encoded.latents.half() for encoded in songs])}
    rows: list[dict[str, Any]] = []
    for number, encoded in enumerate(songs):
        row: dict[str, Any] = {key: vars(encoded.song)[key] for key in LABELS}
        if (stem := encoded.stem) is not None:
            row |= {"track": stem.track, "others": list(stem.others)}
            tensors[f"alone.{number}"] = stem.alone.half()
            tensors[f"rest.{number}"] = stem.rest.half()
        rows.append(row)
    with atomic(folder / f"{name}.safetensors") as temporary:
        save_file(tensors, temporary)
    write_json(folder / f"{name}.json", rows)


def load_shard(folder: Path, name: str) -> list[Encoded]:
    """Read a shard. Raises ``TensorError`` for a damaged one."""
    try:
        tensors = load_file(folder / f"{name}.safetensors")
        rows = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return [_encoded(row, number, tensors) for number, row in enumerate(rows)]
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise TensorError(
            f"{folder / name}.safetensors is damaged: {error}",
            hint="remove it and its json, and run --stage latents again",
        ) from error


def labels_only(song: Song) -> Song:
    """A song as a shard keeps it: without notes, room and sections."""
    values = {key: vars(song)[key] for key in LABELS}
    return Song(**{**values, "tags": tuple(song.tags)}, notes=(), room=Room(), sections=())


def _encoded(row: dict[str, Any], number: int, tensors: dict[str, Tensor]) -> Encoded:
    stem = None
    if "track" in row:
        pair = tensors[f"alone.{number}"], tensors[f"rest.{number}"]
        stem = Stem(row["track"], tuple(row["others"]), *pair)
    values = {key: row[key] for key in LABELS}
    song = Song(**{**values, "tags": tuple(row["tags"])}, notes=(), room=Room(), sections=())
    return Encoded(song, tensors["mix"][number], stem)


def seconds_of(songs: Iterable[Encoded]) -> float:
    """How much music that is."""
    return sum(encoded.song.seconds for encoded in songs)
