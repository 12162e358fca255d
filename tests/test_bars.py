"""Progress bars: what they show while work is going on, and what stays when it is done."""

import io

import pytest

from acestep import events
from acestep.bars import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)


def shown(*happening: events.Event, seconds_each: float = 1.0) -> str:
    out, clock = Terminal(), Clock()
    screen = Bars(out, clock)
    for event in happening:
        clock.now += seconds_each
        screen.show(event)
    screen.close()
    return out.getvalue()


STARTED = events.Started("train", {"epochs": 2, "total_steps": 16, "device": "cpu"})
STEPS = [events.Step(n, 1 + n // 9, 1 / n, 1e-4, 1.0) for n in range(1, 9)]


def test_training_shows_epoch_loss_held_out_rate_and_time_left():
    text = shown(STARTED, *STEPS, events.Evaluation(8, 1, 0.4321, 0.5), seconds_each=3.0)
    text += shown(STARTED, *STEPS, events.Evaluation(8, 1, 0.4321, 0.5), *STEPS, seconds_each=3.0)
    assert "8/16" in text
    assert "epoch 1/2" in text and "loss 0.1250" in text and "lr 1e-4" in text
    assert "held-out 0.4321" in text
    assert "3.0 s each" in text
    assert "00:24" in text  # eight steps of three seconds


def test_songs_are_counted_by_name_with_their_rate():
    happening = [events.Progress("scan", n, 40, f"[b]{n}[/b].wav") for n in range(21)]
    text = shown(*happening, seconds_each=0.1)
    assert "scan" in text and "20/40" in text and "10.0/s" in text
    assert "[b]20[/b].wav" in text  # a name, not markup


def test_lines_stay_above_the_bar_and_keep_their_text():
    text = shown(
        events.Progress("scan", 0, 2, "a.wav"),
        events.Skipped("[red]a.wav", "it is :cat: silent"),
        events.Notice("mind [bold]this"),
        events.Text("[Verse 1]\n\tone  two " + "x" * 300),
        events.Finished("scan", "dataset.json", {"songs": 1}),
    )
    assert "skipped [red]a.wav: it is :cat: silent" in text
    assert "warning: mind [bold]this" in text
    assert "[Verse 1]\n\tone  two " + "x" * 300 + "\n" in text  # not wrapped, not styled
    assert "done in 5.0 s: dataset.json (songs 1, skipped 1)" in text


def test_a_second_part_of_the_work_gets_a_bar_of_its_own():
    happening = [events.Progress("preprocess", n, 3, "audio") for n in range(4)]
    happening += [events.Progress("preprocess", n, 3, "text") for n in range(2)]
    text = shown(*happening)
    assert "3/3" in text and "1/3" in text


def test_the_cursor_comes_back():
    text = shown(STARTED, *STEPS)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_no_color_is_honoured(monkeypatch):
    colour = "\x1b[33m"
    assert colour in shown(events.Notice("mind this"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert colour not in shown(events.Notice("mind this"))
