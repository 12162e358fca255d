"""Search for the best training settings: many runs, each in a process of its own."""

import json
import os
import queue
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from acestep.config import SweepConfig
from acestep.data.files import alone_in, write_json, write_text
from acestep.data.tensors import read_manifest
from acestep.errors import ConfigError, RunError
from acestep.events import (
    Evaluation,
    Event,
    Failed,
    Finished,
    Notice,
    Progress,
    Saved,
    Started,
    Stopped,
    Text,
)
from acestep.sweeping import table
from acestep.sweeping.judged import read_score
from acestep.sweeping.plan import Plan, read_plan
from acestep.sweeping.study import JOURNAL, Row, Study
from acestep.sweeping.trial import (
    Attempt,
    best_reached,
    relative,
    settings_of,
    start,
    train_command,
    visible_gpus,
)
from acestep.training.stopping import StopRequest, stop_signals

RESULT = "sweep.json"
FORMAT = 1
PULSE = 0.5  # seconds between two looks at the STOP file


def sweep(config: SweepConfig) -> Iterator[Event]:
    """Try settings until there are as many trials as wanted, and say which are best.

    A trial that crashes, diverges or is killed is counted as failed, and the others go on. Run
    again, a sweep goes on where it was, with trials that were under way resumed. Ctrl-C, SIGTERM or
    a ``STOP`` file in its folder stop it: trials save, and ``Stopped`` ends it. Raises
    ``ConfigError`` for the file, ``TensorError`` for the tensors, ``RunError`` if the folder holds
    something else, or if no trial succeeded.
    """
    plan = read_plan(config)
    songs = len(read_manifest(plan.tensors).samples)
    with ExitStack() as held:
        _hold(plan, held)
        study = Study(plan.output, plan)
        stop = held.enter_context(stop_signals())
        search = _Search(plan, study, stop)
        held.callback(search.close)
        facts = {"trials": plan.trials, "done": len(study.rows()), "samples": songs}
        yield Started("sweep", {**facts, "judge": plan.config.judge, "parallel": search.parallel})
        yield from search.run()


def _hold(plan: Plan, held: ExitStack) -> None:
    """Hold the sweep's folder against other processes, and check that it is this sweep's."""
    folder = plan.output
    if folder.exists() and not folder.is_dir():
        raise ConfigError([f"--output {folder} is a file"], hint="name a folder")
    strange = folder.is_dir() and any(folder.iterdir()) and not (folder / RESULT).exists()
    if strange and not (folder / JOURNAL).exists():
        raise RunError(f"{folder} holds something else", hint="choose another folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(alone_in(folder))
    except BlockingIOError as error:
        raise RunError(
            f"another process is searching in {folder}", hint="wait for it, or choose another -o"
        ) from error
    if (folder / RESULT).exists() and _read(folder / RESULT).get("plan") != plan.settled():
        raise RunError(
            f"{folder} was begun with other knobs in [train] or [search], or other tensors",
            hint="choose another folder with -o; only trials, parallel, sampler and pruner may "
            "change",
        )
    (folder / "STOP").unlink(missing_ok=True)  # meant for the one before


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}", hint="choose another -o") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RunError(f"{path} is not of format {FORMAT}", hint="choose another -o")
    return found


