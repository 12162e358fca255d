"""Progress bars on a terminal, with rate and time left; everything else is printed above them."""

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from acestep import events
from acestep.events import Event
from acestep.knobs import number
from acestep.terminal import Sentences, begins_anew

STYLES = {"warning": "yellow", "info": ""}


class Bars:
    """A terminal: one bar for what is being done, lines for what has happened."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._before: events.Progress | None = None
        self._sentences = Sentences(clock)
        self._numbers: dict[str, str] = {}

    def show(self, event: Event) -> None:
        """Move the bar, or print a line above it."""
        match event:
            case events.Progress():
                self._count(event)
            case events.Step():
                self._step(event)
            case events.Text():
                self._out.write(event.text + "\n")  # as it is: nothing wrapped, nothing styled
                self._out.flush()
            case _:
                self._print(event)

    def close(self) -> None:
        """Take the bar away and give the cursor back."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _print(self, event: Event) -> None:
        line = self._sentences.line(event)
        if isinstance(event, events.Evaluation):
            self._numbers["held-out"] = f"{event.loss:.4f}"
        if isinstance(event, events.Finished | events.Stopped | events.Failed):
            self.close()
        if line is not None:
            self._console.print(Text(line, style=_style(event)), soft_wrap=True)

    def _count(self, event: events.Progress) -> None:
        if begins_anew(event, self._before):
            self._begin(event.verb, event.total)
        self._before = event
        self._move(event.done, event.what)

    def _step(self, event: events.Step) -> None:
        if self._task is None:
            self._begin("train", self._sentences.total_steps, event.step - 1)
        epochs = f"/{self._sentences.epochs}" if self._sentences.epochs else ""
        self._numbers |= {
            "epoch": f"{event.epoch}{epochs}",
            "loss": f"{event.loss:.4f}",
            "lr": number(float(f"{event.learning_rate:.2g}")),
        }
        order = [name for name in ("epoch", "loss", "held-out", "lr") if name in self._numbers]
        self._move(event.step, " ".join(f"{name} {self._numbers[name]}" for name in order))

    def _move(self, done: int, what: str) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, what=what)

    def _begin(self, name: str, total: int, done: int = 0) -> None:
        """Start a bar; one that stood there before has done its work."""
        self.close()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[what]}", markup=False),
            console=self._console,
            transient=True,
            get_time=self._clock,
        )
        self._progress.start()
        self._task = self._progress.add_task(name, total=total or None, completed=done, what="")


class _Rate(ProgressColumn):
    """How many a second, or how many seconds each."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


def _style(event: Event) -> str:
    match event:
        case events.Notice():
            return STYLES.get(event.level, "")
        case events.Skipped():
            return "yellow"
        case events.Failed():
            return "red"
        case events.Finished():
            return "green"
    return ""
