"""Showing events to a person or a program: readable lines, or one JSON record a line.

Progress bars, for a terminal, are in :mod:`acestep.bars`.
"""

import os
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from acestep import events
from acestep.events import Event
from acestep.knobs import number

SECONDS_PER_STEP_LINE = 10.0
SECONDS_PER_PROGRESS_LINE = 5.0
SECONDS_PER_EVALUATION_LINE = 2.0
LEAST_TIME_LEFT = 10.0  # seconds; a shorter wait is not announced
LINES_PER_RUN = 100  # the longer a run has been going on, the further apart its lines
_DETAILS = (events.Started, events.Progress, events.Step, events.Evaluation, events.Estimate)


class Screen(Protocol):
    """Where events are shown."""

    def show(self, event: Event) -> None:
        """Show one event. Raises ``BrokenPipeError`` if nobody reads any more."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def open_screen(out: TextIO, *, json: bool, quiet: bool) -> Screen:
    """The screen for an output: JSON, progress bars on a terminal, lines elsewhere.

    Of several processes only the main one speaks.
    """
    if not is_main_process():
        return Nothing()
    if json:
        screen: Screen = JsonLines(out)
    elif out.isatty() and not quiet and os.environ.get("TERM") != "dumb":
        from acestep.bars import Bars  # rich is for terminals only

        screen = Bars(out)
    else:
        screen = Lines(out)
    return Quiet(screen) if quiet else screen


def is_main_process() -> bool:
    """Whether this is the process that speaks, among those launched together."""
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    return rank == "0"


class Nothing:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Quiet:
    """Passes on only warnings, what was left out, texts that were asked for, and the end."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def show(self, event: Event) -> None:
        """Show the event if it matters to someone who wants quiet."""
        info = isinstance(event, events.Notice) and event.level == "info"
        if not info and not isinstance(event, (*_DETAILS, events.Sample, events.Saved)):
            self._screen.show(event)

    def close(self) -> None:
        """Close the screen behind."""
        self._screen.close()


class JsonLines:
    """Every event as one line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: Event) -> None:
        """Write and flush one line."""
        self._out.write(events.to_json(event) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing to do."""


class Lines:
    """Readable lines for pipes and files: steps and progress only now and then.

    ``clock`` gives seconds; tests pass their own.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._begun = clock()
        self._last: dict[str, float] = {}
        self._before: events.Progress | None = None
        self._sentences = Sentences(clock)

    def show(self, event: Event) -> None:
        """Write the event's line, unless one like it was written just now."""
        line = self._sentences.line(event)
        if line is not None and self._is_due(event):
            self._out.write(line + "\n")
            self._out.flush()

    def close(self) -> None:
        """Nothing to do."""

    def _is_due(self, event: Event) -> bool:
        match event:
            case events.Step():
                last = event.step == self._sentences.total_steps
                return last or self._rarely("step", SECONDS_PER_STEP_LINE)
            case events.Evaluation():
                return self._rarely("evaluation", SECONDS_PER_EVALUATION_LINE)
            case events.Progress():
                ends = begins_anew(event, self._before) or event.done == event.total
                self._before = event
                return self._rarely("progress", 0 if ends else SECONDS_PER_PROGRESS_LINE)
        return True

    def _rarely(self, kind: str, seconds: float) -> bool:
        now = self._clock()
        if seconds:
            seconds = max(seconds, (now - self._begun) / LINES_PER_RUN)
        due = now - self._last.get(kind, float("-inf")) >= seconds
        if due:
            self._last[kind] = now
        return due


