"""Reading a config class: what its knobs are called, take and mean, and what is wrong with a value.

Flags, help texts, the table in the documentation, error messages and the range of a slider all come
from the records that :func:`knobs` returns.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

Kind = Literal["switch", "integer", "number", "text", "path", "choice"]
ConfigT = TypeVar("ConfigT", bound=BaseModel)

T = TypeVar("T")
_POSITIONAL = "positional"
Positional = Annotated[T, _POSITIONAL]  # a field that is given by its place, not by a flag

_KINDS: dict[type, Kind] = {
    bool: "switch",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
}
_NOUNS: dict[Kind, str] = {
    "switch": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "text": "text",
    "path": "a path",
    "choice": "one of",
}
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class Knob:
    """One field of a config.

    ``flags`` are its spellings on the command line, the usual one first; empty for a positional.
    ``limits`` are the hard ones (``ge``, ``gt``, ``le``, ``lt``). ``recommended`` is the guide's
    range, in multiples of the knob ``times`` if that is named, and not where the knob ``unless[0]``
    is ``unless[1]``. ``count`` is how many values it takes: one, a fixed number, or None for a flag
    that may be given several times. ``bare`` is what the flag means without a value, if anything.
    """

    name: str
    flags: tuple[str, ...]
    kind: Kind
    help: str
    required: bool
    default: Any
    choices: tuple[str, ...]
    limits: dict[str, float]
    recommended: tuple[float, float] | None
    times: str | None
    unless: tuple[str, str] | None
    count: int | None
    bare: int | None = None

    @property
    def label(self) -> str:
        """What the user calls it: ``--learning-rate``, or ``SONGS`` where it is a position."""
        return self.flags[0] if self.flags else self.name.upper()

    def allowed(self) -> str:
        """What a value must be, as the end of a sentence."""
        noun = _NOUNS[self.kind]
        if self.choices:
            noun = f"one of {', '.join(self.choices)}"
        if self.limits.keys() == {"ge", "le"}:
            limits = f"from {number(self.limits['ge'])} to {number(self.limits['le'])}"
        else:
            limits = " and ".join(f"{_LIMITS[k]} {number(v)}" for k, v in self.limits.items())
        sentence = f"{noun}, {limits}" if limits else noun
        return sentence if self.count in (1, None) else f"{self.count} values, each {sentence}"

    def range_text(self) -> str:
        """The guide's range: ``8–256``, ``rank–4 × rank``; empty if it has none."""
        if self.recommended is None:
            return ""
        low, high = (number(bound) for bound in self.recommended)
        if self.times is None:
            return f"{low}–{high}"
        return f"{low} × {self.times} – {high} × {self.times}"

    def default_text(self) -> str:
        """The default as a user would write it; empty if it is nothing."""
        match self.default:
            case None | "" | ():
                return ""
            case bool():
                return "on" if self.default else ""
            case float():
                return number(self.default)
            case tuple():
                return " ".join(
                    str(value) if isinstance(value, Path) else number(value)
                    for value in self.default
                )
        return str(self.default)


@lru_cache
def knobs(config_class: type[BaseModel]) -> tuple[Knob, ...]:
    """The knobs of a config class, in the order of their declaration."""
    return tuple(_knob(name, field) for name, field in config_class.model_fields.items())


