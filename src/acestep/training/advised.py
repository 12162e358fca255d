"""One piece of advice: a knob, its value and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acestep.config import TrainConfig
from acestep.knobs import number

PLAIN = ""  # the verb of advice that is no knob
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Advice:
    """One knob of a ``verb``, the value to give it, and why in one sentence.

    What is no knob has :data:`PLAIN` for a verb and plain words for a value.
    """

    knob: str
    value: Any
    reason: str
    verb: str = "train"

    @property
    def flag(self) -> str:
        """As it would be typed: ``--rank 64``; plain words where it is no knob."""
        if self.verb == PLAIN:
            return self.text
        name = "--" + self.knob.replace("_", "-")
        if isinstance(self.value, bool):
            return name if self.value else f"--no-{name[2:]}"
        return f"{name} {self.text}"

    @property
    def text(self) -> str:
        """The value for people."""
        return number(self.value) if isinstance(self.value, int | float) else str(self.value)


def config_of(plan: Given) -> TrainConfig:
    """The knobs that are settled so far, as a config of training; the tensors do not matter."""
    values = {name: value for name, value in plan.items() if name in TrainConfig.model_fields}
    return TrainConfig(**{"tensors": "tensors", **values})
