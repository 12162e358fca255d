"""Say which settings suit what is there, and what to change after a run; nothing is trained."""

import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from acestep.checking.lights import Light, dataset_lights, tensor_lights
from acestep.config import AdviseConfig, TrainConfig
from acestep.data.packed import is_packed
from acestep.data.rows import dataset_file
from acestep.data.song import load_dataset
from acestep.errors import DatasetError
from acestep.events import Event, Finished, Notice, Started, Text
from acestep.knobs import build
from acestep.training.advice import Recommendation
from acestep.training.advice import advise as recommend
from acestep.training.afterwards import Afterwards, look_at_run
from acestep.training.estimate import Estimate
from acestep.training.probe import is_cheap, time_steps, with_probe
from acestep.training.run import RunFolder
from acestep.training.situation import Situation, look_at_dataset, look_at_tensors

MARKS = {"red": "RED  ", "amber": "amber", "green": "green", "grey": "?    "}


def advise(config: AdviseConfig) -> Iterator[Event]:
    """Look at tensors, a dataset file or a run, and yield text with a reason for every value.

    ``Finished.facts`` holds the same as plain values. Raises ``DatasetError`` or ``TensorError``
    for a source that cannot be read, ``RunError`` for a run, ``ModelError`` for a base model whose
    size nobody knows, ``ConfigError`` for a card or device that does not exist.
    """
    source = config.source
    yield Started("advise", {"source": str(source)})
    if RunFolder(source).exists():
        yield from _after(source)
    elif source.is_dir() and (is_packed(source) or any(source.glob("*.pt"))):
        lights = tensor_lights(source)
        situation = look_at_tensors(source, config.model, config.gpu, config.device)
        yield from _before(config, situation, lights)
    elif dataset_file(source).is_file():
        lights = dataset_lights(load_dataset(source))
        situation = look_at_dataset(source, config.model, config.gpu, config.device)
        yield from _before(config, situation, lights)
    else:
        what = "holds neither tensors nor a run" if source.is_dir() else "is not there"
        raise DatasetError(
            f"{source} {what}", hint="name a folder of tensors, a dataset file or a run folder"
        )


# Before a run


def _before(config: AdviseConfig, situation: Situation, lights: Sequence[Light]) -> Iterator[Event]:
    yield Text(lights_table(lights))
    advice = recommend(situation)
    yield Text(settings_table(advice))
    found = yield from _probe(config, situation, advice)
    yield Text(f"memory: {found.memory.sentence}")
    yield Text(f"time: {found.time.sentence}")
    yield Text(f"disk: {found.disk.sentence}")
    tensors = config.source if situation.measured else Path("tensors")
    yield Text(f"\n{advice.command(tensors, Path('runs') / _name(config.source))}")
    facts: dict[str, Any] = advice.as_dict() | {"lights": [light.as_dict() for light in lights]}
    yield Finished("advise", str(config.source), facts | found.as_dict())


def _probe(
    config: AdviseConfig, situation: Situation, advice: Recommendation
) -> Generator[Event, None, Estimate]:
    """The estimate, with a few real steps in it where that is cheap and possible."""
    found = advice.estimate
    here = situation.machine.here and situation.base.present and situation.measured
    if not (config.probe and here) or not is_cheap(found.time):
        return found
    beside = {"tensors": config.source, "model": config.model, "device": config.device}
    given = {name: value for name, value in beside.items() if value is not None}
    try:
        return with_probe(found, time_steps(build(TrainConfig, {**given, **advice.values()})))
    except torch.OutOfMemoryError:
        yield Notice("a step on this device runs out of memory, whatever is computed again")
    return found


def lights_table(lights: Sequence[Light]) -> str:
    """The traffic lights for a terminal."""
    lines = ["the songs, by the guide's table:"]
    width = max(len(light.item) for light in lights)
    lines += [
        f"  {MARKS[light.colour]}  {light.item:<{width}}  {light.found}: {light.words}"
        for light in lights
    ]
    return "\n".join(lines)


def settings_table(advice: Recommendation) -> str:
    """The settings with their reasons for a terminal."""
    lines = ["\nsettings:"]
    rows = [
        (f"{'preprocess ' if one.verb == 'preprocess' else ''}{one.flag}", one.reason)
        for one in advice.settings
    ]
    width = max(len(flag) for flag, _ in rows)
    return "\n".join([*lines, *(f"  {flag:<{width}}  {reason}" for flag, reason in rows), ""])


def _name(source: Path) -> str:
    """A name for the run: the dataset's folder's, in plain letters."""
    plain = re.sub(r"[^\w-]+", "-", source.resolve().parent.name).strip("-")
    return plain or "adapter"


# After a run


def _after(run: Path) -> Iterator[Event]:
    found = look_at_run(run)
    yield Text(after_text(found))
    yield Finished("advise", str(run), found.as_dict())


def after_text(found: Afterwards) -> str:
    """What a run shows and what to change, for a terminal."""
    lines = [f"what the run shows: {found.verdict}", *(f"  {line}" for line in found.seen)]
    if not found.advice:
        return "\n".join([*lines, "", "nothing needs to be changed"])
    lines += ["", "next time:"]
    lines += [f"  {one.flag}\n      {one.reason}" for one in found.advice]
    return "\n".join(lines)
