"""Settling how a run goes through the transformer; see :class:`acestep.speed.pace.Pace`."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from acestep.config import TrainConfig
from acestep.speed.attention import choose_kernel
from acestep.speed.computing import dtype_of
from acestep.speed.levels import LEVELS, Level
from acestep.speed.pace import Choice, Pace
from acestep.speed.precision import STORED
from acestep.training.clips import Clip
from acestep.training.memory import needs_checkpointing
from acestep.training.run import RunFolder

RAN_OUT = "memory ran out with more"
ENOUGH_PATCHES = 3000  # fill a large GPU's matrix units; a 240 s song has as many


def choose_pace(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    samples_here: int,
    device: torch.device,
    precision: Choice,
) -> Pace:
    """Every switch, chosen by the knobs, the model and the machine.

    ``samples_here`` are those of one optimizer step that this process computes. ``precision`` was
    chosen before the transformer was loaded.
    """
    dtype = dtype_of(precision)
    kernel, why = choose_kernel(device, dtype)
    return Pace(
        precision=precision,
        base_precision=_base_precision(config, precision),
        attention=Choice(kernel, why, slower=device.type == "cuda" and kernel != "varlen"),
        checkpointing=_checkpointing(config, transformer, clips, device, dtype),
        patches_at_once=_at_once(config, samples_here, device),
    )


def _base_precision(config: TrainConfig, precision: Choice) -> Choice:
    if config.base_precision in STORED:
        return Choice(config.base_precision, "as asked for: the linear layers of the blocks")
    return Choice(precision.value, "as it is computed")


def _checkpointing(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    device: torch.device,
    dtype: torch.dtype,
) -> Choice:
    if config.gradient_checkpointing != "auto":
        return Choice(config.gradient_checkpointing, "as asked for")
    if needs_checkpointing(transformer, clips, dtype, device):
        return Choice("full", "all activations would not fit")
    return Choice("none", "all activations fit")


def _at_once(config: TrainConfig, samples_here: int, device: torch.device) -> Choice:
    if config.patches_at_once is not None:
        return Choice(config.patches_at_once, "as asked for")
    if samples_here == 1:
        return Choice(0, "one clip is a step")
    if device.type == "cpu":
        return Choice(0, "one clip at a time: a CPU gains nothing from more")
    return Choice(ENOUGH_PATCHES, "clips of a step together, as far as this fills the GPU")


@dataclass(frozen=True)
class Lowered:
    """How far a run's pace came down when memory ran out: a resumed run begins there, except where
    its knob is ``asked`` for anew."""

    level: Level
    patches_at_once: int
    asked: frozenset[str]

    def of(self, pace: Pace) -> Pace:
        """The lower of this pace and that of the run before, switch by switch."""
        fewer = self.patches_at_once < int(pace.patches_at_once.value)
        if fewer and "patches_at_once" not in self.asked:
            pace = replace(pace, patches_at_once=Choice(self.patches_at_once, RAN_OUT, slower=True))
        lower = LEVELS.index(self.level) > LEVELS.index(pace.level)
        if lower and "gradient_checkpointing" not in self.asked:
            pace = replace(pace, checkpointing=Choice(self.level, RAN_OUT, slower=True))
        return pace


def lowered_pace(run: RunFolder, asked: TrainConfig) -> Lowered | None:
    """What a run's folder remembers of memory that ran out; None if it never did."""
    settings = run.read_settings()
    if not settings.get("lowered"):
        return None
    pace = settings["pace"]
    return Lowered(
        pace["checkpointing"]["value"],
        pace["patches_at_once"]["value"],
        frozenset(asked.model_fields_set),
    )


def kept_precision(run: RunFolder) -> str | None:
    """What a run computes in on a CPU; None if that was not chosen yet."""
    settings = run.read_settings()
    precision = settings.get("pace", {}).get("precision")
    if precision is None:  # begun by a version that knew no other
        return "float32"
    return precision["value"] if settings.get("device") == "cpu" else None
