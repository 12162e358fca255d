"""The search itself: Optuna chooses settings, remembers trials in a file, says which to give up.

The file is Optuna's journal: a line of JSON a change, nothing that is executed when it is read.
"""

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from acestep.errors import ConfigError, RunError
from acestep.sweeping.plan import Choices, Plan, Range

NAME = "sweep"
JOURNAL = "study.log"
BEGINNING = 4  # trials that are chosen by chance, at least, and that no trial is given up before
MOST_BY_CHANCE = 10

State = Literal["running", "done", "pruned", "failed"]


@dataclass(frozen=True)
class Row:
    """One trial: its settings, how far it is, and its score (less is better; None: none yet).

    ``facts`` are what was noted with it: epoch, losses, seconds, the reason of a failure.
    """

    number: int
    state: State
    settings: dict[str, Any]
    score: float | None
    reports: dict[int, float]
    facts: dict[str, Any]


class Study:
    """A sweep's trials. One process at a time uses it, which holds the folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Open the journal in a folder, or begin one.

        Raises ``ConfigError`` if Optuna is not installed, ``RunError`` for a journal that is none.
        """
        optuna = _optuna()
        self._optuna = optuna
        self._grid = plan.combinations if plan.config.sampler == "grid" else None
        self._spaces = {name: _distribution(optuna, space) for name, space in plan.search.items()}
        journal = optuna.storages.journal
        try:
            path = _mended(folder / JOURNAL)
            backend = journal.JournalFileBackend(path, journal.JournalFileOpenLock(path))
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=NAME,
                direction="minimize",
                load_if_exists=True,
                pruner=_pruner(optuna, plan),
            )
            done = len(self._study.get_trials(deepcopy=False))
        except (ValueError, LookupError, TypeError, AssertionError, OSError) as error:
            raise RunError(
                f"{folder / JOURNAL} is not a journal that can be read: {error}",
                hint="bring it back from a copy, or choose another -o",
            ) from error
        # A sampler is not kept: going on, it draws other numbers than it has drawn
        self._study.sampler = _sampler(optuna, plan, plan.config.seed + done)

    def rows(self) -> list[Row]:
        """Every trial, in the order in which they were begun."""
        states = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Row(
                trial.number,
                states.get(trial.state.name, "running"),  # type: ignore[arg-type]
                {name: _plain(value) for name, value in trial.params.items()},
                trial.value if trial.state.name == "COMPLETE" else None,
                dict(trial.intermediate_values),
                dict(trial.user_attrs),
            )
            for trial in self._study.get_trials(deepcopy=False)
        ]

    def ask(self) -> Row:
        """Begin a trial with settings that the search chooses."""
        if self._grid is not None:
            begun = len(self._study.get_trials(deepcopy=False))
            self._study.enqueue_trial(self._grid[begun % len(self._grid)])
        number = self._study.ask(self._spaces).number
        return self.rows()[number]

    def report(self, number: int, epoch: int, score: float) -> bool:
        """Note how good a running trial is at an epoch; whether to give it up."""
        trial = self._trial(number)
        if not math.isfinite(score):
            return False
        if epoch not in self.rows()[number].reports:
            trial.report(score, epoch)
        return trial.should_prune()

    def finish(self, number: int, state: State, score: float | None, **facts: Any) -> None:
        """Note how a trial ended, with its score if it is done."""
        trial = self._trial(number)
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        states = self._optuna.trial.TrialState
        ended = {"done": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[state]
        self._study.tell(number, score if state == "done" else None, state=ended)

    def _trial(self, number: int) -> Any:
        """A running trial, also of a sweep that was killed."""
        trial_id = self._study.get_trials(deepcopy=False)[number]._trial_id
        return self._optuna.trial.Trial(self._study, trial_id)


def _mended(path: Path) -> str:
    """The journal without what a killed process left: half a line at its end, and its lock."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(path, whole)
    return str(path)


def _plain(value: Any) -> Any:
    """Numbers as people write them: nobody needs a learning rate to sixteen digits."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            ["acestep sweep needs the package optuna, which is not installed"],
            hint="pip install 'acestep-studio[sweep]'",
        ) from error
    optuna.logging.set_verbosity(logging.ERROR)
    return optuna


def _distribution(optuna: Any, space: Choices | Range) -> Any:
    kinds = optuna.distributions
    match space:
        case Range(low, high, log, step, True):
            return kinds.IntDistribution(low, high, log=log, step=step or 1)
        case Range(low, high, log, step, False):
            return kinds.FloatDistribution(low, high, log=log, step=step)
    return kinds.CategoricalDistribution(space)


def _sampler(optuna: Any, plan: Plan, seed: int) -> Any:
    if plan.config.sampler != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    first = min(MOST_BY_CHANCE, max(BEGINNING, plan.trials // 4))
    return optuna.samplers.TPESampler(n_startup_trials=first, seed=seed)


def _pruner(optuna: Any, plan: Plan) -> Any:
    match plan.config.pruner:
        case "median":
            return optuna.pruners.MedianPruner(BEGINNING, n_warmup_steps=plan.longest // 5)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(plan.shortest, plan.longest or "auto")
    return optuna.pruners.NopPruner()
