"""Signals become requests, and are given back."""

import os
import signal
import threading

import pytest

from acestep.training.stopping import stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_acts(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        with stop_signals() as stop:
            assert not stop.requested
            os.kill(os.getpid(), number)
            assert stop.requested and not heard
            os.kill(os.getpid(), number)
            assert heard == [number]
        os.kill(os.getpid(), number)
        assert len(heard) == 2, "the handler from before is back"
    finally:
        signal.signal(number, before)


def test_handlers_are_given_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), stop_signals():
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_leave_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with stop_signals() as stop:
            seen.append((stop.requested, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
