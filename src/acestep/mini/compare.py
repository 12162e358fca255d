"""How far generated clips lie from a folder of songs: rows of numbers, and the table of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from acestep.data.tensors import load_samples, read_manifest
from acestep.mini.statistics import chroma, cosine, distance, pulse
from acestep.model.base import find_model, load_vae
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.vae import decode_audio


@dataclass(frozen=True)
class Row:
    """One set of clips against the folder.

    ``distance`` is that of :mod:`acestep.mini.statistics`, in standard deviations; ``pulse`` how
    strongly the clips beat at the folder's tempo; ``chroma`` the cosine between mean chromas.
    """

    distance: float
    pulse: float
    chroma: float


def compare(clips: Sequence[np.ndarray], folder: Sequence[np.ndarray], bpm: float) -> Row:
    """Measure clips (each ``[2, n]``, 48 kHz) against the folder's."""
    ours, theirs = (np.mean([chroma(clip) for clip in group], axis=0) for group in (clips, folder))
    beat = float(np.mean([pulse(clip, bpm) for clip in clips]))
    return Row(distance(clips, folder), beat, cosine(ours, theirs))


def through_the_vae(tensors: Path, seconds: float) -> list[np.ndarray]:
    """The beginning of every song of a tensor folder, as the VAE gives it back.

    What the small VAE loses, every clip lacks: compared with the songs themselves, what the adapter
    does would hide behind what the VAE does.
    """
    manifest = read_manifest(tensors)
    vae = load_vae(find_model(manifest.model["source"]), torch.device("cpu"))
    frames = round(seconds * FRAMES_PER_SECOND)
    samples = load_samples(tensors, manifest)
    return [decode_audio(vae, sample.latents[None, :frames]) for sample in samples]


def table(rows: Mapping[str, Row], bpm: int) -> str:
    """The rows as text, for a person."""
    width = max(len(name) for name in rows)
    lines = [f"{'':{width}}  distance  pulse at {bpm}  chroma"]
    lines += [
        f"{name:{width}}  {row.distance:8.2f}  {row.pulse:11.2f}  {row.chroma:6.2f}"
        for name, row in rows.items()
    ]
    return "\n".join(lines)
