"""What a knob and a config are: type, default, hard limits, recommended range, one sentence.

Hard limits (``ge``, ``le``) are only what makes sense at all. ``recommended`` is the guide's range:
what a slider shows, and outside of which a verb says so.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from acestep.errors import ConfigError
from acestep.knobs import problems

TagPosition = Literal["prepend", "append", "replace"]
Device = Literal["cuda", "mps", "cpu"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Task = Literal["text2music", "cover", "repaint", "extract", "lego", "complete"]
AdapterFormat = Literal["peft", "diffusers", "comfyui", "upstream", "merged"]
TWO_LYRICS = "--lyrics and --lyrics-file: give one of the two"


def knob(
    default: Any,
    help: str,
    *,
    recommended: tuple[float, float] | None = None,
    times: str | None = None,
    unless: tuple[str, str] | None = None,
    bare: int | None = None,
    **limits: Any,
) -> Any:
    """A config field: default, one sentence, hard limits, and the guide's range if it has one.

    ``times`` names another knob that the recommended range is a multiple of; ``unless`` names one
    and the value of it beside which the range does not hold. ``bare`` is the value of a flag that
    is given without one.
    """
    extra: Any = {"recommended": recommended, "times": times, "unless": unless, "bare": bare}
    return Field(default, description=help, json_schema_extra=extra, **limits)


def output(default: Any, help: str) -> Any:
    """The field that ``-o`` / ``--output`` sets."""
    return knob(default, help, validation_alias=AliasChoices("output", "o"))


class Config(BaseModel):
    """Frozen, and strict about names: a misspelt knob is an error, not a surprise.

    Raises ``ConfigError`` that lists everything that is wrong with the values.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            refused = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
            wrong = problems(type(self), values, error)
            raise ConfigError(wrong + self._disagree_beside(values, refused)) from error
        if wrong := self.disagreements():
            raise ConfigError(wrong)

    def disagreements(self) -> list[str]:
        """Which knobs do not go together, a sentence each."""
        return []

    @classmethod
    def _disagree_beside(cls, values: dict[str, Any], refused: set[str]) -> list[str]:
        """Disagreements among the values that are right by themselves."""
        fine = {name: value for name, value in values.items() if name not in refused}
        for name, field in cls.model_fields.items():
            if field.is_required():
                fine.setdefault(name, "-")
        rest = cls.__new__(cls)
        BaseModel.__init__(rest, **fine)
        flags = [f"--{name.replace('_', '-')} " for name in refused]
        return [text for text in rest.disagreements() if not any(flag in text for flag in flags)]

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """One word is a list of one, metre 4 is "4"; nobody means this folder by an empty path."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if value == "" and kind in (Path, Path | None):
            raise ValueError("empty")
        is_list = kind in (list[str], list[Path], list[float])
        if is_list and isinstance(value, str | Path | int | float):
            return [value]
        is_metre = info.field_name == "timesignature" and type(value) is int
        return str(value) if is_metre else value
