"""A process that decodes audio for another: ``python -m acestep.data.reader``.

It reads one task a line from its standard input, and answers on its standard output with lines of
JSON, some followed by samples (:mod:`acestep.data.readahead` is the other side). It ends when the
other process does, however that ended: its input is closed then, or its output has no reader.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np

from acestep.data.audio import inspect_audio, stream_audio
from acestep.errors import AudioError

Answer = tuple[dict[str, Any], np.ndarray | None]


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer every task until there are no more, or nobody reads the answers."""
    try:
        for line in tasks:
            for head, samples in answer(json.loads(line)):
                answers.write(json.dumps(head).encode() + b"\n")
                if samples is not None:
                    answers.write(samples.data.cast("B"))
            answers.flush()
    except BrokenPipeError:
        os._exit(0)  # a normal end would try to flush, and complain


def answer(task: dict[str, Any]) -> Iterator[Answer]:
    """What is said to one task, each head with the samples that follow it.

    ``{"inspect": path}`` gives ``{"facts": …}``; ``{"read": path, "start": …, "seconds": …}`` gives
    ``{"samples": n}`` with ``[2, n]`` float32 for each block. Either ends with ``{"end": true}``,
    or with ``{"error": …, "hint": …}``.
    """
    try:
        if "inspect" in task:
            yield {"facts": asdict(inspect_audio(task["inspect"]))}, None
        else:
            for block in stream_audio(task["read"], start=task["start"], seconds=task["seconds"]):
                yield {"samples": block.shape[1]}, block
        yield {"end": True}, None
    except AudioError as error:
        yield {"error": str(error), "hint": error.hint}, None


def main() -> None:
    """Serve the process that started this one; what libraries print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other's to hear
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
