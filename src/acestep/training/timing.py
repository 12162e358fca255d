"""How long a run will take, predicted for a card or guessed for a CPU; timed is better."""

from dataclasses import dataclass
from functools import cache

import torch

from acestep.knobs import counted
from acestep.model.shape import Shape
from acestep.speed.computing import NARROW, ROWS, product_seconds
from acestep.speed.roofline import Batch, Chip, Way, pass_seconds, update_seconds
from acestep.training.batches import groups
from acestep.training.machine import Machine

MARGIN = 0.3  # of what is predicted for a card
FORWARD = 1 / 3  # of a pass: one without a gradient
CPU_BANDWIDTH = 15.0  # GB/s of a desktop's memory
MAC = Chip(5.0, 150.0)  # of a middling M chip


@dataclass(frozen=True)
class Work:
    """What one process does in a run: ``steps`` of ``samples`` clips that have ``patches`` each, up
    to ``at_once`` patches together; ``taught`` guidance goes a second time through the model, and
    so do clips whose prompts without the tag are ``kept``, beside the base's answer to these.
    ``unlearned`` are clips that only go forward: evaluations, and the steps of previews."""

    steps: int
    samples: int
    patches: float
    at_once: int = 0
    taught: bool = False
    kept: bool = False
    unlearned: float = 0


@dataclass(frozen=True)
class Time:
    """Seconds of a ``step``, how many ``steps``, seconds ``beside`` them for evaluations and
    previews, and ``how`` that is known."""

    step: float
    steps: int
    how: str
    beside: float = 0.0

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.step * self.steps + self.beside

    @property
    def sentence(self) -> str:
        """The time in words."""
        count = counted(self.steps, "step")
        return f"{self.how}: {duration(self.seconds)} ({count} of {short_time(self.step)})"


def predict_time(shape: Shape, machine: Machine, adapter: int, way: Way, work: Work) -> Time:
    """The time of a run that trains so many parameters of an ``adapter``."""
    chip, how = chip_of(machine, shape)
    patches = max(1, round(work.patches))
    together = groups([patches] * work.samples, work.at_once)
    passes = (
        pass_seconds(shape, chip, way, Batch(patches, len(members)), adapter)
        for members in together
    )
    times = 1 + FORWARD * work.taught + (1 + FORWARD) * work.kept
    step = sum(passes) * times + update_seconds(chip, adapter)
    forward = FORWARD * pass_seconds(shape, chip, Way(stored=way.stored), Batch(patches), adapter)
    return Time(step, work.steps, how, work.unlearned * forward)


def chip_of(machine: Machine, shape: Shape) -> tuple[Chip, str]:
    """What a machine computes with, and in words how much is to be made of that."""
    if machine.chip is not None:
        return machine.chip, f"predicted for {machine.name}, ±{MARGIN:.0%}".replace("%", " %")
    if machine.kind == "mps":
        return MAC, f"a rough guess for {machine.name}, nothing was timed"
    rough = f"a rough guess for {machine.name} by a matrix product that was timed"
    return cpu_chip(shape.width, shape.inner), rough


@cache
def cpu_chip(width: int, inner: int) -> Chip:
    """This CPU, by the product of a layer in the precision that is faster here (0.1 s)."""
    seconds = product_seconds(width, inner)
    best = seconds[torch.float32] if width < NARROW else min(seconds.values())
    return Chip(2 * ROWS * width * inner / best / 1e12, CPU_BANDWIDTH)


def duration(seconds: float) -> str:
    """A length of time for people: ``45 s``, ``12 min``, ``3.5 h``, ``4 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def short_time(seconds: float) -> str:
    """A length of time down to milliseconds: ``35 ms``, ``1.4 s``, ``3 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 90 else duration(seconds)
