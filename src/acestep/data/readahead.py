"""Audio decoded and resampled by other processes, ahead of the one that needs it.

Each process (:mod:`acestep.data.reader`) decodes a file while another is being encoded; files come
out in the order they were asked for, with the samples that :func:`acestep.data.audio.stream_audio`
gives. What was decoded and not taken yet is bounded, however long the files are. A file that ends
its process is an ``AudioError`` of that file, and the next one gets a new process.
"""

import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from acestep.data.audio import AudioFacts, inspect_audio, stream_audio
from acestep.data.files import shown
from acestep.errors import AudioError

HELD = 2**30  # bytes of decoded audio that may wait: 47 minutes of stereo
BLOCK_BYTES = 10 * 48_000 * 2 * 4  # a block of stream_audio
MOST = 16  # processes; more than one device can use
_TICK = 0.2  # seconds between looks whether it is over
_PATIENCE = 10.0  # seconds for a process that closed its pipes to end

Item = np.ndarray | AudioFacts | AudioError | None  # None: the end of a file


@dataclass(frozen=True)
class Cut:
    """A part of a file, as :func:`acestep.data.audio.stream_audio` takes it."""

    path: Path
    start: float = 0.0
    seconds: float | None = None


def free_cores() -> int:
    """How many cores are left beside this process and those launched together with it."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(MOST, cores // beside - 1))


class ReadAhead:
    """Readers of audio: ``workers`` processes, or none, and then this one reads.

    To be used as a context; processes are started when there is something to read.
    """

    def __init__(self, workers: int, *, held: int = HELD) -> None:
        self.workers = workers
        self._in_flight = workers + 2  # files taken up and not yet handed out whole
        self._room = max(2, held // (self._in_flight * BLOCK_BYTES))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._processes = _Processes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._processes.end()
        for thread in self._threads:
            thread.join()
        self._processes.close()

    def facts(self, paths: Sequence[Path]) -> Iterator[AudioFacts | AudioError]:
        """What :func:`acestep.data.audio.inspect_audio` says of each file, or its error."""
        if not self.workers:
            yield from map(_inspected, paths)
            return
        for items in self._all([{"inspect": str(path)} for path in paths]):
            (facts,) = [item for item in items if isinstance(item, AudioFacts | AudioError)]
            yield facts

    def streams(self, cuts: Sequence[Cut]) -> Iterator[Iterator[np.ndarray]]:
        """For each cut its blocks ``[2, n]`` float32 at 48 kHz, which raise its ``AudioError``.

        A stream that is left for the next one gives nothing any more.
        """
        if not self.workers:
            for cut in cuts:
                yield stream_audio(cut.path, start=cut.start, seconds=cut.seconds)
            return
        tasks = [{"read": str(c.path), "start": c.start, "seconds": c.seconds} for c in cuts]
        for items in self._all(tasks):
            yield _blocks(items)

    def _all(self, tasks: Sequence[dict[str, Any]]) -> Iterator[Iterator[Item]]:
        """The answers to every task, in order."""
        supply = _Supply(tasks, self._in_flight, self._room, self._over)
        for _ in range(min(self.workers, len(tasks))):
            arguments = (supply, self._processes)
            thread = threading.Thread(target=_work, args=arguments, daemon=True)
            self._threads.append(thread)
            thread.start()
        for _ in tasks:
            items = supply.next_file()
            yield items
            for _ in items:  # what was not wanted
                pass


class _Supply:
    """Tasks, handed to whichever process is free, and the bounded queues of their answers."""

    def __init__(
        self, tasks: Sequence[dict[str, Any]], in_flight: int, room: int, over: threading.Event
    ) -> None:
        self.over = over
        self._tasks = iter(tasks)
        self._room = room
        self._places = threading.Semaphore(in_flight)
        self._lock = threading.Lock()
        self._files: queue.Queue[queue.Queue[Item]] = queue.Queue()

    def next_task(self) -> tuple[dict[str, Any], "queue.Queue[Item]"] | None:
        """The first task that nobody does yet, and where its answers go."""
        while not self._places.acquire(timeout=_TICK):
            if self.over.is_set():
                return None
        with self._lock:
            task = next(self._tasks, None)
            if task is None or self.over.is_set():
                return None
            answers: queue.Queue[Item] = queue.Queue(self._room)
            self._files.put(answers)  # under the lock: in the order of the tasks
            return task, answers

    def put(self, answers: "queue.Queue[Item]", item: Item) -> None:
        """Wait for room; nothing is kept once it is over."""
        while not self.over.is_set():
            with suppress(queue.Full):
                answers.put(item, timeout=_TICK)
                return

    def next_file(self) -> Iterator[Item]:
        """The answers to the next task, until its end."""
        answers = self._files.get()

        def items() -> Iterator[Item]:
            while (item := answers.get()) is not None:
                yield item
            self._places.release()

        return items()


class _Ended(Exception):
    """A process ended in the middle of an answer."""


class _Process:
    """A process that reads, from this side."""

    def __init__(self) -> None:
        home = str(Path(__file__).parents[2])  # the package that runs here runs there
        paths = filter(None, (home, os.environ.get("PYTHONPATH")))
        self._process = subprocess.Popen(
            # -P: files of the folder one is in are no modules
            [sys.executable, "-P", "-m", "acestep.data.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C comes to this process, which ends the others
        )

    def answers(self, task: dict[str, Any]) -> Iterator[Item]:
        """What it says to a task. If it ended: ``_Ended``, ``OSError`` or ``ValueError``."""
        tasks, answers = self._process.stdin, self._process.stdout
        assert tasks and isinstance(answers, io.BufferedReader)
        tasks.write(json.dumps(task).encode() + b"\n")
        tasks.flush()
        while line := answers.readline():
            head = json.loads(line)
            if "end" in head:
                return
            if "error" in head:
                yield AudioError(head["error"], hint=head["hint"])
                return
            if "facts" in head:
                yield AudioFacts(**head["facts"])
                continue
            block = np.empty((2, head["samples"]), np.float32)
            if answers.readinto(block.data.cast("B")) < block.nbytes:
                break
            yield block
        raise _Ended

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> str:
        """How it ended, in words."""
        with suppress(subprocess.TimeoutExpired):  # its pipes close a moment before it has ended
            self._process.wait(_PATIENCE)
        code = self._process.poll()
        self.end()
        if code is not None and code < 0:
            return f"was killed by signal {-code}"
        return f"ended with {code}"

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close its pipes; nobody may be reading from them."""
        with suppress(OSError), self._process:  # a task it never took is in its input
            pass