def build(config_class: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """A config from values by name. Raises ``ConfigError`` that lists all that is wrong."""
    return config_class(**values)


def problems(
    config_class: type[BaseModel], values: dict[str, Any], error: ValidationError
) -> list[str]:
    """A sentence for each knob that pydantic refused: its flag, the value, what it must be."""
    named = {knob.name: knob for knob in knobs(config_class)}
    spelt = {_plain(flag): knob for knob in named.values() for flag in knob.flags} | named
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        knob = spelt.get(name)
        if knob is None:
            sentence = unknown(name, list(named)) if name else str(detail["msg"])
        elif detail["type"] == "missing" and len(detail["loc"]) == 1:
            sentence = f"{knob.label} is missing: {knob.help}"
        else:
            value = values.get(name, detail["input"]) if knob.count != 1 else detail["input"]
            sentence = refusal(knob, value)
        found.setdefault(name or sentence, sentence)
    return list(found.values())


def _plain(flag: str) -> str:
    """A flag as a keyword: ``--task-type`` is ``task_type``."""
    return flag.strip("-").replace("-", "_")


def refusal(knob: Knob, value: Any) -> str:
    """What to say about a value that a knob cannot have."""
    given = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    guide = f"; recommended: {knob.range_text()}" if knob.recommended else ""
    return f"{knob.label} {given or repr(given)}: must be {knob.allowed()}{guide}"


def unknown(name: str, known: list[str], value: str = "") -> str:
    """What to say about a name that does not exist, with the likeliest one that does."""
    guess = nearest(name, known)
    given = f"{name} {value}" if value else name
    return f"{given}: unknown" + (f"; did you mean {guess}?" if guess else "")


def nearest(name: str, known: list[str]) -> str | None:
    """The name that was probably meant: nearly the same, its initials, or a part of it."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if close:
        return close[0]
    typed = name.strip("-").replace("_", "-")
    for candidate in known:
        words = candidate.strip("-").replace("_", "-").split("-")
        if len(typed) > 1 and typed == "".join(word[:1] for word in words):
            return candidate
    for candidate in known:
        if len(typed) > 2 and typed in candidate.replace("_", "-"):
            return candidate
    return None


def outside_recommended(config: BaseModel) -> list[str]:
    """A sentence for each given value that lies outside the guide's range.

    Values that were not given, or whose range does not hold beside other knobs, are passed over.
    """
    sentences = []
    for knob in knobs(type(config)):
        value = config.__dict__[knob.name]
        if knob.recommended is None or value is None or knob.name not in config.model_fields_set:
            continue
        if knob.unless and config.__dict__[knob.unless[0]] == knob.unless[1]:
            continue
        factor = 1.0 if knob.times is None else config.__dict__[knob.times]
        low, high = (bound * factor for bound in knob.recommended)
        if not low <= value <= high:
            sentences.append(
                f"{knob.label} {number(value)} is outside the guide's {number(low)}–{number(high)}"
            )
    return sentences


def knob_table(config_class: type[BaseModel]) -> str:
    """The knobs as a Markdown table: flag, default, range, what it is."""
    rows = ["| flag | default | range | |", "|---|---|---|---|"]
    for knob in knobs(config_class):
        flag = ", ".join(f"`{name}`" for name in knob.flags) or f"`{knob.label}`"
        limits = knob.allowed() if knob.choices or knob.limits else ""
        ranges = "; ".join(filter(None, [limits, _recommended(knob)]))
        default = f"`{text}`" if (text := knob.default_text()) else ""
        cells = [flag, "required" if knob.required else default, ranges, knob.help]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def knobs_page(commands: Mapping[str, type[BaseModel]]) -> str:
    """The page of the documentation that lists every knob of every command."""
    parts = [
        "# Every knob",
        "",
        "Written from `src/acestep/configs/` by `scripts/write_knobs.py`. A range that is called",
        "recommended is the guide's: outside of it a command warns and goes on.",
    ]
    for name, config_class in commands.items():
        if knobs(config_class):
            sentence = (config_class.__doc__ or "").strip().splitlines()[0]
            parts += ["", f"## acestep {name}", "", sentence, "", knob_table(config_class)]
    return "\n".join(parts) + "\n"


def knob_records(config_class: type[BaseModel]) -> list[dict[str, Any]]:
    """The knobs as plain JSON values."""
    return [
        {
            "name": knob.name,
            "flags": list(knob.flags),
            "kind": knob.kind,
            "count": knob.count,
            "required": knob.required,
            "default": _plain_value(knob.default),
            "choices": list(knob.choices),
            "limits": knob.limits,
            "recommended": knob.recommended and list(knob.recommended),
            "times": knob.times,
            "unless": knob.unless and list(knob.unless),
            "help": knob.help,
        }
        for knob in knobs(config_class)
    ]


def _plain_value(value: Any) -> Any:
    """Paths as text, alone or in a list."""
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def counted(many: int, what: str, ending: str = "s") -> str:
    """So many of something: ``1 song``, ``3 songs``, ``2 processes``."""
    return f"{many} {what}" + ("" if many == 1 else ending)


def number(value: float) -> str:
    """A number as people write it: ``0.1``, ``64``, ``1e-4``."""
    if 0 < value < 1e-2:
        digits, _, exponent = f"{value:.12e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.12g}" if abs(value) < 1e12 else f"{value:.3g}"


def _recommended(knob: Knob) -> str:
    return f"recommended {knob.range_text()}" if knob.recommended else ""


def _knob(name: str, field: FieldInfo) -> Knob:
    inner, count = _unwrap(field.annotation)
    choices = tuple(map(str, get_args(inner))) if get_origin(inner) is Literal else ()
    extra: Any = field.json_schema_extra or {}
    default = None if field.is_required() else field.default
    return Knob(
        name=name,
        flags=() if _POSITIONAL in field.metadata else _flags(name, field),
        kind="choice" if choices else _KINDS[inner],
        help=field.description or "",
        required=field.is_required(),
        default=tuple(default) if isinstance(default, list) else default,
        choices=choices,
        limits=_limits(field),
        recommended=extra.get("recommended"),
        times=extra.get("times"),
        unless=extra.get("unless"),
        count=count,
        bare=extra.get("bare"),
    )


def _unwrap(annotation: Any) -> tuple[Any, int | None]:
    """The type of one value, and how many there are: ``list[Path] | None`` → ``Path, None``."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is list:
        return get_args(annotation)[0], None
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], len(get_args(annotation))
    return annotation, 1


def _flags(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    names = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
    return tuple(("--" if len(word) > 1 else "-") + word.replace("_", "-") for word in names)


def _limits(field: FieldInfo) -> dict[str, float]:
    found: dict[str, Any] = {}
    for limit in field.metadata:
        match limit:
            case Ge(bound):
                found["ge"] = bound
            case Gt(bound):
                found["gt"] = bound
            case Le(bound):
                found["le"] = bound
            case Lt(bound):
                found["lt"] = bound
    return found
