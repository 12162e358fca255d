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
        self.samples = path / "samples"
        self.stop_file = path / "STOP"

    def sample_folder(self, epoch: int) -> Path:
        """Where the previews of an epoch lie, or of the base, which is epoch 0."""
        return self.samples / (f"epoch_{epoch}" if epoch else "base")

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return self.settings_file.exists()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the folder and hold it: two runs would write into each other's log and checkpoints.

        Raises ``RunError`` if another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self.alone():
            remove_leftovers(self.path)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a folder that is there, changing nothing in it. Raises as :meth:`hold` does."""
        try:
            with alone_in(self.path):
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
        """Forget what the log says about steps after ``step`` (-1: also about the start).

        Previews of later steps go with their files; those of the base stay, whatever ``step`` is.
        """
        log = self.read_events()
        kept = [event for event in log if _happened_by(step, event)]
        for event in log:
            if isinstance(event, events.Sample) and not _happened_by(step, event):
                self._remove_sample(event)
        write_text(self.events_file, "".join(events.to_json(event) + "\n" for event in kept))

    def _remove_sample(self, sample: events.Sample) -> None:
        """Remove a preview's files, wherever the run folder lies by now."""
        for name in (sample.path, sample.picture):
            path = self.sample_folder(sample.epoch) / Path(name).name
            if path.is_file():
                path.unlink()


def _happened_by(step: int, event: events.Event) -> bool:
    match event:
        case events.Step() | events.Evaluation():
            return event.step <= step
        case events.Sample():
            return event.step <= max(step, 0)
        case events.Stopped() | events.Finished():
            return False
    return True
