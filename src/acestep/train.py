"""Train an adapter: the loop, and what happens around a step.

Randomness is a function of (seed, step, position), so a checkpoint is adapter, optimizer and step,
and a run that was killed and resumed gives the numbers of one that never stopped.
"""

import math
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch

from acestep.config import TrainConfig
from acestep.errors import RunError
from acestep.events import (
    Evaluation,
    Event,
    Finished,
    Notice,
    Saved,
    Started,
    Step,
    Stopped,
)
from acestep.training.checkpoint import (
    Progress,
    checkpoint_name,
    remove_checkpoint,
    save_checkpoint,
)
from acestep.training.evaluate import is_sound
from acestep.training.evidence import evaluation
from acestep.training.fitting import step_that_fits
from acestep.training.optim import learning_rate
from acestep.training.outlook import outlook
from acestep.training.pictures import Scalars, draw_losses
from acestep.training.previews import Previews
from acestep.training.reader import LossReader, diverged
from acestep.training.session import Session, open_session
from acestep.training.stopping import StopRequest, stop_signals
from acestep.training.verdict import verdict_of_log

OUT_OF_MEMORY = (
    "cut songs with preprocess --segment-seconds, lower --rank, keep the base in less memory with "
    "--base-precision int8, or take a higher --memory-limit if one was given"
)


def train(config: TrainConfig) -> Iterator[Event]:
    """Train on preprocessed tensors into a run folder, and yield what happens.

    Ctrl-C, SIGTERM or a ``STOP`` file in the run folder finish the step, save, and end with a
    ``Stopped`` event. Raises ``TensorError``, ``ModelError``, ``AdapterError`` or ``ConfigError``
    if the parts do not fit together, and ``RunError`` if the run diverges (NaN or Inf), the disk is
    full, memory runs out, or the folder holds another run; what was saved before stays. With
    ``dry_run`` nothing is started: the events say what a run would take.
    """
    if config.dry_run:
        yield from outlook(config)
        return
    with stop_signals() as stop, ExitStack() as held:
        try:
            yield from _train(config, stop, held)
        except torch.OutOfMemoryError as error:
            raise RunError(f"out of memory on the device: {error}", hint=OUT_OF_MEMORY) from error
        except OSError as error:
            raise RunError(
                f"cannot write to {config.output}: {error.strerror or error}",
                hint="free some space or fix the permissions, then go on with --resume; "
                "the last complete checkpoint is kept",
            ) from error


def _train(config: TrainConfig, stop: StopRequest, held: ExitStack) -> Iterator[Event]:
    session, notices = open_session(config, held)
    run = session.run
    if not session.processes.is_main:
        yield from _loop(session, stop)
        return
    begun = session.progress.step
    scalars = Scalars(run.tensorboard, begun + 1 if begun else 0)
    try:
        begin: list[Event] = [Started("train", session.facts()), *notices]
        for event in chain(begin, _loop(session, stop)):
            run.append([event])
            scalars.add([event])
            yield event
    finally:
        scalars.close()


def _loop(session: Session, stop: StopRequest) -> Iterator[Event]:
    config, plan, progress = session.config, session.plan, session.progress
    reader = LossReader(session)
    previews = Previews(session, lambda: asked_here(session, stop))

    # Evaluate the base before the first step
    session.base = session.measure_base()
    if progress.step == 0 and session.base:
        yield _evaluation(session, progress)
    yield from previews.begin()

    for step in range(progress.step, plan.total_steps):
        # Step
        rate = learning_rate(config, step, plan.total_steps)
        loss, norm = yield from step_that_fits(session, step, rate)
        progress = _advance(progress, step + 1, plan.steps_per_epoch)
        reader.add(progress, rate, loss, norm)
        evaluate = bool(session.split.held_out) and plan.ends_epoch(
            progress.step, config.validate_every
        )
        save = plan.ends_epoch(progress.step, config.save_every)
        listen = previews.are_due(progress)

        # Read the losses: in groups, and before anything is kept
        due = reader.is_due() or evaluate or save or listen
        if due:
            yield from reader.read()

        # Evaluate
        stale, best_before = False, progress.best_epoch
        if evaluate:
            result = _evaluation(session, progress)
            yield result
            progress = _judge(session, progress, result.loss)
            stale = 0 < config.patience <= progress.evaluations_since_best
        better = config.patience > 0 and progress.best_epoch != best_before

        # Save: with --patience the best checkpoint so far is always there
        kept = save or stale or better
        if kept:
            yield _save(session, progress)
        if better:
            _drop_superseded(session, best_before)

        # Preview
        if listen:
            yield from previews.make(progress)

        # Stop?
        if progress.step < plan.total_steps and stop_asked(session, stop, agree=due):
            yield from reader.read()
            yield from _stop(session, progress, kept=kept)
            return
        if stale:
            yield _stopped_early(config, progress)
            break
    session.processes.wait()
    yield from _ending(session, progress)


