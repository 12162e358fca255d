"""What a verb says while it works: frozen records, one line of JSON each.

A verb yields these; the command line prints them, a run folder keeps them in ``events.jsonl``, a
page reads them from there. ``to_json`` and ``from_json`` are exact inverses.
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Started:
    """A verb begins. ``facts`` holds what it found out first (device, songs, parameters …)."""

    verb: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` units of work; ``what`` names the current one (a song, a file)."""

    verb: str
    done: int
    total: int
    what: str = ""


@dataclass(frozen=True)
class Notice:
    """Something the user should know; the work goes on. ``level`` is ``info`` or ``warning``."""

    message: str
    level: str = "warning"
    about: str = ""


@dataclass(frozen=True)
class Skipped:
    """One song or file was left out, and why; the rest goes on."""

    what: str
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Step:
    """One optimizer step. ``loss`` is the mean over the step's samples, before the update."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    grad_norm: float


@dataclass(frozen=True)
class Evaluation:
    """Held-out loss at fixed times and fixed noise, for the adapter and for the base alone.

    ``songs`` holds it by song, ``bands`` by noise (high, middle, low). ``low`` and ``high`` are the
    90 % interval of ``loss − base_loss``. ``training_loss`` is measured likewise on training songs:
    on the rest of the same clips, or on as many clips as are held out. Logs of earlier versions
    have only the first five fields.
    """

    step: int
    epoch: int
    loss: float
    base_loss: float
    songs: dict[str, float] = field(default_factory=dict)
    base_songs: dict[str, float] = field(default_factory=dict)
    bands: dict[str, float] = field(default_factory=dict)
    base_bands: dict[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    training_loss: float | None = None
    base_training_loss: float | None = None


@dataclass(frozen=True)
class Sample:
    """A preview: what the model plays for a caption at this point of a run; at step 0 the base.

    ``path`` is the audio of ``seconds``, ``picture`` its spectrogram. ``kind`` says what the prompt
    is: ``training`` (a song's own), ``new``, ``untagged`` (the new one without the tag) or ``own``
    (given by the user).
    """

    path: str
    picture: str
    caption: str
    seed: int
    step: int
    epoch: int
    seconds: float
    kind: str = "own"


@dataclass(frozen=True)
class Estimate:
    """How long the rest will take, in seconds, measured on the first steps."""

    step: int
    total_steps: int
    seconds_per_step: float
    seconds_left: float


@dataclass(frozen=True)
class Saved:
    """A file or folder was written. ``what`` is its kind: dataset, tensors, checkpoint, audio …"""

    what: str
    path: str


@dataclass(frozen=True)
class Text:
    """Text meant to be read as it is (the encoder's view of a song, a table)."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The verb is done; ``path`` is its artefact."""

    verb: str
    path: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stopped:
    """The verb was asked to stop, has saved, and says how to go on."""

    verb: str
    path: str
    resume: str


@dataclass(frozen=True)
class Failed:
    """The verb failed with a typed error."""

    error: str
    message: str
    hint: str = ""


Event = (
    Started
    | Progress
    | Notice
    | Skipped
    | Step
    | Evaluation
    | Sample
    | Estimate
    | Saved
    | Text
    | Finished
    | Stopped
    | Failed
)
KINDS: dict[str, type] = {kind.__name__.lower(): kind for kind in Event.__args__}


def to_json(event: Event) -> str:
    """One line of strict JSON; numbers that JSON lacks (NaN, ±Inf) become strings."""
    record = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(_strict(record), ensure_ascii=False, allow_nan=False)


def from_json(line: str) -> Event:
    """Read a line that :func:`to_json` wrote.

    Raises ``ValueError`` for anything else; fields added by a newer version are ignored.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or record.get("event") not in KINDS:
        raise ValueError(f"not an event: {line[:80]!r}")
    kind = KINDS[record["event"]]
    known = {f.name: f.type for f in fields(kind)}
    values = {name: value for name, value in record.items() if name in known}
    return kind(**{name: _numbers(value, known[name]) for name, value in values.items()})


def _numbers(value: Any, kind: Any) -> Any:
    """A field's value; numbers that JSON lacks stand in it as strings."""
    if kind in (float, float | None) and isinstance(value, str):
        return float(value)
    if kind == dict[str, float] and isinstance(value, dict):
        return {key: _numbers(number, float) for key, number in value.items()}
    return value


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
