"""All randomness of training as a function of (seed, step, position): nothing to save or restore.

``position`` is a sample's place in its optimizer step, counted over all processes, so that two
processes draw what one process with twice the accumulation draws.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from acestep.model import flow

ALIKE = 1.1  # lengths within a tenth count as one
ORDER, SAMPLE, DROPOUT, HELD_OUT, SPLIT, STEPS = range(6)


@dataclass(frozen=True)
class TimeLaw:
    """How training times are drawn: the turbo steps, or the larger of two logit-normals."""

    kind: Literal["turbo", "continuous"]
    shift: float
    mu: float = -0.4
    sigma: float = 1.0

    def draw(self, generator: torch.Generator) -> Tensor:
        """One time, shape ``[1]``, float32, in (0, 1]."""
        if self.kind == "turbo":
            return flow.draw_turbo_time(self.shift, generator)
        return flow.draw_continuous_time(self.shift, self.mu, self.sigma, generator)

    def fixed(self) -> list[float]:
        """The times at which held-out loss is measured: always the same eight."""
        if self.kind == "turbo":
            return flow.schedule(flow.TURBO_STEPS, self.shift)
        return flow.shifted(torch.linspace(0.15, 0.85, 8), self.shift).tolist()


@dataclass(frozen=True)
class Draw:
    """What chance decides for one sample of one step."""

    time: Tensor
    noise: Tensor
    drop_condition: bool


def seed_for(seed: int, *key: int) -> int:
    """A 63-bit seed for a purpose and its counters; different keys give independent streams."""
    digest = hashlib.sha256(repr((seed, *key)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def generator_for(seed: int, *key: int) -> torch.Generator:
    """A CPU generator for a purpose: the same draws on every device."""
    return torch.Generator().manual_seed(seed_for(seed, *key))


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """The order in which an epoch visits its samples."""
    return torch.randperm(count, generator=generator_for(seed, ORDER, epoch)).tolist()


def grouped_order(seed: int, epoch: int, lengths: Sequence[int], per_step: int) -> list[int]:
    """The same for samples of these lengths, with about one length in each step.

    Which samples meet in a step, and which step comes when, is drawn anew in each epoch. The rest
    that fills no step stands at the end and is of any length.
    """
    order = epoch_order(seed, epoch, len(lengths))
    steps = len(order) // per_step
    full, rest = order[: steps * per_step], order[steps * per_step :]
    full.sort(key=lambda place: round(math.log(lengths[place], ALIKE)))  # equals stay as drawn
    drawn = torch.randperm(steps, generator=generator_for(seed, STEPS, epoch)).tolist()
    return [place for step in drawn for place in full[step * per_step :][:per_step]] + rest


def draw_sample(
    law: TimeLaw,
    shape: Sequence[int],
    condition_dropout: float,
    seed: int,
    step: int,
    position: int,
) -> Draw:
    """Time, noise ``[1, T, C]`` float32 and condition dropout of one sample."""
    generator = generator_for(seed, SAMPLE, step, position)
    time = law.draw(generator)
    drop = torch.rand(1, generator=generator).item() < condition_dropout
    noise = torch.randn(1, *shape, generator=generator)
    return Draw(time, noise, drop)


def seed_dropout(seed: int, step: int, position: int) -> None:
    """Set torch's own generators, which the adapter's dropout uses, for one sample."""
    torch.manual_seed(seed_for(seed, DROPOUT, step, position))
