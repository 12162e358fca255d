"""What a run is measured on afterwards: its songs, split as it split them, and its base model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acestep.data.tensors import Manifest, load_samples, read_manifest
from acestep.errors import RunError, TensorError
from acestep.model.base import (
    BaseModel,
    find_again,
    find_model,
    load_null_condition,
    load_transformer,
)
from acestep.model.device import choose_device, choose_dtype
from acestep.model.flow import frames_in
from acestep.model.sample import Condition
from acestep.training.clips import Split, make_clips, split_clips
from acestep.training.draws import TimeLaw
from acestep.training.guidance import TaughtGuidance
from acestep.training.run import RunFolder

LISTENED_SECONDS = 10.0  # of a clip whose condition is generated from


@dataclass(frozen=True)
class Material:
    """Songs and base model for measuring adapters, all on ``device``.

    ``guidance`` is the scale of the guidance that was taught (``--teach-guidance``), 1 for the
    plain flow loss; ``seed`` and ``law`` decide the draws. ``transformer`` bears no adapter that
    acts. ``nothing`` [1, 1, H] is the condition of no prompt.
    """

    split: Split
    law: TimeLaw
    seed: int
    guidance: float
    model: BaseModel
    transformer: nn.Module
    nothing: Tensor
    device: torch.device

    def learner(self) -> nn.Module:
        """The transformer as the loss sees it."""
        if self.guidance <= 1:
            return self.transformer
        return TaughtGuidance(self.transformer, self.nothing, self.guidance)

    def plain(self) -> "Material":
        """The same, measured by the plain flow loss, whatever was trained."""
        return replace(self, guidance=1.0)

    def condition(self) -> Condition:
        """The prompt of the first training clip, for at most ten seconds of music."""
        clip = self.split.train[0].to(self.device)
        return Condition(clip.condition, clip.context[:, : frames_in(LISTENED_SECONDS)])


def open_material(
    run: Path,
    *,
    tensors: Path | None = None,
    device: str | None = None,
    precision: str = "auto",
    transformer: nn.Module | None = None,
) -> Material:
    """The material of a run, from its folder.

    ``tensors`` says where its tensor folder lies now, if no longer where the run remembers;
    ``transformer`` is the base's if it is loaded already. Raises ``RunError`` if the folder holds
    no run or the tensors are not those it was trained on, ``TensorError`` and ``ModelError`` if
    they or the base model cannot be read.
    """
    settings = RunFolder(run).read_settings()
    try:
        law = TimeLaw(**settings["plan"]["law"])
        config = settings["config"]
        folder = tensors or Path(settings["tensors"]["path"])
        trained_on = settings["tensors"]["fingerprint"]
        source = settings["model"]["source"]
        share, seed = float(config["validation"]), int(config["seed"])
        guidance = float(config.get("teach_guidance", 1.0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{run / 'config.json'} does not say what the run was trained with: {error!r}",
            hint="it is written at the start of a run; bring it back from a copy",
        ) from error
    manifest = read_manifest(folder)
    if manifest.fingerprint != trained_on:
        raise RunError(
            f"{folder} has changed since {run} was trained on it: what was held out is not known",
            hint="name the tensors that it was trained on, or train again",
        )
    base = find_again(source, run)
    return _material(
        folder, manifest, base, (law, share, seed, guidance), (device, precision), transformer
    )


def open_tensors(
    folder: Path,
    *,
    model: str | None = None,
    seed: int = 42,
    guidance: float = 1.0,
    device: str | None = None,
    precision: str = "auto",
    transformer: nn.Module | None = None,
) -> Material:
    """The material for an adapter whose run is not known: every song counts as a training song.

    Raises ``TensorError`` for a folder that cannot be read or does not say which model made it
    (``model`` names it then), and ``ModelError`` if that is not there.
    """
    manifest = read_manifest(folder)
    if manifest.foreign and model is None:
        raise TensorError(
            f"{folder} does not say which model it was made with", hint="name it with --model"
        )
    base = find_model(model) if model else find_again(manifest.model["source"], folder)
    turbo = base.variant == "turbo"
    law = TimeLaw(
        "turbo" if turbo else "continuous", 3.0 if turbo else 1.0, base.time_mu, base.time_sigma
    )
    return _material(
        folder, manifest, base, (law, 0.0, seed, guidance), (device, precision), transformer
    )


def _material(
    folder: Path,
    manifest: Manifest,
    base: BaseModel,
    trained: tuple[TimeLaw, float, int, float],
    where: tuple[str | None, str],
    transformer: Any,
) -> Material:
    law, share, seed, guidance = trained
    if transformer is None:
        place = choose_device(where[0])
        transformer = load_transformer(base, place, choose_dtype(place, where[1]))
    weight = next(transformer.parameters())
    clips = make_clips(load_samples(folder, manifest), weight.device, weight.dtype)
    nothing = load_null_condition(base).to(weight.device, weight.dtype)
    split = split_clips(clips, share, seed)
    return Material(split, law, seed, guidance, base, transformer, nothing, weight.device)