class _Search:
    """The trials under way, and what is done when one of them speaks or ends."""

    def __init__(self, plan: Plan, study: Study, stop: StopRequest) -> None:
        self._plan, self._study, self._stop = plan, study, stop
        self._lines: queue.Queue = queue.Queue()
        self._running: dict[int, Attempt] = {}
        self._gpus = visible_gpus()
        self.parallel = plan.config.parallel or len(self._gpus) or 1
        self._waiting = [row for row in study.rows() if row.state == "running"]

    def run(self) -> Iterator[Event]:
        """Keep as many trials under way as may be, until all are done or a stop is asked for."""
        self._write()
        while not self._stop_asked():
            while len(self._running) < self.parallel and (row := self._next()) is not None:
                yield from self._begin(row)
            if not self._running and not self._more():
                break
            yield from self._hear()
        else:
            self.close()
            (self._plan.output / "STOP").unlink(missing_ok=True)
            yield Stopped("sweep", str(self._plan.output), self._resume())
            return
        yield from self._conclude()

    def close(self) -> None:
        """End every process; trials that are under way can go on later."""
        for attempt in self._running.values():
            attempt.stop()
        for attempt in self._running.values():
            attempt.end()
            _forget_stop(attempt)
        self._running.clear()

    # Trials begin

    def _more(self) -> bool:
        return bool(self._waiting) or len(self._study.rows()) < self._plan.trials

    def _next(self) -> Row | None:
        if self._waiting:
            return self._waiting.pop(0)
        return self._study.ask() if self._more() else None

    def _begin(self, row: Row) -> Iterator[Event]:
        twin = next(
            (
                other
                for other in self._study.rows()
                if other.state == "done" and other.settings == row.settings
            ),
            None,
        )
        if twin is not None:  # the same settings give the same run to the bit
            facts = {**twin.facts, "seconds": 0.0, "same_as": twin.number}
            yield from self._finish(row.number, "done", twin.score, **facts)
            return
        run = self.folder(row.number)
        settings = {**self._plan.fixed, **row.settings}
        yield Notice(f"trial {row.number}: {_words(row.settings)}", "info")
        yield from self._start(row.number, train_command(self._plan.tensors, run, settings))

    def _start(self, number: int, words: list[str]) -> Iterator[Event]:
        busy = [attempt.device for attempt in self._running.values()]
        device = min(self._gpus, key=busy.count, default=None)
        try:
            self._running[number] = start(
                number, self.folder(number), words, device, self._lines, self.parallel
            )
        except (RunError, OSError) as error:
            yield from self._finish(number, "failed", None, reason=str(error))

    def folder(self, number: int) -> Path:
        """A trial's run folder."""
        return self._plan.output / "trials" / f"{number:04}"

    # Trials speak

    def _hear(self) -> Iterator[Event]:
        try:
            number, event = self._lines.get(timeout=PULSE)
        except queue.Empty:
            return
        attempt = self._running.get(number)
        if attempt is None:
            return
        match event:
            case None:
                yield from self._ended(self._running.pop(number))
            case Failed():
                attempt.failure = event.message
            case Evaluation() if event.step > 0 and attempt.phase == "train":
                yield from self._evaluated(attempt, event)
            case Progress() if attempt.phase == "evaluate":
                share = f"{event.done} of {event.total} {event.what}".rstrip()
                yield self._progress(f"trial {number} is judged: {share}")

    def _progress(self, what: str = "") -> Progress:
        done = sum(row.state != "running" for row in self._study.rows())
        return Progress("sweep", done, self._plan.trials, what)

    def _evaluated(self, attempt: Attempt, event: Evaluation) -> Iterator[Event]:
        score = relative(event.loss, event.base_loss)
        what = f"trial {attempt.number}, epoch {event.epoch}: {score:+.1%} to the base"
        hopeless = self._study.report(attempt.number, event.epoch, score)
        yield self._progress(what)
        if hopeless and not attempt.pruned:
            attempt.pruned = True
            attempt.stop()

    # Trials end

    def _ended(self, attempt: Attempt) -> Iterator[Event]:
        _forget_stop(attempt)
        number, seconds = attempt.number, time.monotonic() - attempt.began
        code = attempt.process.returncode
        if code == 0 and attempt.phase == "train" and self._plan.config.judge == "evaluate":
            words = ["evaluate", str(attempt.folder), "--quick"]
            yield from self._start(number, words)
            return
        if code == 0:
            yield from self._judge(attempt, seconds)
        elif attempt.pruned:
            reason = "worse than others at the same epoch"
            yield from self._finish(number, "pruned", None, reason=reason, seconds=seconds)
        else:
            reason = attempt.reason()
            yield from self._finish(number, "failed", None, reason=reason, seconds=seconds)

    def _judge(self, attempt: Attempt, seconds: float) -> Iterator[Event]:
        """Score a trial whose processes ended well."""
        number, facts = attempt.number, {"seconds": seconds}
        reached = best_reached(attempt.folder)
        if reached is not None:
            facts |= vars(reached)
        try:
            if self._plan.config.judge == "evaluate":
                heard = read_score(attempt.folder / "evaluation")
                yield from self._finish(number, "done", heard.score, **facts, **heard.facts)
            elif reached is None:
                reason = "it has no checkpoint with a held-out loss: too few songs, or validation 0"
                yield from self._finish(number, "failed", None, reason=reason, **facts)
            else:
                yield from self._finish(number, "done", reached.score, **facts)
        except RunError as error:
            yield from self._finish(number, "failed", None, reason=str(error), **facts)

    def _finish(
        self, number: int, state: Any, score: float | None, **facts: Any
    ) -> Iterator[Event]:
        self._study.finish(number, state, score, **facts)
        self._write()
        detail = f"{score:+.4f}" if score is not None else facts.get("reason", "")
        level = "warning" if state == "failed" else "info"
        yield Notice(f"trial {number} {state}: {detail}", level)
        yield self._progress()

    # What is left behind

    def _write(self) -> None:
        """The tables on disk, as of now."""
        plan, rows = self._plan, self._study.rows()
        best = self._best()
        intro = f"# {plan.output.name}\n\nLess is better: " + _yardstick(plan) + "."
        if best:
            intro += f"\n\nThe best settings:\n\n    {best['command']}"
        write_text(plan.output / "sweep.md", table.as_markdown(rows, [*plan.search], intro))
        write_text(plan.output / "sweep.csv", table.as_csv(rows, [*plan.search]))
        write_json(
            plan.output / RESULT,
            {
                "format": FORMAT,
                "plan": plan.settled(),
                "trials_wanted": plan.trials,
                "best": best,
                "trials": [table.as_json(row, self.folder(row.number)) for row in rows],
            },
        )

    def _best(self) -> dict[str, Any] | None:
        """The best trial so far with a command line that trains like it."""
        row = table.best_row(self._study.rows())
        if row is None:
            return None
        run = self.folder(row.facts.get("same_as", row.number))
        try:
            settings = settings_of(run)
        except RunError:  # somebody tidied up
            settings = {**self._plan.fixed, **row.settings}
        output = Path("runs") / self._plan.output.name
        return {
            **table.as_json(row, run),
            "settings": settings,
            "command": table.command(self._plan.tensors, output, settings),
        }

    def _conclude(self) -> Iterator[Event]:
        rows, best = self._study.rows(), self._best()
        yield Text(table.as_text(rows, [*self._plan.search]))
        for name in ("sweep.md", "sweep.csv", RESULT):
            yield Saved("table", str(self._plan.output / name))
        if best is None:
            reasons = [row.facts["reason"] for row in rows if row.facts.get("reason")]
            raise RunError(
                f"none of {len(rows)} trials succeeded: {reasons[0] if reasons else 'all pruned'}",
                hint=f"look into {self._plan.output / 'trials'}",
            )
        yield Text(f"\nless is better: {_yardstick(self._plan)}\nbest:\n{best['command']}")
        states = {state: sum(row.state == state for row in rows) for state in _STATES}
        yield Finished("sweep", str(self._plan.output), {**states, "best": best})

    def _stop_asked(self) -> bool:
        return self._stop.requested or (self._plan.output / "STOP").exists()

    def _resume(self) -> str:
        """What to type to go on: the same again."""
        given = self._plan.given
        flags = [
            f"--{name.replace('_', '-')}={vars(given)[name]}"
            for name in ("output", "tensors", "trials", "parallel", "judge", "sampler", "pruner")
            if name in given.model_fields_set and vars(given)[name] is not None
        ]
        return shlex.join(["acestep", "sweep", os.fspath(given.sweep), *flags])


_STATES = ("done", "pruned", "failed")


def _forget_stop(attempt: Attempt) -> None:
    (attempt.folder / "STOP").unlink(missing_ok=True)


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {table.text(v)}" for name, v in settings.items())


def _yardstick(plan: Plan) -> str:
    if plan.config.judge == "loss":
        return "the score is held-out loss against the base's, as a share of it"
    return "the score is the distance to the songs' style: 0 at the songs, 1 at the base"
