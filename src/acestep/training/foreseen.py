"""The switches of a run (:class:`acestep.speed.pace.Pace`) as they can be told before it starts.

For a card that was named they are what a run there would choose, on Linux with a compiler, by
predicted memory; here, where a run measures, they may come out better.
"""

import torch

from acestep.config import TrainConfig
from acestep.speed.attention import choose_kernel
from acestep.speed.compiled import Work, choose_compile
from acestep.speed.computing import dtype_of, faster_on_cpu, known_computing
from acestep.speed.graphs import check_graphs
from acestep.speed.memory import Load, peaks
from acestep.speed.pace import Choice
from acestep.training.cost import room
from acestep.training.filling import (
    Before,
    asked_at_once,
    fill_as_asked,
    level_in_words,
    together_in_words,
)
from acestep.training.machine import has_bfloat16
from acestep.training.pacing import asked_precision, compiling_obstacle, recording_obstacle
from acestep.training.presets import patches_in
from acestep.training.situation import Situation


def expected_precision(s: Situation, config: TrainConfig) -> Choice:
    """What the base is computed in."""
    shape = s.base.shape
    known = known_computing(asked_precision(config), torch.device(s.machine.kind), shape.width)
    return known or faster_on_cpu(shape.width, shape.inner)


def expected_kernel(s: Situation, precision: Choice) -> Choice:
    """The kernel of attention."""
    seen = s.machine.here and torch.cuda.is_available()
    if s.machine.kind != "cuda" or precision.value == "float32" or seen:
        return Choice(*choose_kernel(torch.device(s.machine.kind), dtype_of(precision)))
    if has_bfloat16(s.machine):
        return Choice("varlen", "true windows, torch's variable-length kernel")
    return Choice("flex", "true windows; a card before Ampere has no variable-length kernel", True)


def load_of(s: Situation, config: TrainConfig, precision: Choice) -> Load:
    """What a run with these knobs puts on a base model of this size."""
    return Load(
        s.base.shape,
        rank=config.rank,
        targets=config.targets,
        adapter=config.adapter,
        dropout=config.dropout,
        weights=str(precision.value),
        base_precision=config.base_precision,
        condition=s.condition,
        fused=s.machine.kind == "cuda",
        optimizer=config.optimizer,
    )


def patches_of(s: Situation, seconds: float) -> int:
    """Patches of a clip, at least one."""
    return max(1, patches_in(Load(s.base.shape), seconds))


def expected_filling(
    s: Situation, config: TrainConfig, load: Load, samples: int
) -> tuple[Choice, Choice]:
    """The level of checkpointing and how many patches go together, of ``samples`` in a step."""
    longest = patches_of(s, s.longest)
    at_once = asked_at_once(config, samples, s.machine.kind, Before())
    limit = room(s.machine, config.memory_limit)
    fit = fill_as_asked(config, at_once, samples, longest, limit, peaks(load, longest))
    level = level_in_words(config, fit, limit, measured=False)
    return level, at_once or together_in_words(fit)


def expected_compiling(s: Situation, config: TrainConfig, passes: int, patches: float) -> Choice:
    """Whether the blocks are compiled, in a run of so many passes of so many patches."""
    if config.compile == "off":
        return Choice(False, "as asked for")
    shape, device = s.base.shape, torch.device(s.machine.kind)
    work = Work(passes, shape.layers, shape.width, patches)
    obstacle = compiling_obstacle(config)
    if s.machine.here or obstacle:
        return choose_compile(config.compile, device, work, obstacle)
    if config.compile == "on":
        return Choice(True, "as asked for")
    share = work.share(device.type)
    pays = f"the run has {share:.0%} of the passes that win back the time it takes"
    return Choice(share >= 1, pays if share < 1 else f"{share:.0f} times as long as it must be")


def expected_graphs(s: Situation, config: TrainConfig, kernel: Choice, level: Choice) -> Choice:
    """Whether passes are recorded. Raises ``ConfigError`` where they cannot be."""
    if not config.cuda_graphs:
        return Choice(False, "not asked for")
    device = torch.device(s.machine.kind)
    obstacle = recording_obstacle(config)
    check_graphs(device, str(kernel.value), str(level.value), config.dropout, obstacle)
    return Choice(True, "as asked for")