class Sentences:
    """Events in words. Remembers what a run said first, to count and to leave out repetitions."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._facts: dict[str, Any] = {}
        self._skipped = 0
        self._progress: events.Progress | None = None
        self._first = (0.0, 0)  # when the present count began, and from where
        self.total_steps = 0
        self.epochs = 0

    def line(self, event: Event) -> str | None:
        """The event as text without a line end, or nothing if it has none of its own."""
        match event:
            case events.Started():
                self._facts = event.facts
                self.total_steps = int(event.facts.get("total_steps", 0))
                self.epochs = int(event.facts.get("epochs", 0))
                facts = facts_text(event.facts)
                return f"{event.verb}: {facts}" if facts else None
            case events.Progress():
                left = self._time_left(event)
                return " · ".join(
                    filter(None, [f"{event.done} of {event.total}", event.what, left])
                )
            case events.Step():
                return self._step(event)
            case events.Finished():
                return self._finished(event)
            case events.Skipped():
                self._skipped += 1
        return plain(event)

    def _time_left(self, event: events.Progress) -> str:
        """How long the rest of a count takes at its pace so far; nothing at its two ends."""
        if begins_anew(event, self._progress):
            self._first = (self._clock(), event.done)
        self._progress = event
        began, first = self._first
        if not first < event.done < event.total:
            return ""
        pace = (self._clock() - began) / (event.done - first)
        left = pace * (event.total - event.done)
        return f"about {duration(left)} left" if left >= LEAST_TIME_LEFT else ""

    def _step(self, event: events.Step) -> str:
        of_epochs = f"/{self.epochs}" if self.epochs else ""
        of_steps = f"/{self.total_steps}" if self.total_steps else ""
        return (
            f"epoch {event.epoch}{of_epochs} · step {event.step}{of_steps} · "
            f"loss {event.loss:.4f} · learning rate {_fact(event.learning_rate)}"
        )

    def _finished(self, event: events.Finished) -> str | None:
        took = duration(self._clock() - self._started)
        new = {key: fact for key, fact in event.facts.items() if self._facts.get(key) != fact}
        if self._skipped and "skipped" not in new:
            new["skipped"] = self._skipped
        facts = facts_text(new)
        if not event.path and not facts:
            return None  # what it had to say was its text
        where = f": {event.path}" if event.path else ""
        return f"done in {took}{where}" + (f" ({facts})" if facts else "")


def plain(event: Event) -> str | None:
    """The words of an event that need nothing but itself."""
    match event:
        case events.Notice():
            about = f"{event.about}: " if event.about else ""
            return f"{'note' if event.level == 'info' else event.level}: {about}{event.message}"
        case events.Skipped():
            return f"skipped {event.what}: {event.reason}" + _hint(event.hint)
        case events.Evaluation():
            return (
                f"epoch {event.epoch} · held-out loss {event.loss:.4f} "
                f"(base alone {event.base_loss:.4f})"
            )
        case events.Sample():
            who = f"epoch {event.epoch}" if event.step else "the base"
            return f"preview of {who}: {event.path}"
        case events.Estimate():
            left = duration(event.seconds_left)
            return f"{event.seconds_per_step:.3g} s a step, about {left} left"
        case events.Saved():
            return f"saved {event.what}: {event.path}"
        case events.Text():
            return event.text
        case events.Stopped():
            return f"stopped: {event.path} is saved; go on with\n  {event.resume}"
        case events.Failed():
            return failure(event.message, event.hint)
    return None


def failure(message: str, hint: str) -> str:
    """An error for a person: what is wrong, and what to do."""
    lines = [f"error: {line}" for line in message.splitlines()]
    return "\n".join([*lines, f"what to do: {hint}"] if hint else lines)


def facts_text(facts: dict[str, Any]) -> str:
    """Short facts in one line: ``model mini, device cpu``. Long and nested ones are left out."""
    words = []
    for key, fact in facts.items():
        text = _fact(fact)
        nested = isinstance(fact, dict | list | tuple)
        if fact not in (None, "") and not nested and len(text) <= 80 and "\n" not in text:
            words.append(f"{key.replace('_', ' ')} {text}")
    return ", ".join(words)


def _fact(fact: Any) -> str:
    match fact:
        case bool():
            return "on" if fact else "off"
        case float():
            return number(float(f"{fact:.4g}"))
    return str(fact)


def duration(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def begins_anew(event: events.Progress, before: events.Progress | None) -> bool:
    """Whether this counts another part of the work than the event before it."""
    return before is None or event.done < before.done or event.total != before.total


def _hint(hint: str) -> str:
    return f" ({hint})" if hint else ""
