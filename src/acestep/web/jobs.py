"""The queue: jobs run in processes of their own and outlive the page and the server.

All that is known lies in files (:mod:`acestep.web.job_files`), so a server that was killed and
started again finds what runs, and several servers on one folder see the same queue.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from acestep.data.files import alone_in, remove_leftovers, reported, write_json
from acestep.errors import RunError
from acestep.web.job_files import END, INTERRUPTED, JOB, PROCESS, UNDER_WAY, Job, read_job

START_SECONDS = 60.0  # a process that has not begun by then never will


class Jobs:
    """Jobs below one folder; ``work`` is where their relative paths begin."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder = folder
        self.work = work
        self._children: list[subprocess.Popen] = []
        folder.mkdir(parents=True, exist_ok=True)

    def submit(self, words: Sequence[str], title: str = "", page: str = "") -> Job:
        """Put a command at the end of the queue; it starts when those before it are done.

        Raises ``DatasetError`` if the disk is full.
        """
        now = time.time()
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{uuid.uuid4().hex[:6]}"
        places = [job.place for job in self.all()]
        job = Job(self.folder / name, tuple(words), title, now, max([now, *places]) + 1, page)
        with reported(self.folder):
            job.folder.mkdir()
            job.write()
        self.advance()
        return job

    def all(self) -> list[Job]:
        """Every job there is, in the order of the queue."""
        found = []
        for file in self.folder.glob(f"*/{JOB}"):
            try:
                found.append(read_job(file.parent))
            except RunError:
                continue  # half written by a process that was killed: not a job yet
        return sorted(found, key=lambda job: (job.place, job.id))

    def get(self, id: str) -> Job:
        """A job by its id. Raises ``RunError`` if there is none."""
        if id != Path(id).name or not (self.folder / id / JOB).is_file():
            raise RunError(f"there is no job {id!r}", hint="it may have been removed")
        return read_job(self.folder / id)

    def advance(self) -> None:
        """Start what can start: everything light, and the first heavy job if no other runs."""
        self._children = [child for child in self._children if child.poll() is None]
        try:
            with alone_in(self.folder), reported(self.folder):
                remove_leftovers(self.folder)
                states = [(job, job.state()) for job in self.all()]
                busy = any(job.is_heavy and state == "running" for job, state in states)
                for job, state in states:
                    if state == "waiting" and not (job.is_heavy and busy):
                        self._start(job)
                        busy = busy or job.is_heavy
        except BlockingIOError:
            return  # another server on this folder is at it

    def cancel(self, id: str) -> Job:
        """Ask a job to stop: a running verb saves first, a waiting one never starts."""
        job = self.get(id)
        try:
            with alone_in(job.folder), reported(job.folder):  # its runner holds it while it runs
                if job.state() == "waiting":
                    _write_end(job, INTERRUPTED)
        except BlockingIOError:
            _wait_while(lambda: job.state() == "waiting")  # begun, and about to say so
        for process in job.processes()[:1]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        return job

    def kill(self, id: str) -> Job:
        """End a job that does not stop when asked, with every process it started."""
        job = self.get(id)
        processes = job.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()  # or it may start another after they were counted
        family = {child for process in processes for child in _children(process)} | {*processes}
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        if family:
            psutil.wait_procs(family, timeout=10)
            with reported(job.folder):
                if job.code() is None:  # it may have ended by itself meanwhile
                    _write_end(job, -signal.SIGKILL)
        return job

    def move(self, id: str, steps: int) -> Job:
        """Move a waiting job up (negative) or down the queue, past other waiting ones."""
        job = self.get(id)
        waiting = [other for other in self.all() if other.state() == "waiting"]
        names = [other.id for other in waiting]
        if job.id not in names:
            raise RunError(f"job {id} does not wait any more", hint="only waiting jobs move")
        old = names.index(job.id)
        new = min(max(old + steps, 0), len(names) - 1)
        places = sorted(other.place for other in waiting)
        waiting.insert(new, waiting.pop(old))
        for other, place in zip(waiting, places, strict=True):
            if other.place != place:
                other.moved(place)
        return self.get(id)

    def remove(self, id: str) -> None:
        """Forget a job that has ended: its folder goes, what the verb wrote stays.

        Raises ``RunError`` while it waits or runs.
        """
        job = self.get(id)
        if job.state() in UNDER_WAY:
            raise RunError(f"job {id} has not ended", hint="cancel it first")
        with reported(job.folder, "removed"):
            shutil.rmtree(job.folder)

    def again(self, id: str) -> Job:
        """Put the same command into the queue once more; a training goes on where it was."""
        job = self.get(id)
        if job.state() in UNDER_WAY:
            raise RunError(f"job {id} has not ended", hint="wait for it, or cancel it first")
        words = list(job.words)
        if job.verb == "train" and "--resume" not in words:
            words.append("--resume")
        return self.submit(words, job.title, job.page)

    def _start(self, job: Job) -> None:
        child = subprocess.Popen(
            [sys.executable, "-m", "acestep.web.runner", str(job.folder)],
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # signals to the server do not reach it
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._children.append(child)
        if not _wait_while(lambda: child.poll() is None and not (job.folder / PROCESS).exists()):
            raise RunError(f"job {job.id} does not start", hint=f"see {job.folder}")


def _wait_while(holds: Callable[[], bool]) -> bool:
    """Wait until something holds no more; false if it does for :data:`START_SECONDS`."""
    patience = time.monotonic() + START_SECONDS
    while holds():
        if time.monotonic() > patience:
            return False
        time.sleep(0.02)
    return True


def _write_end(job: Job, code: int) -> None:
    write_json(job.folder / END, {"code": code, "ended": time.time()})


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
