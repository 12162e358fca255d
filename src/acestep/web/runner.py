"""``python -m acestep.web.runner FOLDER``: run one job to its end, and write down how it ended.

It stands between the server and the verb, so that a job that ends while no server is there is
still known as done or failed. SIGTERM is passed on: the verb saves and stops.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psutil

from acestep.data.files import alone_in, write_json
from acestep.web.job_files import END, EVENTS, INTERRUPTED, LOG, PROCESS, read_job


def run(folder: Path) -> None:
    """Run the command of a job's folder: its events there, what else it says in the log.

    Nothing is done if another process has the job already: it is never run twice.
    """
    job = read_job(folder)
    try:
        with alone_in(folder):
            if job.state() == "waiting":
                write_json(folder / END, {"code": _carry_out(folder, job.words), **_now()})
    except BlockingIOError:
        return


def _carry_out(folder: Path, words: tuple[str, ...]) -> int:
    """Run the verb and return its exit code."""
    children: list[subprocess.Popen] = []
    asked = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for child in children:
            child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    record = {"runner": _birth(os.getpid())}
    write_json(folder / PROCESS, record)
    if asked:
        return INTERRUPTED
    with (folder / EVENTS).open("ab") as events, (folder / LOG).open("ab") as log:
        children.append(
            subprocess.Popen(
                [sys.executable, "-m", "acestep", *words, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=log,
            )
        )
        if asked:
            stop(signal.SIGTERM, None)
        write_json(folder / PROCESS, {**record, "verb": _birth(children[0].pid)})
        code = children[0].wait()
    # Asked before it could listen, or as it went, it ended by a signal itself
    by_signal = code < 0 and code != -signal.SIGKILL
    return INTERRUPTED if asked and by_signal else code


def _birth(pid: int) -> dict[str, float]:
    """A process for good: its number alone is given to others once it has ended."""
    return {"pid": pid, "began": psutil.Process(pid).create_time()}


def _now() -> dict[str, float]:
    return {"ended": time.time()}


if __name__ == "__main__":
    run(Path(sys.argv[1]))
