"""What a job's events come to: how far it is, what it made, what went wrong."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from acestep import events
from acestep.events import Event
from acestep.terminal import duration
from acestep.web.job_files import EVENTS, UNDER_WAY, Job, State
from acestep.web.words import say

KEPT = 8  # jobs whose events are remembered
LAST_BYTES = 16_384


@dataclass
class Followed:
    """A job's events so far, read on from where it was left each time."""

    job: Job
    events: list[Event] = field(default_factory=list)
    _offset: int = 0

    def read_on(self) -> list[Event]:
        """The events that came since the last call; a line that is being written waits."""
        file = self.job.folder / EVENTS
        if not file.exists():
            return []
        with file.open("rb") as stream:
            stream.seek(self._offset)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        fresh = []
        for line in whole.decode("utf-8", "replace").split("\n"):
            try:
                fresh.append(events.from_json(line))
            except (ValueError, TypeError):
                continue  # a library's own line between ours
        self.events += fresh
        return fresh

    def begin_near_the_end(self) -> None:
        """Leave out all but the last that was said; a line cut there is passed over."""
        file = self.job.folder / EVENTS
        if file.exists():
            self._offset = max(file.stat().st_size - LAST_BYTES, 0)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Message and hint of what it failed with, if it did."""
        failures = [event for event in self.events if isinstance(event, events.Failed)]
        return (failures[-1].message, failures[-1].hint) if failures else None

    @property
    def made(self) -> str:
        """The path of what it made, once it has finished."""
        ends = [event for event in self.events if isinstance(event, events.Finished)]
        return ends[-1].path if ends else ""

    def files(self, what: str) -> list[Path]:
        """The files of a kind that it saved."""
        saved = [event for event in self.events if isinstance(event, events.Saved)]
        return [Path(event.path) for event in saved if event.what == what]

    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        total = self.total_steps()
        for event in reversed(self.events):
            if isinstance(event, events.Step) and total:
                return min(event.step / total, 1.0)
            if isinstance(event, events.Progress) and event.total:
                return min(event.done / event.total, 1.0)
            if isinstance(event, events.Finished):
                return 1.0
        return 0.0

    def total_steps(self) -> int:
        """How many steps a training takes; 0 before it has said so."""
        starts = [event for event in self.events if isinstance(event, events.Started)]
        return int(starts[-1].facts.get("total_steps", 0)) if starts else 0


class Following:
    """The jobs that pages look at, each read on from where it was left, for all pages together.

    A long training says tens of thousands of things; reading them all once a second is too slow.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Path, Followed] = OrderedDict()
        self._ended: dict[tuple[Path, str], str] = {}
        self._lock = Lock()

    def of(self, job: Job) -> Followed:
        """A job's events up to now."""
        with self._lock:
            followed = self._known.setdefault(job.folder, Followed(job))
            self._known.move_to_end(job.folder)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            followed.read_on()
            return followed

    def last_words(self, job: Job, language: str) -> str:
        """What :func:`progress_text` says of a job that has ended, by the end of its events."""
        key = (job.folder, language)
        if key not in self._ended:
            followed = Followed(job)
            followed.begin_near_the_end()
            followed.read_on()
            self._ended[key] = progress_text(followed, language)
        return self._ended[key]


def trouble(followed: Followed, state: State, language: str) -> tuple[str, str] | None:
    """Message and hint for a job that went wrong, also where it could not say so itself.

    ``state`` was asked before its events were read: what it says of a failure is whole only once it
    has ended.
    """
    if state in UNDER_WAY:
        return None
    if followed.problem:
        return followed.problem
    if state != "failed":
        return None
    code = followed.job.code() or 0
    key = "job.killed" if code < 0 else "job.crashed"
    return say(language, key, number=abs(code)), say(language, f"{key}.hint")


def progress_text(followed: Followed, language: str) -> str:
    """One line: how far, what, and how long the rest takes."""
    for event in reversed(followed.events):
        match event:
            case events.Step():
                text = f"epoch {event.epoch} · step {event.step} · loss {event.loss:.4f}"
                pace = _seconds_a_step(followed.events)
                if pace:
                    text += f" · {pace:.3g} s/step"
                left = pace * (followed.total_steps() - event.step)
                if left > 0:
                    text += " · " + say(language, "job.left", time=duration(left))
                return text
            case events.Progress():
                return " · ".join(filter(None, [f"{event.done}/{event.total}", event.what]))
            case events.Failed():
                return event.message.partition("\n")[0]
            case events.Finished():
                return event.path
            case events.Stopped():
                return event.path
    return ""


def _seconds_a_step(seen: Sequence[Event]) -> float:
    estimates = [event for event in seen if isinstance(event, events.Estimate)]
    return estimates[-1].seconds_per_step if estimates else 0.0
