"""How a run goes through the transformer: every switch, what it was set to, and why."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from acestep.events import Notice
from acestep.speed.levels import LEVELS, Level


@dataclass(frozen=True)
class Choice:
    """What one switch was set to and why; ``slower`` marks a fallback that costs speed alone."""

    value: str | int | bool
    why: str
    slower: bool = False

    @property
    def word(self) -> str:
        """The value for people."""
        if isinstance(self.value, bool):
            return "on" if self.value else "off"
        return str(self.value)

    def notice(self, name: str) -> Notice:
        """A line for the start of a run; a warning where something faster could not be had."""
        line = f"{name}: {self.word} ({self.why})"
        return Notice(line, "warning" if self.slower else "info")


@dataclass(frozen=True)
class Pace:
    """The switches of a run. None changes what is learned beyond the rounding of its numbers.

    ``precision`` is what is computed in (:mod:`acestep.speed.computing`) and ``base_precision`` how
    the frozen base lies in memory (:mod:`acestep.speed.precision`).
    ``attention`` is the kernel (:mod:`acestep.speed.attention`); ``checkpointing`` the level of
    recomputing (:mod:`acestep.speed.levels`); ``patches_at_once`` how many patches of several clips
    go through the model together, 0 for one clip at a time (:mod:`acestep.training.batches`).
    ``compiled``: whether the blocks are (:mod:`acestep.speed.compiled`); ``graphs``: whether passes
    are recorded as CUDA graphs (:mod:`acestep.speed.graphs`).
    """

    precision: Choice
    base_precision: Choice
    attention: Choice
    checkpointing: Choice
    patches_at_once: Choice
    compiled: Choice
    graphs: Choice

    @property
    def level(self) -> Level:
        """The level of checkpointing."""
        return LEVELS[LEVELS.index(self.checkpointing.value)]

    def values(self) -> dict[str, Any]:
        """The settings alone, by name."""
        return {field.name: getattr(self, field.name).value for field in fields(self)}

    def record(self) -> dict[str, Any]:
        """Settings and reasons, for a run's folder."""
        return asdict(self)

    def notices(self) -> list[Notice]:
        """One line a switch; a warning where something faster could not be had."""
        names = [field.name for field in fields(self)]
        return [getattr(self, name).notice(name.replace("_", " ")) for name in names]
