"""One trial: ``acestep train`` (and ``evaluate``) in a process of its own, on its own GPU.

A process that crashes or is killed takes nothing else with it. It is stopped as any run is, by the
``STOP`` file in its folder, so it saves what it has; started again, it goes on to the bit.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep import events
from acestep.config import TrainConfig
from acestep.data.files import alone_in
from acestep.errors import RunError
from acestep.knobs import knobs
from acestep.training.run import RunFolder

PATIENCE = 60.0  # seconds for a process to stop by itself, or to leave a folder
STDERR_TAIL = 2000  # characters

Line = tuple[int, events.Event | None]  # of which trial; None: its process has ended


@dataclass
class Attempt:
    """A trial's process. ``failure`` is what it said of itself before it ended badly."""

    number: int
    folder: Path
    process: subprocess.Popen
    phase: str = "train"
    device: str | None = None
    failure: str = ""
    pruned: bool = False
    began: float = field(default_factory=time.monotonic)

    def stop(self) -> None:
        """Ask it to save and end."""
        if self.phase == "train" and self.folder.is_dir():
            (self.folder / "STOP").touch()
        elif self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        """Ask it to end, wait, and end it if it does not."""
        self.stop()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def reason(self) -> str:
        """Why it failed: its own words, a signal, or what it wrote last."""
        if self.failure:
            return self.failure
        code = self.process.returncode
        if code is not None and code < 0:
            return f"its process was killed by signal {-code}"
        with suppress(OSError):
            text = stderr_of(self.folder).read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text[-STDERR_TAIL:].splitlines() if line.strip()]
            if lines:
                return f"its process ended with {code}: {lines[-1].strip()}"
        return f"its process ended with {code}"


def train_command(tensors: Path, run: Path, settings: Mapping[str, Any]) -> list[str]:
    """The words that train one trial; a run that is there already goes on."""
    words = ["train", str(tensors), "-o", str(run), *flags_of(settings)]
    return [*words, "--resume"] if RunFolder(run).exists() else words


def flags_of(settings: Mapping[str, Any]) -> list[str]:
    """Knobs of train as flags, each one word."""
    words = []
    for knob in knobs(TrainConfig):
        if knob.name not in settings or not knob.flags:
            continue
        value, flag = settings[knob.name], knob.flags[0]
        if knob.kind == "switch":
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"{flag}={each}" for each in values]
    return words


def start(
    number: int,
    run: Path,
    words: Sequence[str],
    device: str | None,
    lines: "queue.Queue[Line]",
    beside: int = 1,
) -> Attempt:
    """Start a verb in a process of its own; its events go to ``lines``.

    ``device`` is the GPU that it sees; without one, as many as run ``beside`` each other share the
    cores, unless ``OMP_NUM_THREADS`` says otherwise. Raises ``RunError`` if another process still
    trains there.
    """
    _wait_until_free(run)
    run.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device
    elif beside > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // beside)))
    with stderr_of(run).open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "acestep", *words, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C comes to the sweep, which stops its trials itself
        )
    threading.Thread(target=_listen, args=(number, process, lines), daemon=True).start()
    return Attempt(number, run, process, words[0], device)


def stderr_of(run: Path) -> Path:
    """Where a trial's process complains."""
    return run.with_name(f"{run.name}.stderr.txt")


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return named[:count] if len(named) >= count > 0 and named[0] else [*map(str, range(count))]


def _listen(number: int, process: subprocess.Popen, lines: "queue.Queue[Line]") -> None:
    for line in process.stdout or ():
        with suppress(ValueError):  # what a library prints is no event
            lines.put((number, events.from_json(line)))
    process.wait()
    lines.put((number, None))


def _wait_until_free(run: Path) -> None:
    """Wait for a process of a killed sweep to notice that nobody listens any more."""
    until = time.monotonic() + PATIENCE
    while run.is_dir():
        try:
            with alone_in(run):
                return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise RunError(
                    f"another process is training into {run}",
                    hint=f"stop it first: touch {run / 'STOP'}",
                ) from error
            time.sleep(0.2)


# What a trial has reached


@dataclass(frozen=True)
class Reached:
    """The best checkpoint of a run by held-out loss: its epoch, its loss, the base's loss."""

    epoch: int
    loss: float
    base_loss: float

    @property
    def score(self) -> float:
        """The difference to the base as a share of it: -0.2 is a fifth below."""
        return relative(self.loss, self.base_loss)


def relative(loss: float, base_loss: float) -> float:
    """How much a loss differs from the base's, as a share of it."""
    return (loss - base_loss) / base_loss


def best_reached(run: Path) -> Reached | None:
    """The evaluation with the lowest loss among those whose checkpoint is kept."""
    folder = RunFolder(run)
    kept = [
        event
        for event in _evaluations(folder)
        if (folder.checkpoints / f"epoch_{event.epoch}").is_dir()
    ]
    best = min(kept, key=lambda event: event.loss, default=None)
    return None if best is None else Reached(best.epoch, best.loss, best.base_loss)


def _evaluations(folder: RunFolder) -> Iterator[events.Evaluation]:
    for event in folder.read_events():
        if isinstance(event, events.Evaluation) and event.step > 0:
            yield event


def settings_of(run: Path) -> dict[str, Any]:
    """The knobs of a run that differ from their defaults, without where it lies."""
    saved = RunFolder(run).read_settings()["config"]
    plain = TrainConfig(tensors=Path("-"))
    usual = json.loads(plain.model_dump_json())
    left_out = {"tensors", "output", "resume", "auto"}
    return {
        name: value
        for name, value in saved.items()
        if name in usual and name not in left_out and value != usual[name]
    }
