"""How far generated clips lie from a folder of songs: a row of numbers for each set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from acestep.data.tensors import load_samples, read_manifest
from acestep.mini.corpus import SCALES
from acestep.mini.measures import chroma_frames
from acestep.mini.statistics import distance, pulse
from acestep.model.base import find_model, load_vae
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.vae import decode_audio


@dataclass(frozen=True)
class Row:
    """One set of clips against the folder.

    ``distance`` is that of :mod:`acestep.mini.statistics`, in standard deviations; ``pulse`` how
    strongly the clips beat; ``scale`` how much of what is pitched keeps to one scale. The last two
    are means over the clips.
    """

    distance: float
    pulse: float
    scale: float


def compare(
    clips: Sequence[np.ndarray], folder: Sequence[np.ndarray], tempi: Sequence[Sequence[int]]
) -> Row:
    """Measure clips (each ``[2, n]``, 48 kHz) against the folder's.

    ``tempi`` are, for each clip, the tempi at which it may beat: the one it has or was asked for,
    or those of a style, of which the one counts where the pulse is strongest.
    """
    pairs = zip(clips, tempi, strict=True)
    beat = float(np.mean([max(pulse(clip, bpm) for bpm in bpms) for clip, bpms in pairs]))
    scale = float(np.mean([scale_share(clip) for clip in clips]))
    return Row(distance(clips, folder), beat, scale)


def scale_share(clip: np.ndarray) -> float:
    """Share of the pitched power that lies on the seven notes of the likeliest scale.

    Twelve equally strong notes give 0.58, a song without a foreign note 1.
    """
    classes = chroma_frames(clip).sum(0)
    scales = [(np.array(SCALES["major"]) + tonic) % 12 for tonic in range(12)]
    return float(max(classes[scale].sum() for scale in scales) / max(1e-9, classes.sum()))


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