class _Processes:
    """The processes that run, and those of them that have nothing to do."""

    def __init__(self) -> None:
        self._all: list[_Process] = []
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._over = False
        self._lock = threading.Lock()  # for both: none is started that the end would miss

    def take(self) -> _Process:
        """One that is idle, or a new one."""
        with suppress(queue.Empty):
            while True:
                process = self._idle.get_nowait()
                if process.is_alive():
                    return process
                self.drop(process)
        with self._lock:
            if self._over:
                raise _Ended
            process = _Process()
            self._all.append(process)
        return process

    def give_back(self, process: _Process) -> None:
        self._idle.put(process)

    def drop(self, process: _Process) -> None:
        """Forget one that ended."""
        self._all.remove(process)
        process.end()
        process.close()

    def end(self) -> None:
        """End all; who waits for an answer of theirs gets none, and no more are started."""
        with self._lock:
            self._over = True
        for process in list(self._all):
            process.end()

    def close(self) -> None:
        """End all, when nobody waits any more."""
        for process in list(self._all):
            self.drop(process)


def _work(supply: _Supply, processes: _Processes) -> None:
    """Have processes do tasks, one after another, until there are no more."""
    while taken := supply.next_task():
        task, answers = taken
        process: _Process | None = None
        try:
            process = processes.take()
            for item in process.answers(task):
                supply.put(answers, item)
        except (_Ended, OSError, ValueError) as error:  # ValueError: half a line
            supply.put(answers, _broken(task, process, error))
            if process:
                processes.drop(process)
        else:
            processes.give_back(process)
        supply.put(answers, None)


def _broken(task: dict[str, Any], process: _Process | None, error: Exception) -> AudioError:
    """The error for a file whose process ended over it, or for which none could be started."""
    path = Path(task.get("inspect") or task["read"])
    how = f"the process that decodes it {process.ended()}" if process else str(error)
    return AudioError(
        f"{shown(path)} could not be read: {how}",
        hint="convert it to WAV, or read with --workers 0; memory may have run out",
    )


def _blocks(items: Iterator[Item]) -> Iterator[np.ndarray]:
    for item in items:
        if isinstance(item, AudioError):
            raise item
        if isinstance(item, np.ndarray):
            yield item


def _inspected(path: Path) -> AudioFacts | AudioError:
    try:
        return inspect_audio(path)
    except AudioError as error:
        return error
