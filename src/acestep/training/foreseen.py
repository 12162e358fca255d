"""The switches of a run (:class:`acestep.speed.pace.Pace`) as they can be told before it starts.

For a card that was named they are what a run there would choose, on Linux with a compiler, by
predicted memory; here, where a run measures, they may come out better.
"""

from math import ceil

import torch

from acestep.config import TrainConfig
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.speed.attention import choose_kernel
from acestep.speed.compiled import Work, choose_compile
from acestep.speed.computing import NARROW, faster_on_cpu
from acestep.speed.graphs import check_graphs
from acestep.speed.levels import LEVELS
from acestep.speed.memory import Load, fill
from acestep.speed.pace import Choice
from acestep.speed.precision import STORED
from acestep.training.cost import room
from acestep.training.filling import (
    ENOUGH_PATCHES,
    Before,
    asked_at_once,
    level_in_words,
    together_in_words,
)
from acestep.training.machine import has_bfloat16
from acestep.training.pacing import compiling_obstacle, recording_obstacle
from acestep.training.presets import peaks
from acestep.training.situation import Situation


def expected_precision(s: Situation, config: TrainConfig) -> Choice:
    """What the base is computed in."""
    asked = "bfloat16" if config.base_precision == "bf16" else config.precision
    if asked == "float16":
        return Choice("float32", "float16 overflows in training")
    if asked != "auto":
        return Choice(asked, "as asked for")
    shape = s.base.shape
    match s.machine.kind:
        case "cuda":
            return Choice("bfloat16", "usual on cuda")
        case "cpu" if shape.width >= NARROW:
            return faster_on_cpu(shape.width, shape.inner)
        case "cpu":
            return Choice("float32", f"a model of {shape.width} channels, below {NARROW}")
        case _:
            return Choice("float32", "float16 overflows in training")


def expected_storing(config: TrainConfig, precision: Choice) -> Choice:
    """How the base lies in memory."""
    if config.base_precision in STORED:
        return Choice(config.base_precision, "as asked for: the linear layers of the blocks")
    return Choice(precision.value, "as it is computed")


def expected_kernel(s: Situation, precision: Choice) -> Choice:
    """The kernel of attention."""
    if s.machine.kind != "cuda" or (s.machine.here and torch.cuda.is_available()):
        dtype = torch.float32 if precision.value == "float32" else torch.bfloat16
        return Choice(*choose_kernel(torch.device(s.machine.kind), dtype))
    if precision.value == "float32":
        return Choice("local", "true windows, in blocks: float32 has no variable-length kernel")
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
    return max(1, ceil(round(seconds * FRAMES_PER_SECOND) / s.base.shape.patch))


def expected_filling(
    s: Situation, config: TrainConfig, load: Load, samples: int
) -> tuple[Choice, Choice]:
    """The level of checkpointing and how many patches go together, of ``samples`` in a step."""
    longest = patches_of(s, s.longest)
    at_once = asked_at_once(config, samples, s.machine.kind, Before())
    word = config.gradient_checkpointing
    levels = LEVELS if word == "auto" else (LEVELS[LEVELS.index(word)],)
    asked = min(int(at_once.value) if at_once else 0, samples * longest)
    enough = ENOUGH_PATCHES if at_once is None else 0
    limit = room(s.machine, config.memory_limit)
    fit = fill(peaks(load, longest), max(longest, asked), enough, limit, levels)
    chosen = level_in_words(fit, limit, measured=False)
    level = Choice(word, "as asked for") if word != "auto" else chosen
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
