"""Settling how a run goes through the transformer; see :class:`acestep.speed.pace.Pace`."""

from typing import Any

import torch
from torch import distributed, nn

from acestep.config import TrainConfig
from acestep.speed.attention import choose_kernel
from acestep.speed.compiled import Work, choose_compile, compile_blocks
from acestep.speed.computing import dtype_of
from acestep.speed.graphs import check_graphs
from acestep.speed.levels import apply_level
from acestep.speed.pace import Choice, Pace
from acestep.speed.precision import STORED
from acestep.speed.products import products_are_faster
from acestep.speed.sharding import is_sharded
from acestep.training.batches import patches_of
from acestep.training.clips import Clip
from acestep.training.filling import RAN_OUT, Before, choose_filling
from acestep.training.run import RunFolder


def choose_pace(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    samples_here: int,
    device: torch.device,
    precision: Choice,
    before: Before,
) -> Pace:
    """Every switch, chosen by the knobs, the model and the machine.

    ``samples_here`` are those of one optimizer step that this process computes. ``precision`` was
    chosen before the transformer was loaded. ``before`` is what a resumed run keeps.
    """
    dtype = dtype_of(precision)
    kernel, why = choose_kernel(device, dtype)
    level, at_once = choose_filling(config, transformer, clips, samples_here, device, before)
    return Pace(
        precision=precision,
        base_precision=how_it_lies(config, precision),
        attention=Choice(kernel, why, slower=device.type == "cuda" and kernel != "varlen"),
        checkpointing=level,
        patches_at_once=at_once,
        compiled=_compiled(config, transformer, clips, at_once, before),
        graphs=(
            _graphs(config, transformer, kernel, str(level.value), device)
            if before.level is None or not config.cuda_graphs
            else Choice(False, RAN_OUT, slower=True)
        ),
    )


def set_pace(transformer: nn.Module, pace: Pace) -> None:
    """Put a pace's level of checkpointing and compiling on a transformer that has its adapter."""
    apply_level(transformer, pace.level)
    if pace.compiled.value:
        compile_blocks(transformer, together=int(pace.patches_at_once.value) > 0)


def _compiled(
    config: TrainConfig,
    transformer: Any,
    clips: list[Clip],
    at_once: Choice,
    before: Before,
) -> Choice:
    if config.compile == "off":
        return Choice(False, "as asked for")
    if before.compiled is not None and not is_sharded(transformer):
        return Choice(before.compiled, "as before: compiled passes draw other dropout")
    obstacle = compiling_obstacle(config)
    if is_sharded(transformer):
        obstacle = "a split base is gathered block by block"
    weight = transformer.proj_out_conv.weight
    device = weight.device
    slow = device.type == "cpu" and weight.dtype == torch.bfloat16 and products_are_faster()
    if config.compile == "auto" and slow:
        return Choice(False, "compiled, attention in bfloat16 is the slower one on this processor")
    return choose_compile(
        config.compile, device, _work(config, transformer, clips, at_once), obstacle
    )


def compiling_obstacle(config: TrainConfig) -> str:
    """Which knob stands in the way of compiling, in words; empty if none does."""
    if config.base_precision in STORED:
        return f"an {config.base_precision} base is unpacked in every product"
    return "DoRA's norms do not compile in one piece" if config.adapter == "dora" else ""


def _graphs(
    config: TrainConfig, transformer: Any, kernel: str, level: str, device: torch.device
) -> Choice:
    if not config.cuda_graphs:
        return Choice(False, "not asked for")
    obstacle = recording_obstacle(config)
    if is_sharded(transformer):
        obstacle = "a split base is gathered in every pass"
    check_graphs(device, kernel, level, config.dropout, obstacle)
    return Choice(True, "as asked for")


def recording_obstacle(config: TrainConfig) -> str:
    """Which knob stands in the way of CUDA graphs, in words; empty if none does."""
    nf4 = config.base_precision == "nf4"
    return "an nf4 base is unpacked by a library of its own" if nf4 else ""


def _work(config: TrainConfig, transformer: Any, clips: list[Clip], at_once: Choice) -> Work:
    """What this process has to do in the whole run, about."""
    lengths = [patches_of(clip, transformer.patch_size) for clip in clips]
    patches = sum(lengths) / len(lengths)
    together = max(1.0, int(at_once.value) / patches)
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    return Work(
        int(config.epochs * len(clips) / processes / together),
        len(transformer.layers),
        transformer.config.hidden_size,
        patches * together,
    )


def asked_precision(config: TrainConfig) -> str:
    """What the base is to be computed in, as the knobs say."""
    return "bfloat16" if config.base_precision == "bf16" else config.precision


def how_it_lies(config: TrainConfig, precision: Choice) -> Choice:
    """How the base lies in memory, if it is computed in that ``precision``."""
    if config.base_precision in STORED:
        return Choice(config.base_precision, "as asked for: the linear layers of the blocks")
    return Choice(precision.value, "as it is computed")


def filled_before(run: RunFolder, asked: TrainConfig) -> Before:
    """What a run that is resumed keeps of how it filled the memory, where that is not ``asked`` for
    anew."""
    settings = run.read_settings()
    pace = settings.get("pace")
    if pace is None:  # begun by a version that chose nothing
        return Before(patches_at_once=0, compiled=False)
    again = asked.model_fields_set
    lowered = settings.get("lowered", False) and "gradient_checkpointing" not in again
    return Before(
        pace["checkpointing"]["value"] if lowered else None,
        None if "patches_at_once" in again else pace["patches_at_once"]["value"],
        None if "compile" in again else pace.get("compiled", {}).get("value", False),
    )


def kept_precision(run: RunFolder) -> str | None:
    """What a run computes in on a CPU; None if that was not chosen yet."""
    settings = run.read_settings()
    precision = settings.get("pace", {}).get("precision")
    if precision is None:  # begun by a version that knew no other
        return "float32"
    return precision["value"] if settings.get("device") == "cpu" else None
