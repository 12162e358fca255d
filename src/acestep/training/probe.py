"""How long a step takes here: a few real ones, in a run folder that is thrown away."""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch

from acestep.config import TrainConfig
from acestep.training.cost import Time
from acestep.training.optim import learning_rate
from acestep.training.session import Session, open_session
from acestep.training.step import optimizer_step

STEPS = 3  # that are timed, after one that warms up
PATIENCE = 60.0  # seconds that a probe may take by what is predicted


def is_cheap(predicted: Time, steps: int) -> bool:
    """Whether a few steps are predicted to take less than a minute."""
    return predicted.seconds / max(1, steps) * (STEPS + 1) < PATIENCE


def time_steps(config: TrainConfig) -> Time:
    """The time of a whole run with this config, from the median of its first steps.

    Nothing is kept. Raises what opening the run raises, and ``OutOfMemoryError`` of torch.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        values = {name: vars(config)[name] for name in config.model_fields_set}
        values |= {"output": Path(folder) / "run", "validation": 0.0, "resume": False}
        session, _ = open_session(TrainConfig(**values), held)
        total = session.plan.total_steps
        seconds = []
        for step in range(min(STEPS + 1, total)):
            begun = time.perf_counter()
            optimizer_step(session, step, learning_rate(session.config, step, total))
            _wait(session)
            seconds.append(time.perf_counter() - begun)
    each = statistics.median(seconds[1:] or seconds)
    return Time(total * each, f"timed here: {each:.3g} s a step, {total} steps")


def _wait(session: Session) -> None:
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    elif session.device.type == "mps":
        torch.mps.synchronize()
