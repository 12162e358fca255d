"""``train --dry-run``: whether a run would start, and what it would take; nothing is written.

What a start would refuse is refused here. Where the card or the CPU that is asked about is here, a
few real steps take the place of predicted ones, if that is a matter of a minute.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from acestep.adapters.attach import choose_modules
from acestep.config import TrainConfig
from acestep.data.files import nearest_folder
from acestep.data.tensors import Manifest, load_samples, read_manifest
from acestep.errors import ModelError, RunError
from acestep.events import Event, Finished, Notice, Started, Text
from acestep.knobs import counted
from acestep.model.base import BaseModel, empty_transformer
from acestep.model.device import choose_device
from acestep.model.shape import SHAPES, Base, base_of, find_base
from acestep.processes import join
from acestep.speed.memory import GIB
from acestep.speed.precision import check_storing
from acestep.training.auto import settle
from acestep.training.checkpoint import complete_checkpoints
from acestep.training.clips import Split, make_clips, split_clips
from acestep.training.estimate import Estimate, Parts, estimate
from acestep.training.evaluate import training_side
from acestep.training.machine import named_machine, this_machine
from acestep.training.memory_advice import cures
from acestep.training.optim import make_optimizer
from acestep.training.probe import Probe, is_cheap, time_steps, with_probe
from acestep.training.run import RunFolder
from acestep.training.session import base_model, check_checkpoints, check_shapes
from acestep.training.settings import check_same_data
from acestep.training.situation import Situation, look_at_samples


@dataclass(frozen=True)
class Start:
    """A start that nothing speaks against: the ``config`` as it will be, ``done`` steps if it goes
    on with a run."""

    config: TrainConfig
    situation: Situation
    split: Split
    model: BaseModel | None
    processes: int
    done: int


def outlook(config: TrainConfig) -> Iterator[Event]:
    """What a run with this config would take, as text and as facts.

    Raises what starting it would raise, as far as that is known without loading the model.
    """
    processes = join(choose_device(config.device))
    if not processes.is_main:
        return
    start, notices = look_ahead(config, processes.world)
    found = estimate(start.situation, start.config, start.processes, _parts(start))
    yield Started("train", {"dry_run": True, "base": start.situation.base.name})
    yield from notices
    if start.model is None:
        yield Notice(f"{start.situation.base.name} is not on this machine: a start fetches it")
    probed = None
    if start.model is not None and start.situation.machine.here and is_cheap(found.time):
        try:
            probed = time_steps(start.config)
            found = with_probe(found, probed)
        except torch.OutOfMemoryError:
            yield Notice("a step on this device runs out of memory, whatever is computed again")
    yield Text(outlook_text(start, found, probed))
    yield from _warnings(start, found)
    yield Finished("train", facts=_facts(start, found, probed))


def look_ahead(config: TrainConfig, processes: int) -> tuple[Start, list[Notice]]:
    """Every check of a start that needs no weights, in its order. Raises as a start does."""
    run = RunFolder(config.output)
    resuming = config.resume and run.exists()
    machine = named_machine(config.gpu) if config.gpu else this_machine(config.device)
    elsewhere = config.gpu is not None
    config, notices = settle(config, run)
    _check_place(run)
    manifest = read_manifest(config.tensors)
    base, model = _base(config, manifest, elsewhere=elsewhere)
    samples = load_samples(config.tensors, manifest)
    clips = make_clips(samples, torch.device("cpu"), torch.float32)
    transformer = empty_transformer(model.config("transformer") if model else base.shape.config())
    if model is not None:
        check_shapes(transformer, clips, config)
    modules = choose_modules(transformer, config.targets)
    if not elsewhere:
        _check_libraries(config)
    situation = look_at_samples(samples, base, machine)
    start = Start(
        config, situation, split_clips(clips, config.validation, config.seed), model, processes, 0
    )
    if resuming:
        start = replace(start, done=_check_resuming(start, run, manifest, modules))
    return start, notices


def _base(
    config: TrainConfig, manifest: Manifest, *, elsewhere: bool
) -> tuple[Base, BaseModel | None]:
    """The base model; only its size where a start would fetch it, or another machine trains."""
    try:
        model = base_model(config, manifest, download=False)
        return base_of(model), model
    except ModelError:
        wanted = [config.model or manifest.model["source"]]
        wanted += [str(manifest.model.get("name"))] * elsewhere
        known = [name for name in wanted if name in SHAPES]
        if not known:
            raise
        return find_base(known[0]), None


def _check_place(run: RunFolder) -> None:
    """Raise ``RunError`` if the run folder cannot be made, or another process trains into it."""
    there = nearest_folder(run.path)
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise RunError(
            f"cannot write to {run.path}: {there} is no folder that can be written to",
            hint="fix the permissions, or choose another -o",
        )
    if run.path.is_dir():
        with run.alone():
            pass


def _check_libraries(config: TrainConfig) -> None:
    """Raise ``ConfigError`` if a library is missing here."""
    check_storing(config.base_precision)
    make_optimizer(config, [nn.Parameter(torch.zeros(1))])


def _check_resuming(start: Start, run: RunFolder, manifest: Manifest, modules: list[str]) -> int:
    """The steps that are done. Raises ``RunError`` for other tensors, another model or step size,
    or if no checkpoint is whole."""
    model = start.model
    per_step = estimate(start.situation, start.config, start.processes, _parts(start))
    settings = {
        "tensors": {"fingerprint": manifest.fingerprint},
        "model": {"fingerprint": model.fingerprint if model else ""},
        "plan": {"samples_per_step": per_step.samples_per_step},
        "modules": modules,
    }
    check_same_data(run, settings)
    check_checkpoints(run)
    found = complete_checkpoints(run.checkpoints)
    return found[-1][0] if found else 0


def _parts(start: Start) -> Parts:
    held = {clip.name for clip in start.split.held_out}
    if not held:
        return Parts(len(start.split.train), 0)
    together = held | {clip.name for clip in training_side(start.split)}
    return Parts(len(start.split.train), len(together))


def outlook_text(start: Start, found: Estimate, probed: Probe | None) -> str:
    """An estimate for a terminal."""
    config = start.config
    clips = counted(len(start.split.train), "clip")
    batch = f"batch {config.batch_size} × accumulation {config.gradient_accumulation}"
    many = counted(start.processes, "process", "es")
    done = f", of which {start.done} are done" if start.done else ""
    memory = found.memory.sentence
    if probed is not None and probed.peak is not None:
        memory += f"; measured in these steps: {probed.peak / GIB:.1f} GiB allocated"
    rows = [
        ("base model", start.situation.base.name),
        ("songs", f"{clips} trained on; held out: {start.split.how}"),
        ("memory", memory),
        ("time", found.time.sentence),
        ("disk", found.disk.sentence),
        ("a step", f"{counted(found.samples_per_step, 'clip')} ({batch} × {many})"),
        ("steps", f"{found.time.steps} in {config.epochs} epochs{done}"),
        *((name.replace("_", " "), f"{choice.word} ({choice.why})")
          for name, choice in found.switches.items()),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {words}" for name, words in rows)


def _warnings(start: Start, found: Estimate) -> Iterator[Notice]:
    if not found.memory.fits:
        yield Notice(f"memory is short: {found.memory.sentence}")
        for cure in cures(start.situation, vars(start.config)):
            yield Notice(f"{cure.verb} {cure.flag}: {cure.reason}".lstrip())
    if not found.disk.fits:
        yield Notice(f"the disk is too small: {found.disk.sentence}")


def _facts(start: Start, found: Estimate, probed: Probe | None) -> dict[str, Any]:
    return {
        "dry_run": True,
        "base": start.situation.base.name,
        "machine": start.situation.machine.name,
        "clips": len(start.split.train),
        "held_out": start.split.how,
        "steps_done": start.done,
        "timed": probed is not None,
        "peak": probed.peak if probed else None,
        **found.as_dict(),
    }
