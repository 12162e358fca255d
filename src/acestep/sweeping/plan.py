"""A sweep's file: TOML with the knobs of ``acestep sweep``, and two tables of knobs of ``train``::

tensors = "tensors"
trials = 20

[train]                    # the same in every trial
dropout = 0.1

[search]                   # what is tried
rank = [16, 32, 64]
learning_rate = { low = 1e-5, high = 1e-3, log = true }
epochs = { low = 100, high = 500, step = 100 }
"""

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from acestep.config import SweepConfig, TrainConfig
from acestep.data.files import shown
from acestep.errors import ConfigError
from acestep.knobs import Knob, knobs, unknown

DEFAULT_TRIALS = 20
TABLES = ("train", "search")
# What the sweep decides itself
OURS = {"tensors", "output", "resume", "dry_run"}
# What loss is measured with: between trials that differ in it no losses can be compared
YARDSTICK = {
    "model", "precision", "seed", "shift", "timesteps", "teach_guidance", "validation",
    "accept_foreign",
}  # fmt: skip
# The same for all, if anything
_ASKED = {
    "device", "auto", "gpu", "gradient_checkpointing", "memory_limit", "patches_at_once",
    "compile", "cuda_graphs",
    "preview_every", "preview", "preview_seconds",
}  # fmt: skip
_RANGE = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``whole`` ones if the knob wants them."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def values(self) -> list[float] | None:
        """Every value there is, or None where they cannot be counted."""
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return [self.low + number * step for number in range(count)]


Choices = tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """A checked file. ``given`` is what was asked for, ``config`` that with what the file says;
    ``fixed`` and ``search`` are knobs of train by name."""

    given: SweepConfig
    config: SweepConfig
    tensors: Path
    output: Path
    fixed: dict[str, Any]
    search: dict[str, Choices | Range]

    @property
    def combinations(self) -> list[dict[str, Any]] | None:
        """Every combination, where they can be counted."""
        spaces = []
        for space in self.search.values():
            values = list(space) if isinstance(space, tuple) else space.values()
            if values is None:
                return None
            spaces.append(values)
        return [dict(zip(self.search, values, strict=True)) for values in product(*spaces)]

    @property
    def longest(self) -> int:
        """Epochs of the longest trial; 0 where the trials choose for themselves."""
        space = self.search.get("epochs")
        if isinstance(space, Range):
            return int(space.high)
        if space:
            return max(space)
        usual = 0 if self.fixed.get("auto") else TrainConfig.model_fields["epochs"].default
        return self.fixed.get("epochs", usual)

    @property
    def shortest(self) -> int:
        """Epochs up to a trial's first evaluation."""
        usual = TrainConfig.model_fields["validate_every"].default
        return self.fixed.get("validate_every", min(usual, self.longest or usual))

    @property
    def trials(self) -> int:
        """How many trials there are to be in all."""
        combinations = self.combinations
        if self.config.sampler == "grid" and combinations is not None:
            return min(self.config.trials or len(combinations), len(combinations))
        return self.config.trials or DEFAULT_TRIALS

    def settled(self) -> dict[str, Any]:
        """What trials of one sweep have in common, as plain values."""
        spaces = {
            name: list(space) if isinstance(space, tuple) else vars(space)
            for name, space in self.search.items()
        }
        return {
            "tensors": str(self.tensors),
            "judge": self.config.judge,
            "train": self.fixed,
            "search": spaces,
        }


def read_plan(config: SweepConfig) -> Plan:
    """Read and check a sweep's file; flags that were given count before what it says.

    Raises ``ConfigError`` that lists everything that is wrong, each with its line.
    """
    file = config.sweep
    text, values = _read(file)
    tables = {name: values.pop(name, {}) for name in TABLES}
    reader = _Reader(file, text)
    settled = reader.settings(values, config)
    fixed = reader.knobs_of("train", tables["train"])
    search = reader.spaces(tables["search"], fixed)
    reader.judge(settled, fixed, search)
    if reader.wrong:
        raise ConfigError(reader.wrong, hint="see docs/sweep.md for what a sweep's file holds")
    assert settled is not None and settled.tensors is not None
    # A flag's path is the user's, relative to where they are; the file's is relative to the file
    own = config.model_fields_set
    tensors = settled.tensors if "tensors" in own else _beside(file, settled.tensors)
    output = settled.output or Path(file.stem)
    output = output if "output" in own else _beside(file, output)
    return Plan(config, settled, tensors, output, fixed, search)


def _beside(file: Path, path: Path) -> Path:
    return Path(os.path.normpath(file.parent / path))


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"{shown(file)} cannot be read: {reason}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            [f"{shown(file)} is not TOML: {error}"],
            hint="text in quotes, lists in [ ], a table begins with its [name]",
        ) from error


