"""A job's folder: what is to be done, which process does it, how it ended.

::

    job.json       {"format", "words", "title", "page", "created", "place"}
    process.json   {"runner": {"pid", "began"}, "verb": {…}}, the processes that do it
    events.jsonl   what the verb says (see acestep.events)
    log.txt        what else it printed: a traceback, a library's warnings
    end.json       {"code", "ended"}, the verb's exit code; also of a job cancelled while it waited
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from acestep.data.files import write_json
from acestep.errors import RunError

FORMAT = 1
JOB, PROCESS, EVENTS, LOG, END = (
    "job.json", "process.json", "events.jsonl", "log.txt", "end.json"
)  # fmt: skip
INTERRUPTED = 130  # exit code of the command line; 0 is done, all else failed
# Verbs that fill a graphics card (or all cores): one of them at a time
HEAVY = frozenset({
    "label", "augment", "preprocess", "train", "evaluate", "sweep", "reproduce", "generate",
})  # fmt: skip

State = Literal["waiting", "running", "done", "stopped", "failed", "lost"]
UNDER_WAY: tuple[State, ...] = ("waiting", "running")  # all others have ended


@dataclass(frozen=True)
class Job:
    """A command to run: ``words`` as on the command line, the verb first.

    ``place`` orders the queue, ``created`` is a time in seconds since 1970. ``page`` is the part of
    the studio that ordered it.
    """

    folder: Path
    words: tuple[str, ...]
    title: str
    created: float
    place: float
    page: str = ""

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def verb(self) -> str:
        """What it does."""
        return self.words[0]

    @property
    def is_heavy(self) -> bool:
        """Whether it waits for others to end."""
        return self.verb in HEAVY

    def moved(self, place: float) -> "Job":
        """The same job at another place of the queue, written down."""
        job = replace(self, place=place)
        job.write()
        return job

    def write(self) -> None:
        """Write ``job.json``."""
        record = {"words": list(self.words), "title": self.title, "page": self.page}
        times = {"created": self.created, "place": self.place}
        write_json(self.folder / JOB, {"format": FORMAT, **record, **times})

    def state(self) -> State:
        """Where it stands, by what lies in its folder and which processes there are."""
        code = self.code()
        if code is None and (self.folder / PROCESS).exists():
            if self.processes():
                return "running"
            code = self.code()  # it may have ended between the two looks
            if code is None:
                return "lost"
        match code:
            case None:
                return "waiting"
            case 0:
                return "done"
            case 130:  # INTERRUPTED
                return "stopped"
        return "failed"

    def code(self) -> int | None:
        """The verb's exit code, once it has ended; negative is the signal that killed it."""
        end = _read(self.folder / END)
        if end is None:
            return None
        code = end.get("code")
        return code if isinstance(code, int) else 1

    def processes(self) -> list[psutil.Process]:
        """Those of its processes that live, the runner first: it passes a SIGTERM on.

        None once it has ended: a runner that wrote that down has only to exit.
        """
        if self.code() is not None:
            return []
        record = _read(self.folder / PROCESS) or {}
        found = [_alive(record.get(name)) for name in ("runner", "verb")]
        return [process for process in found if process is not None]

    def ended(self) -> float | None:
        """When it ended, in seconds since 1970."""
        end = _read(self.folder / END)
        return float(end["ended"]) if end and isinstance(end.get("ended"), int | float) else None

    def log(self, most: int = 20_000) -> str:
        """The end of its log, at most ``most`` characters."""
        file = self.folder / LOG
        if not file.exists():
            return ""
        with file.open("rb") as stream:
            stream.seek(max(file.stat().st_size - most, 0))
            return stream.read().decode("utf-8", "replace")


def read_job(folder: Path) -> Job:
    """Read a job's folder. Raises ``RunError`` if it is none of this format."""
    record = _read(folder / JOB)
    if record is None or record.get("format") != FORMAT:
        raise RunError(f"{folder} is not a job's folder", hint="remove it by hand if it is yours")
    try:
        words = tuple(str(word) for word in record["words"])
        times = float(record["created"]), float(record["place"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / JOB} is damaged: {error}", hint="remove the folder") from error
    if not words:
        raise RunError(f"{folder / JOB} names no command", hint="remove the folder")
    return Job(folder, words, str(record.get("title", "")), *times, str(record.get("page", "")))


def _read(file: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _alive(record: Any) -> psutil.Process | None:
    """A process that was written down, if it lives: pid and time of birth must both fit."""
    try:
        process = psutil.Process(int(record["pid"]))
        alive = process.status() != psutil.STATUS_ZOMBIE
        same = abs(process.create_time() - float(record["began"])) < 1.0
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None
    return process if alive and same else None
