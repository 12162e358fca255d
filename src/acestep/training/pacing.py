"""Settling how a run goes through the transformer; see :class:`acestep.speed.pace.Pace`."""

from typing import Any

import torch

from acestep.config import TrainConfig
from acestep.speed.attention import choose_kernel
from acestep.speed.pace import Choice, Pace
from acestep.training.clips import Clip
from acestep.training.memory import needs_checkpointing

ENOUGH_PATCHES = 3000  # fill a large GPU's matrix units; a 240 s song has as many


def choose_pace(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    samples_here: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Pace:
    """Every switch, chosen by the knobs, the model and the machine.

    ``samples_here`` are those of one optimizer step that this process computes.
    """
    kernel, why = choose_kernel(device, dtype)
    return Pace(
        attention=Choice(kernel, why, slower=device.type == "cuda" and kernel != "varlen"),
        checkpointing=_checkpointing(config, transformer, clips, device, dtype),
        patches_at_once=_at_once(config, samples_here, device),
    )


def _checkpointing(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    device: torch.device,
    dtype: torch.dtype,
) -> Choice:
    match config.gradient_checkpointing:
        case "on":
            return Choice("full", "as asked for")
        case "off":
            return Choice("none", "as asked for")
        case _:
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