def _stop(session: Session, progress: Progress, *, kept: bool) -> Iterator[Event]:
    if not kept:
        yield _save(session, progress)
    session.run.stop_file.unlink(missing_ok=True)
    command = resume_command(session.config, session.processes.world)
    yield Stopped("train", str(session.run.path), command)


def _stopped_early(config: TrainConfig, progress: Progress) -> Notice:
    return Notice(
        f"stopped early: no better held-out loss in {config.patience} evaluations; "
        f"the best is epoch_{progress.best_epoch} ({progress.best_loss:.4f})",
        "info",
    )


def stop_asked(session: Session, stop: StopRequest, *, agree: bool) -> bool:
    """Whether to stop. Several processes give one answer, at the steps where they ``agree``: it
    costs a message that all of them wait for."""
    asked = asked_here(session, stop)
    if session.processes.world == 1:
        return asked
    if not agree:
        return False
    votes = torch.tensor(float(asked), device=session.device)
    session.processes.add_up([votes])
    return votes.item() > 0


def asked_here(session: Session, stop: StopRequest) -> bool:
    """Whether this process was asked to stop, by a signal or the ``STOP`` file."""
    return stop.requested or session.run.stop_file.exists()


def resume_command(config: TrainConfig, processes: int) -> str:
    """What to type to go on: as many processes as before, since that is part of a step's size."""
    launch = ["accelerate", "launch", "--num_processes", str(processes), "-m"]
    start = [*launch, "acestep"] if processes > 1 else ["acestep"]
    return shlex.join([*start, "train", str(config.tensors), "-o", str(config.output), "--resume"])


def _advance(progress: Progress, step: int, steps_per_epoch: int) -> Progress:
    return replace(progress, step=step, epoch=-(-step // steps_per_epoch))


def _judge(session: Session, progress: Progress, loss: float) -> Progress:
    if not math.isfinite(loss):
        raise diverged(session, progress.step, loss, session.rate)
    if loss < progress.best_loss:
        return replace(
            progress, best_loss=loss, best_epoch=progress.epoch, evaluations_since_best=0
        )
    return replace(progress, evaluations_since_best=progress.evaluations_since_best + 1)


def _drop_superseded(session: Session, epoch: int) -> None:
    """Remove a checkpoint that was kept only for having been the best."""
    folder = session.run.checkpoints / f"epoch_{epoch}"
    only_best = epoch % session.config.save_every != 0
    if only_best and session.processes.is_main and folder.exists():
        remove_checkpoint(folder)
    session.processes.wait()


def _evaluation(session: Session, progress: Progress) -> Evaluation:
    assert session.base is not None
    measured = session.measure()
    return session.keep(evaluation(progress.step, progress.epoch, measured, session.base))


def _save(session: Session, progress: Progress) -> Saved:
    """Keep a checkpoint; the losses so far were those before its last update, so that one is tried:
    a kept checkpoint is always one to go on from."""
    with session.autocast():
        sound = is_sound(session.learner, session.split.train[0], session.plan.law, session.device)
    if not sound:
        raise diverged(session, progress.step, float("nan"), session.rate)
    folder = session.run.checkpoints / checkpoint_name(progress.step, session.plan.steps_per_epoch)
    if session.processes.is_main:
        session.run.sync()
        save_checkpoint(
            folder, session.transformer, session.optimizer, progress, session.card(progress)
        )
        draw_losses(session.run.loss_picture, session.history)
    session.processes.wait()
    session.last_checkpoint = folder
    return Saved("checkpoint", str(folder))


def _ending(session: Session, progress: Progress) -> Iterator[Event]:
    """What was learned, in words, and the run's facts."""
    verdict = verdict_of_log(session.history)
    yield verdict.notice()
    facts = {**_summary(session, progress), "verdict": verdict.as_dict()}
    yield Finished("train", str(session.run.path), facts)


def _summary(session: Session, progress: Progress) -> dict[str, object]:
    steps = [event for event in session.history if isinstance(event, Step)]
    evaluations = [event for event in session.history if isinstance(event, Evaluation)]
    facts: dict[str, object] = {"steps": progress.step, "epochs": progress.epoch}
    if steps:
        facts["loss"] = steps[-1].loss
    if evaluations:
        facts["held_out_loss"] = evaluations[-1].loss
        facts["base_held_out_loss"] = evaluations[-1].base_loss
    if session.config.patience and progress.best_epoch:
        facts["best"] = str(session.run.checkpoints / f"epoch_{progress.best_epoch}")
    facts["adapter"] = str(Path(session.last_checkpoint)) if session.last_checkpoint else ""
    facts["loss_picture"] = str(session.run.loss_picture)
    return facts