class _Reader:
    """Collects what is wrong while a file is read."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self._wrong: list[tuple[int, str]] = []
        self._lines = _line_numbers(text)
        self._knobs = {knob.name: knob for knob in knobs(TrainConfig)}

    def say(self, table: str, key: str, problem: str) -> None:
        """Note a problem with its place."""
        line = self._lines.get((table, key)) or self._lines.get((table, ""))
        where = f"{shown(self.file)}{f', line {line}' if line else ''}"
        self._wrong.append((line or 0, f"{where}: {f'[{table}] ' if table else ''}{problem}"))

    @property
    def wrong(self) -> list[str]:
        """Every problem, from the top of the file to its end."""
        return [problem for _, problem in sorted(self._wrong, key=lambda each: each[0])]

    def settings(self, values: dict[str, Any], config: SweepConfig) -> SweepConfig | None:
        """The knobs of the sweep itself: those given as flags, else the file's."""
        known = {knob.name: knob for knob in knobs(SweepConfig) if knob.name != "sweep"}
        for key in [key for key in values if key not in known]:
            del values[key]
            self.say("", key, unknown(key, [*known, *TABLES]))
        fine = {}
        for key, value in values.items():
            try:
                fine[key] = vars(SweepConfig(sweep=self.file, **{key: value}))[key]
            except ConfigError as error:
                self.say("", key, error.problems[0].removeprefix("--"))
        given = {name: vars(config)[name] for name in config.model_fields_set}
        settled = SweepConfig(**{**fine, **given})
        if settled.tensors is None and "tensors" not in values:
            self.say("", "tensors", "tensors is missing: the folder that preprocess wrote")
        return settled

    def knobs_of(self, table: str, values: Any) -> dict[str, Any]:
        """Knobs of train with one value each."""
        if not isinstance(values, dict):
            self.say("", table, f"{table} is no table: write [{table}] above its knobs")
            return {}
        found = {}
        for key, value in values.items():
            if self._may(table, key) and self._fits(table, key, value):
                found[key] = value
        return found

    def spaces(self, values: Any, fixed: Mapping[str, Any]) -> dict[str, Choices | Range]:
        """What is tried of each knob."""
        if not isinstance(values, dict):
            self.say("", "search", "search is no table: write [search] above its knobs")
            return {}
        found: dict[str, Choices | Range] = {}
        for key, value in values.items():
            if not self._may("search", key):
                continue
            if key in fixed:
                self.say("search", key, f"{key} is in [train] too: it is tried or the same for all")
            space = self._space(key, value)
            if space is not None:
                found[key] = space
        if not values:
            self.say("", "search", "[search] is missing: nothing would be tried")
        return found

    def judge(
        self, config: SweepConfig | None, fixed: Mapping[str, Any], search: Mapping[str, Any]
    ) -> None:
        """What goes with the way trials are judged and chosen."""
        if config is None:
            return
        if config.judge == "loss":
            for key in sorted(YARDSTICK & search.keys()):
                self.say("search", key, f"{key} changes what held-out loss measures: judge = "
                         '"evaluate" compares what is heard')  # fmt: skip
            if fixed.get("validation") == 0:
                self.say("train", "validation", "validation 0: trials are judged by held-out loss")
        if config.sampler == "grid":
            for key, space in search.items():
                if isinstance(space, Range) and space.values() is None:
                    self.say("search", key, f"{key}: a grid needs a list, or a range with a step")

    def _may(self, table: str, key: str) -> bool:
        if key not in self._knobs:
            self.say(table, key, unknown(key, list(self._knobs)))
        elif key in OURS:
            self.say(table, key, f"{key} is set by the sweep")
        elif table == "search" and key in _ASKED:
            self.say(table, key, f"{key} is nothing to try; it may stand in [train]")
        else:
            return True
        return False

    def _fits(self, table: str, key: str, value: Any) -> bool:
        try:
            TrainConfig(tensors=Path("tensors"), **{key: value})
        except ConfigError as error:
            self.say(table, key, error.problems[0].removeprefix("--"))
            return False
        return True

    def _space(self, key: str, value: Any) -> Choices | Range | None:
        if isinstance(value, dict):
            return self._range(self._knobs[key], value)
        if not isinstance(value, list) or not value:
            self.say(
                "search",
                key,
                f"{key} {value!r}: must be a list of values, or {{ low = …, high = … }}",
            )
            return None
        fits = [self._fits("search", key, each) for each in value]
        if len({str(each) for each in value}) < len(value):
            self.say("search", key, f"{key}: a value is there twice")
            return None
        return tuple(value) if all(fits) else None

    def _range(self, knob: Knob, value: dict[str, Any]) -> Range | None:
        key = knob.name
        if knob.kind not in ("integer", "number"):
            self.say("search", key, f"{key} has no range: give a list")
            return None
        wrong = [unknown(name, sorted(_RANGE)) for name in value.keys() - _RANGE]
        wrong += [f"{name} is missing" for name in ("low", "high") if name not in value]
        wrong += [
            f"{name} {number!r}: must be a number"
            for name, number in value.items()
            if name in ("low", "high", "step") and not _is_number(number, knob)
        ]
        if not isinstance(value.get("log", False), bool):
            wrong.append(f"log {value['log']!r}: must be true or false")
        if not any(name in text for text in wrong for name in ("low", "high", "log ", "step ")):
            wrong += _disagree(value)
        for problem in wrong:
            self.say("search", key, f"{key}: {problem}")
        if wrong or not all([self._fits("search", key, value[end]) for end in ("low", "high")]):
            return None
        whole = knob.kind == "integer"
        return Range(value["low"], value["high"], value.get("log", False), value.get("step"), whole)


def _is_number(value: Any, knob: Knob) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and (knob.kind == "number" or isinstance(value, int))


def _disagree(value: Mapping[str, Any]) -> list[str]:
    wrong = []
    if not value["low"] < value["high"]:
        wrong.append(f"low {value['low']} is not below high {value['high']}")
    if value.get("log") and value["low"] <= 0:
        wrong.append(f"low {value['low']}: must be above 0 where log is true")
    if value.get("log") and "step" in value:
        wrong.append("step and log: give one of the two")
    if "step" in value and value["step"] <= 0:
        wrong.append(f"step {value['step']}: must be above 0")
    return wrong


def _line_numbers(text: str) -> dict[tuple[str, str], int]:
    """The line of each key by table and key; of a table itself, with an empty key."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = match[1]
            found.setdefault((table, ""), number)
        elif match := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line):
            found.setdefault((table, match[1]), number)
    return found
