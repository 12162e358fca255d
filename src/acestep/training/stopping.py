"""Being asked to stop: Ctrl-C, SIGTERM, or a STOP file."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Whether a stop was asked for by a signal."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; the second acts as it always does.

    Outside the main thread signals cannot be handled, and only a STOP file stops a run.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Any] = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: FrameType | None) -> None:
        request.requested = True
        signal.signal(number, before[number])

    for asked in signals:
        signal.signal(asked, handle)
    try:
        yield request
    finally:
        for asked in signals:
            signal.signal(asked, before[asked])
