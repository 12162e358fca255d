"""Events as lines: few enough to read, complete enough to follow."""

import io
import json

import pytest

from acestep import events
from acestep.terminal import (
    JsonLines,
    Lines,
    Nothing,
    Quiet,
    Sentences,
    duration,
    facts_text,
    failure,
    open_screen,
)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(*happening: events.Event, seconds_each: float = 0.0) -> list[str]:
    out, clock = io.StringIO(), Clock()
    screen = Lines(out, clock)
    for event in happening:
        screen.show(event)
        clock.now += seconds_each
    return out.getvalue().splitlines()


def run_of(epochs: int, steps_per_epoch: int = 8) -> list[events.Event]:
    total = epochs * steps_per_epoch
    happening: list[events.Event] = [
        events.Started("train", {"epochs": epochs, "total_steps": total, "device": "cpu"})
    ]
    for step in range(1, total + 1):
        epoch = -(-step // steps_per_epoch)
        happening.append(events.Step(step, epoch, 0.5, 1e-4, 1.0))
        if step % steps_per_epoch == 0:
            happening.append(events.Evaluation(step, epoch, 0.4, 0.6))
    return [*happening, events.Finished("train", "runs/jazz", {"loss": 0.5})]


def test_a_long_run_is_few_lines_in_a_pipe():
    happening = run_of(epochs=2000)
    lines = shown(*happening, seconds_each=0.01)  # three minutes
    assert len(happening) > 16_000 and len(lines) < 150
    assert lines[0] == "train: epochs 2000, total steps 16000, device cpu"
    assert lines[1] == "epoch 1/2000 · step 1/16000 · loss 0.5000 · learning rate 1e-4"
    assert any(line.startswith("epoch 2000/2000 · step 16000/16000") for line in lines)
    assert lines[-1] == "done in 3 min 0 s: runs/jazz (loss 0.5)"
    assert len(shown(*happening, seconds_each=3)) < 1200  # fourteen hours


def test_a_slow_run_shows_every_step():
    lines = shown(*run_of(epochs=2), seconds_each=11)
    assert sum("· step " in line for line in lines) == 16
    assert lines.count("epoch 2 · held-out loss 0.4000 (base alone 0.6000)") == 1


def test_each_part_of_the_work_shows_its_begin_and_its_end():
    happening = [events.Progress("preprocess", n, 500, f"audio: {n}.wav") for n in range(500)]
    happening.append(events.Progress("preprocess", 500, 500, "audio"))
    happening += [events.Progress("preprocess", n, 500, f"text: {n}.wav") for n in range(500)]
    happening.append(events.Progress("preprocess", 500, 500, "text"))
    assert shown(*happening) == [
        "0 of 500 · audio: 0.wav",
        "500 of 500 · audio",
        "0 of 500 · text: 0.wav",
        "500 of 500 · text",
    ]
    assert len(shown(*happening, seconds_each=1)) in range(100, 200)


def test_a_count_says_how_long_the_rest_takes():
    happening = [events.Progress("label", done, 4, f"{done}.wav") for done in range(4)]
    happening.append(events.Progress("label", 4, 4))
    assert shown(*happening, seconds_each=20) == [
        "0 of 4 · 0.wav",
        "1 of 4 · 1.wav · about 1 min 0 s left",
        "2 of 4 · 2.wav · about 40 s left",
        "3 of 4 · 3.wav · about 20 s left",
        "4 of 4",
    ]


def test_what_was_left_out_is_said_and_counted():
    lines = shown(
        events.Skipped("a.wav", "it is silent", "record it again"),
        events.Skipped("b.wav", "it is empty"),
        events.Finished("scan", "dataset.json", {"songs": 3}),
    )
    assert lines == [
        "skipped a.wav: it is silent (record it again)",
        "skipped b.wav: it is empty",
        "done in 0.0 s: dataset.json (songs 3, skipped 2)",
    ]


def test_every_kind_of_event_has_words():
    lines = shown(
        events.Notice("the caption was shortened", about="a.wav"),
        events.Notice("an hour is left", "info"),
        events.Estimate(4, 4000, 0.25, 999),
        events.Sample("samples/base/1_x.flac", "1_x.png", "x", 42, 0, 0, 30.0),
        events.Sample("samples/epoch_200/1_x.flac", "1_x.png", "x", 42, 1600, 200, 30.0),
        events.Saved("checkpoint", "runs/jazz/checkpoints/epoch_200"),
        events.Text("# Caption\n  as it is"),
        events.Stopped("train", "runs/jazz", "acestep train t -o runs/jazz --resume"),
        events.Failed("RunError", "it diverged\nat step 3", "halve the learning rate"),
    )
    assert lines == [
        "warning: a.wav: the caption was shortened",
        "note: an hour is left",
        "0.25 s a step, about 16 min 39 s left",
        "preview of the base: samples/base/1_x.flac",
        "preview of epoch 200: samples/epoch_200/1_x.flac",
        "saved checkpoint: runs/jazz/checkpoints/epoch_200",
        "# Caption",
        "  as it is",
        "stopped: runs/jazz is saved; go on with",
        "  acestep train t -o runs/jazz --resume",
        "error: it diverged",
        "error: at step 3",
        "what to do: halve the learning rate",
    ]


def test_the_end_does_not_repeat_the_beginning():
    sentences = Sentences(Clock())
    sentences.line(events.Started("generate", {"model": "mini", "seed": 42}))
    facts = {"model": "mini", "seed": 42, "seconds": 30.0, "lyrics_text": "a\nb"}
    line = sentences.line(events.Finished("generate", "song.flac", facts))
    assert line == "done in 0.0 s: song.flac (seconds 30)"
    assert sentences.line(events.Finished("models", "", {"models": [{}]})) is None


def test_json_lines_are_exactly_the_events():
    out = io.StringIO()
    happening = run_of(epochs=1)
    for event in happening:
        JsonLines(out).show(event)
    lines = out.getvalue().splitlines()
    assert [events.from_json(line) for line in lines] == happening


def test_quiet_keeps_warnings_losses_texts_and_the_end():
    out = io.StringIO()
    screen = Quiet(JsonLines(out))
    for event in (
        *run_of(epochs=1),
        events.Progress("scan", 0, 1),
        events.Notice("by the way", "info"),
        events.Notice("mind this"),
        events.Skipped("a.wav", "silent"),
        events.Text("table"),
        events.Saved("audio", "a.flac"),
        events.Sample("1_x.flac", "1_x.png", "x", 42, 0, 0, 30.0),
        events.Estimate(1, 2, 1, 1),
    ):
        screen.show(event)
    kinds = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert kinds == ["finished", "notice", "skipped", "text"]


def test_the_screen_fits_the_output(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for variable in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)
    assert isinstance(open_screen(io.StringIO(), json=False, quiet=False), Lines)
    assert isinstance(open_screen(Terminal(), json=True, quiet=False), JsonLines)
    assert type(open_screen(Terminal(), json=False, quiet=False)).__name__ == "Bars"
    assert isinstance(open_screen(Terminal(), json=False, quiet=True), Quiet)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_screen(Terminal(), json=False, quiet=False), Lines)


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "1", "LOCAL_RANK": "1"}, False),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),  # the first process of a second machine
        ({"LOCAL_RANK": "1"}, False),
    ],
)
def test_only_the_main_process_speaks(variables, speaks, monkeypatch):
    for variable in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    screen = open_screen(io.StringIO(), json=True, quiet=False)
    assert isinstance(screen, Nothing) is not speaks


def test_short_facts_are_told_and_long_ones_left_out():
    facts = {
        "model": "mini",
        "trained_share": 0.03124,
        "loss": 2.92517352104,
        "offload": False,
        "first_step": 0,
        "empty": "",
        "nothing": None,
        "scales": {"a": 1.0},
        "lyrics": "a\nb",
        "long": "x" * 81,
    }
    assert facts_text(facts) == (
        "model mini, trained share 0.03124, loss 2.925, offload off, first step 0"
    )


def test_durations_and_failures_for_people():
    assert [duration(s) for s in (0.04, 9.94, 10.4, 59.4, 200, 3599.7, 3900, 90000)] == [
        "0.0 s",
        "9.9 s",
        "10 s",
        "59 s",
        "3 min 20 s",
        "1 h 0 min",
        "1 h 5 min",
        "25 h 0 min",
    ]
    assert failure("it broke", "") == "error: it broke"
