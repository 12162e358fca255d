"""What a job's events come to: how far it is, what it made, what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acestep import events
from acestep.events import Event
from acestep.terminal import duration
from acestep.web.job_files import EVENTS, Job
from acestep.web.words import say


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
        for line in whole.decode("utf-8", "replace").splitlines():
            try:
                fresh.append(events.from_json(line))
            except ValueError:
                continue  # a library's own line between ours
        self.events += fresh
        return fresh

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

    def _total_steps(self) -> int:
        starts = [event for event in self.events if isinstance(event, events.Started)]
        return int(starts[-1].facts.get("total_steps", 0)) if starts else 0


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
                return event.message.splitlines()[0]
            case events.Finished():
                return event.path
            case events.Stopped():
                return event.path
    return ""


def _seconds_a_step(seen: Sequence[Event]) -> float:
    estimates = [event for event in seen if isinstance(event, events.Estimate)]
    return estimates[-1].seconds_per_step if estimates else 0.0
