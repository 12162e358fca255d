"""Another style to hold an adapter against: it must not have come nearer to this one as well.

An adapter that only changes the production, or makes the base's output cleaner, comes nearer to any
music. The songs of the other style are a second folder of tensors, or are written down here
(:mod:`acestep.mini.corpus`): nothing is downloaded.
"""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from acestep.data.tensors import load_samples, read_manifest
from acestep.judging.songs import Excerpt, cut_excerpts, taught_songs
from acestep.mini.corpus import compose_round, render
from acestep.model.parts import Parts
from acestep.model.vae import encode_audio

STYLES = ("march", "jig")  # two, since a user's songs may be like one of them
SONGS = 8
FIRST_SEED = 960_000


def read_other(folder: Path, seconds: float) -> tuple[str, list[Excerpt]]:
    """The name and the excerpts of the songs of another folder of tensors.

    Raises ``TensorError`` if it is none.
    """
    manifest = read_manifest(folder)
    songs = taught_songs(load_samples(folder, manifest))
    name = str(manifest.dataset.get("name") or folder.name)
    return name, cut_excerpts(songs, seconds)


def write_other(parts: Parts, style: str, seconds: float) -> Iterator[Excerpt]:
    """An excerpt of each of eight songs that are written in a style, as the model encodes them."""
    for number in range(SONGS):
        song = compose_round(FIRST_SEED + number, seconds, style)
        latents: Tensor = encode_audio(parts.vae(), render(song), seed=number)[0]
        yield Excerpt(f"{style} {number + 1}", 0.0, latents)
