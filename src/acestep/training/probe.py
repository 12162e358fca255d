"""How long a step takes here: a few real ones, in a run folder that is thrown away."""

import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from acestep.config import TrainConfig
from acestep.events import Notice
from acestep.speed.measured import CudaMeter
from acestep.speed.pace import Pace
from acestep.training.estimate import Estimate
from acestep.training.fitting import step_that_fits
from acestep.training.optim import learning_rate
from acestep.training.session import Session, open_session
from acestep.training.timing import Time

STEPS = 3  # that are timed, after one that warms up
PATIENCE = 60.0  # seconds that a probe may take by what is predicted


@dataclass(frozen=True)
class Probe:
    """What a few steps showed: the ``time`` of the run's steps, every switch as it was chosen, what
    was said, and on CUDA the peak in bytes of what was allocated."""

    time: Time
    pace: Pace
    notices: list[Notice]
    peak: int | None = None


def is_cheap(predicted: Time) -> bool:
    """Whether a few steps are predicted to take less than a minute."""
    return predicted.step * (STEPS + 1) < PATIENCE


def time_steps(config: TrainConfig) -> Probe:
    """The time of a whole run with this config, from the median of its first steps.

    Nothing is kept. Raises what opening the run raises, and ``OutOfMemoryError`` of torch.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        values = {name: vars(config)[name] for name in config.model_fields_set}
        values |= {"output": Path(folder) / "run", "resume": False, "dry_run": False}
        values |= {"compile": "off", "cuda_graphs": False}  # which alone take a minute
        session, _ = open_session(TrainConfig(**values), held)
        total = session.plan.total_steps
        seconds = []
        notices: list[Notice] = []
        meter = CudaMeter(session.device) if session.device.type == "cuda" else None
        if meter:
            meter.start()
        for step in range(min(STEPS + 1, total)):
            begun = time.perf_counter()
            rate = learning_rate(session.config, step, total)
            notices += step_that_fits(session, step, rate)
            _wait(session)
            seconds.append(time.perf_counter() - begun)
    each = statistics.median(seconds[1:] or seconds)
    peak = meter.peak() if meter else None
    return Probe(Time(each, total, "timed here"), session.pace, notices, peak)


def with_probe(found: Estimate, probed: Probe) -> Estimate:
    """An estimate with what a few steps showed in place of what was predicted; they were neither
    compiled nor recorded, which is said where the run will be."""
    kept = {name: found.switches[name] for name in ("compiled", "graphs")}
    switches = {name: vars(probed.pace)[name] for name in probed.pace.values()} | kept
    slower = any(choice.value for choice in kept.values())
    how = f"{probed.time.how}, eager (compiled it takes less)" if slower else probed.time.how
    time = replace(found.time, step=probed.time.step, how=how)
    return replace(found, time=time, switches=switches)


def _wait(session: Session) -> None:
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    elif session.device.type == "mps":
        torch.mps.synchronize()
