"""What is known before a run: songs, base model, machine. Advice is a function of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep.config import PreprocessConfig
from acestep.data.song import Dataset, load_dataset
from acestep.data.tensors import Manifest, Sample, load_samples, read_manifest
from acestep.data.variants import read_variant
from acestep.errors import DatasetError
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.shape import REFERENCE, Base, find_base
from acestep.training.machine import Machine, named_machine, this_machine
from acestep.training.spread import style_spread


@dataclass(frozen=True)
class Situation:
    """``songs`` stand for themselves, ``variants`` are made of them; ``clips`` are the samples that
    both make. ``seconds`` is the length of the songs together, ``clip_seconds`` the mean of the
    clips and ``longest`` the longest. ``spread`` is :func:`style_spread`, None where it cannot be
    measured; ``measured`` is whether the songs are encoded yet. ``condition`` is the tokens of the
    longest condition."""

    songs: int
    variants: int
    clips: int
    seconds: float
    clip_seconds: float
    longest: float
    spread: float | None
    base: Base
    machine: Machine
    measured: bool = True
    condition: int = 200

    @property
    def minutes(self) -> float:
        """Length of the songs together."""
        return self.seconds / 60

    @property
    def pieces(self) -> int:
        """Songs and their variants: the guide counts a variant as a song."""
        return self.songs + self.variants

    @property
    def scale(self) -> float:
        """The base's width over that of the model which the guide's numbers are for."""
        return self.base.shape.width / REFERENCE.width


def look_at_tensors(
    folder: Path, model: str | None = None, gpu: str | None = None, device: str | None = None
) -> Situation:
    """The situation of a run on preprocessed tensors.

    ``gpu`` names a card that is not here; else the machine is this one's ``device``. Raises
    ``TensorError`` for the folder, ``ModelError`` for a base model whose size nobody knows,
    ``ConfigError`` for a card or device that does not exist.
    """
    machine = named_machine(gpu) if gpu else this_machine(device)
    manifest = read_manifest(folder)
    samples = load_samples(folder, manifest)
    return look_at_samples(samples, find_base(model or _made_with(manifest)), machine)


def look_at_samples(samples: Sequence[Sample], base: Base, machine: Machine) -> Situation:
    """The situation of a run on samples that are read already."""
    lengths = [len(sample.latents) / FRAMES_PER_SECOND for sample in samples]
    originals = {sample.song for sample in samples if not sample.origin}
    variants = {sample.song for sample in samples if sample.origin}
    own = [s for sample, s in zip(samples, lengths, strict=True) if not sample.origin]
    return Situation(
        songs=len(originals or variants),
        variants=len(variants) if originals else 0,
        clips=len(samples),
        seconds=sum(own or lengths),
        clip_seconds=sum(lengths) / len(lengths),
        longest=max(lengths),
        spread=style_spread(samples),
        base=base,
        machine=machine,
        condition=max(len(sample.condition) for sample in samples),
    )


def look_at_dataset(
    file: Path, model: str | None = None, gpu: str | None = None, device: str | None = None
) -> Situation:
    """The situation before preprocess, which takes the first 240 s of a song unless told otherwise;
    the style is not measured yet.

    Raises ``DatasetError`` for the file, or if it holds no song of known length.
    """
    machine = named_machine(gpu) if gpu else this_machine(device)
    dataset = load_dataset(file)
    longest = PreprocessConfig.model_fields["max_seconds"].default
    known = [min(song.duration, longest) for song in dataset.songs if song.duration > 0]
    if not known:
        raise DatasetError(
            f"{file} holds no song whose length is known",
            hint="acestep scan finds the lengths: acestep scan SONGS -o " + str(file),
        )
    variants = _variants(dataset)
    own = [min(s.duration, longest) for s in dataset.songs if read_variant(s) is None]
    return Situation(
        songs=len(dataset.songs) - variants,
        variants=variants,
        clips=len(dataset.songs),
        seconds=sum(own) or sum(known),
        clip_seconds=sum(known) / len(known),
        longest=max(known),
        spread=None,
        base=find_base(model),
        machine=machine,
        measured=False,
    )


def _variants(dataset: Dataset) -> int:
    """How many songs are variants; none where all are: then they stand for the songs."""
    count = sum(read_variant(song) is not None for song in dataset.songs)
    return count if count < len(dataset.songs) else 0


def _made_with(manifest: Manifest) -> str | None:
    """The model of the tensors; the original program's do not say, and it trained its turbo."""
    return "acestep-v15-turbo" if manifest.foreign else manifest.model["source"]
