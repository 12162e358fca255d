"""A run's folder: its settings, its event log, its checkpoints, its STOP file."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acestep import events
from acestep.data.files import alone_in, remove_leftovers, write_json, write_text
from acestep.errors import RunError

FORMAT = 1


class RunFolder:
    """The paths in a run's folder, and its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "config.json"
        self.events_file = path / "events.jsonl"
        self.checkpoints = path / "checkpoints"
        self.loss_picture = path / "loss.png"
        self.tensorboard = path / "tensorboard"
        self.stop_file = path / "STOP"

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return self.settings_file.exists()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the folder and hold it: two runs would write into each other's log and checkpoints.

        Raises ``RunError`` if another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with alone_in(self.path):
                remove_leftovers(self.path)
                yield
        except BlockingIOError as error:
            raise RunError(
                f"another process is training into {self.path}",
                hint=f"stop it first (touch {self.stop_file}), or choose another -o",
            ) from error

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Keep what the run was started with."""
        write_json(self.settings_file, {"format": FORMAT, **settings})

    def read_settings(self) -> dict[str, Any]:
        """What the run was started with. Raises ``RunError`` if that cannot be read."""
        try:
            settings = json.loads(self.settings_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise RunError(
                f"{self.settings_file} cannot be read: {error}",
                hint="it is written at the start of a run; start a new run folder",
            ) from error
        if not isinstance(settings, dict) or settings.get("format") != FORMAT:
            raise RunError(
                f"{self.settings_file} is not of format {FORMAT}",
                hint="it was written by another version; start a new run folder",
            )
        return settings

    def append(self, batch: list[events.Event]) -> None:
        """Add events to the log."""
        with self.events_file.open("a", encoding="utf-8") as log:
            log.writelines(events.to_json(event) + "\n" for event in batch)

    def sync(self) -> None:
        """Push the log to the disk: a checkpoint must never be newer than the log before it."""
        with self.events_file.open("a", encoding="utf-8") as log:
            log.flush()
            os.fsync(log.fileno())

    def read_events(self) -> list[events.Event]:
        """All complete events; a last line cut by a crash is left out."""
        if not self.events_file.exists():
            return []
        found = []
        lines = self.events_file.read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    found.append(events.from_json(line))
            except ValueError as error:
                if number < len(lines) - 1:
                    raise RunError(
                        f"{self.events_file}, line {number}: {error}",
                        hint="repair or remove that line; the file holds the loss curve",
                    ) from error
        return found

    def rewind(self, step: int) -> None:
        """Forget what the log says about steps after ``step`` (-1: also about the start)."""
        kept = [
            event
            for event in self.read_events()
            if not isinstance(
                event, events.Step | events.Evaluation | events.Stopped | events.Finished
            )
            or (isinstance(event, events.Step | events.Evaluation) and event.step <= step)
        ]
        write_text(self.events_file, "".join(events.to_json(event) + "\n" for event in kept))
