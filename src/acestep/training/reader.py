"""The losses of steps, read from the device in groups, and what is said when one is no number."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from acestep.errors import RunError
from acestep.events import Estimate, Event, Step
from acestep.training.checkpoint import Progress
from acestep.training.pictures import draw_losses
from acestep.training.session import Session

STEPS_PER_READ = 10  # on an accelerator, losses are read in groups: each read waits for it
SECONDS_PER_PICTURE = 20.0


class LossReader:
    """Losses wait on the device until a group is read; each read waits for the device."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending: list[tuple[Progress, float, Tensor, Tensor]] = []
        self._group = 1 if session.device.type == "cpu" else STEPS_PER_READ
        self._last_read: tuple[int, float] | None = None
        self._estimated = False
        self._pictured = time.monotonic()

    def add(self, progress: Progress, rate: float, loss: Tensor, norm: Tensor) -> None:
        """Keep one step's numbers."""
        self._pending.append((progress, rate, loss, norm))

    def is_due(self) -> bool:
        """Whether a group is complete (the very first step is read at once)."""
        return len(self._pending) >= (self._group if self._last_read else 1)

    def read(self) -> Iterator[Event]:
        """Yield the pending steps. Raises ``RunError`` at the first NaN or Inf."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        numbers = torch.stack([torch.stack((loss, norm)) for _, _, loss, norm in pending]).tolist()
        for (progress, rate, _, _), (loss, norm) in zip(pending, numbers, strict=True):
            yield self._session.keep(Step(progress.step, progress.epoch, loss, rate, norm))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise diverged(self._session, progress.step, loss, rate)
        yield from self._estimate(pending[-1][0].step)
        if (
            time.monotonic() - self._pictured > SECONDS_PER_PICTURE
            and self._session.processes.is_main
        ):
            draw_losses(self._session.run.loss_picture, self._session.history)
            self._pictured = time.monotonic()

    def _estimate(self, step: int) -> Iterator[Event]:
        now = time.monotonic()
        if self._last_read and not self._estimated and step > self._last_read[0]:
            before, then = self._last_read
            if step - before >= min(3, self._session.plan.total_steps - before):
                seconds = (now - then) / (step - before)
                total = self._session.plan.total_steps
                self._estimated = True
                yield Estimate(step, total, seconds, seconds * (total - step))
            return
        if self._last_read is None:
            self._last_read = (step, now)


def diverged(session: Session, step: int, loss: float, rate: float) -> RunError:
    """The error for NaN or Inf, with the guide's advice."""
    kept = (
        f"{session.last_checkpoint} is kept"
        if session.last_checkpoint
        else "there is no checkpoint yet"
    )
    return RunError(
        f"training diverged: loss {loss} at step {step}, learning rate {rate:.3g}; {kept}",
        hint="halve the learning rate (1e-4 → 5e-5): "
        f"--resume --learning-rate {session.config.learning_rate / 2:g}",
    )
