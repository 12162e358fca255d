"""Steps that fit into memory: where it runs out, less is kept and the same step is made again."""

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from acestep.events import Notice
from acestep.model.device import free_memory
from acestep.speed.levels import next_level
from acestep.speed.pace import Choice, Pace
from acestep.speed.sharding import is_sharded
from acestep.training.batches import patches_of
from acestep.training.filling import RAN_OUT
from acestep.training.session import Session
from acestep.training.step import add_gradients, update


def step_that_fits(
    session: Session, step: int, rate: float
) -> Generator[Notice, None, tuple[Tensor, Tensor]]:
    """One optimizer step (:func:`acestep.training.step.optimizer_step`), whatever it takes.

    Each time that memory runs out, the pace comes down by one and the step begins again with the
    draws it had. The run folder remembers. Raises torch's ``OutOfMemoryError`` if there is nothing
    left to give up.
    """
    while isinstance(loss := _attempt(session, step), torch.OutOfMemoryError):
        # The processes of a split base make their passes together: none can begin again alone
        slower = None if is_sharded(session.transformer) else less(session)
        if slower is None:
            raise loss
        what = _change(session.pace, slower)
        session.lower(slower)
        session.optimizer.zero_grad(set_to_none=True)
        free_memory(session.device)
        yield Notice(f"memory ran out in step {step + 1}, which is made again: {what} from here on")
    return update(session, rate, loss)


def less(session: Session) -> Pace | None:
    """A pace that takes less memory: first without CUDA graphs, which hold a pass of each length;
    then the next level of checkpointing, and after the last one fewer clips at once; None where it
    is one clip already."""
    pace = session.pace
    if pace.graphs.value:
        return replace(pace, graphs=Choice(False, RAN_OUT, slower=True))
    if (level := next_level(pace.level)) is not None:
        return replace(pace, checkpointing=Choice(level, RAN_OUT, slower=True))
    half = int(pace.patches_at_once.value) // 2
    shortest = min(patches_of(clip, session.patch) for clip in session.split.train)
    if half == 0:
        return None
    return replace(
        pace, patches_at_once=Choice(half if half > shortest else 0, RAN_OUT, slower=True)
    )


def _attempt(session: Session, step: int) -> Tensor | torch.OutOfMemoryError:
    """The loss, or the error without its traceback, which would keep alive what it was short of."""
    try:
        return add_gradients(session, step)
    except torch.OutOfMemoryError as error:
        return error.with_traceback(None)


def _change(before: Pace, after: Pace) -> str:
    old, new = before.values(), after.values()
    return ", ".join(
        f"{name.replace('_', ' ')} {old[name]} → {value}"
        for name, value in new.items()
        if value != old[name]
    )
