"""Filling the memory there is: as little as possible is computed again, as much goes at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from acestep.config import TrainConfig
from acestep.model.shape import Shape
from acestep.speed.levels import LEVELS, Level
from acestep.speed.measured import CudaMeter, Line, measure, room
from acestep.speed.memory import GIB, Fit, Load, fill, peaks
from acestep.speed.pace import Choice
from acestep.speed.sharding import is_sharded
from acestep.training.batches import patches_of
from acestep.training.clips import Clip

RAN_OUT = "memory ran out with more"
ENOUGH_PATCHES = 3000  # fill a large GPU's matrix units; a 240 s song has as many


@dataclass(frozen=True)
class Before:
    """What a resumed run keeps, where there is anything: the ``level`` that it came down to when
    memory ran out, how many patches go together and whether passes are compiled, on which dropout's
    draws depend."""

    level: Level | None = None
    patches_at_once: int | None = None
    compiled: bool | None = None


def choose_filling(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    samples_here: int,
    device: torch.device,
    before: Before,
) -> tuple[Choice, Choice]:
    """The level of checkpointing, and how many patches go through the model together.

    ``samples_here`` are those of one optimizer step that this process computes. What is not asked
    for is chosen: on CUDA by two short passes at each level in question, elsewhere by the model of
    :mod:`acestep.speed.memory`, so that the longest clip fits into what is free and within
    ``--memory-limit``.
    """
    at_once = asked_at_once(config, samples_here, device.type, before)
    word = config.gradient_checkpointing
    if word != "auto" and at_once is not None and before.level is None:
        return Choice(word, "as asked for"), at_once
    if is_sharded(transformer):  # all processes must choose the same, and have as many passes
        least = Choice("full", "a split base is one that does not fit")
        level = least if word == "auto" else Choice(word, "as asked for")
        return level, at_once or Choice(ENOUGH_PATCHES, "as far as this fills the GPU")
    longest = max(patches_of(clip, transformer.patch_size) for clip in clips)
    load = load_of(config, transformer, clips)
    limit = room(device, config.memory_limit)
    measured = device.type == "cuda"
    peak = measured_peaks(load, transformer, longest) if measured else peaks(load, longest)
    fit = fill_as_asked(config, at_once, samples_here, longest, limit, peak)
    level = level_in_words(config, fit, limit, measured=measured)
    if before.level is not None and LEVELS.index(before.level) > LEVELS.index(fit.level):
        level = Choice(before.level, RAN_OUT, slower=True)
    return level, at_once or together_in_words(fit)


def fill_as_asked(
    config: TrainConfig,
    at_once: Choice | None,
    samples: int,
    longest: int,
    limit: float,
    peak: Callable[[Level, int], float],
) -> Fit:
    """The best fit into ``limit`` bytes, with the level and the patches ``at_once`` where they are
    asked for; ``samples`` clips are in a step, the longest of so many patches."""
    word = config.gradient_checkpointing
    levels = LEVELS if word == "auto" else (LEVELS[LEVELS.index(word)],)
    asked = min(int(at_once.value) if at_once else 0, samples * longest)
    enough = ENOUGH_PATCHES if at_once is None else 0
    return fill(peak, max(longest, asked), enough, limit, levels)


def load_of(config: TrainConfig, transformer: Any, clips: list[Clip]) -> Load:
    """What a run with these knobs puts on this transformer."""
    return Load(
        Shape.of(transformer.config),
        rank=config.rank,
        targets=config.targets,
        adapter=config.adapter,
        dropout=config.dropout,
        weights=str(transformer.proj_in_conv.weight.dtype).removeprefix("torch."),
        base_precision=config.base_precision,
        condition=max(clip.condition.shape[1] for clip in clips),
        fused=transformer.proj_in_conv.weight.device.type == "cuda",
        optimizer=config.optimizer,
    )


def asked_at_once(
    config: TrainConfig, samples_here: int, kind: str, before: Before
) -> Choice | None:
    """How many patches go together, where memory has no say; None where it has. ``kind`` is the
    device's."""
    if before.patches_at_once is not None:
        return Choice(before.patches_at_once, "as before")
    if config.patches_at_once is not None:
        return Choice(config.patches_at_once, "as asked for")
    if samples_here == 1:
        return Choice(0, "one clip is a step")
    if kind == "cpu":
        return Choice(0, "one clip at a time: a CPU gains nothing from more")
    return None


def measured_peaks(load: Load, transformer: Any, longest: int) -> Callable[[Level, int], float]:
    """Peaks as two short passes at each level that is asked about show them, on CUDA."""
    meter = CudaMeter(transformer.proj_in_conv.weight.device)

    @cache
    def line(level: Level) -> Line:
        return measure(transformer, level, load.condition / longest, load.optimizer, meter)

    return lambda level, patches: line(level).peak(patches)


def level_in_words(config: TrainConfig, fit: Fit, limit: float, *, measured: bool) -> Choice:
    """The level of a fit into ``limit`` bytes, unless one was asked for."""
    if config.gradient_checkpointing != "auto":
        return Choice(config.gradient_checkpointing, "as asked for")
    how = "measured by two short passes" if measured else "predicted"
    peak = f"a peak of {_gib(fit.peak)}, {how}"
    if not fit.fits:
        return Choice(fit.level, f"{peak}, where there are {_gib(limit)}", slower=True)
    if fit.level == "none":
        return Choice(fit.level, f"{peak}, fits")
    return Choice(fit.level, f"{peak}; more does not fit into {_gib(limit)}")


def _gib(count: float) -> str:
    return f"{count / GIB:.{1 if count >= GIB else 3}f} GiB"


def together_in_words(fit: Fit) -> Choice:
    """The patches at once of a fit."""
    if not fit.fits:
        return Choice(0, "one clip at a time: even that is more than there is", slower=True)
    if fit.patches_at_once >= ENOUGH_PATCHES:
        return Choice(ENOUGH_PATCHES, "clips of a step together, as far as this fills the GPU")
    return Choice(fit.patches_at_once, "clips of a step together, as many as fit")
