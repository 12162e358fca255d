"""Which settings suit a folder, a base model and a machine, each with its reason.

The numbers are the guide's: epochs by the number of songs, batch and accumulation by memory, rank
by style, checkpoints to choose from. They are for the 2B model, whose width is 2048. For another
width w:

- the learning rate is ``1e-4 × 2048 / w``: under Adam, an update that changes what comes out of a
  layer by a given share shrinks as 1 / width (Yang et al. 2022, "Tensor Programs V");
- a narrower model then needs as many fewer epochs, since rate × steps is what moves it;
- the rank is at most a twelfth of the width: beyond it there is little left to be low in rank.

On the small model that ships (192 wide) that gives what its lesson was found to need by trial:
rank 16, rate 1e-3, about 50 epochs. A knob that is given is taken as it is; those that depend on it
follow.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from acestep.knobs import counted, number
from acestep.training import memory_advice
from acestep.training.advised import Advice, Given, config_of
from acestep.training.cost import Memory
from acestep.training.estimate import Estimate, estimate
from acestep.training.memory_advice import card_of
from acestep.training.situation import Situation
from acestep.training.timing import Time

RATE = 1e-4
COMPLEX_RATE = 0.8  # of it, for rank 128: the guide's K-pop example
EPOCHS = ((1, 1000), (4, 800), (8, 500), (15, 500), (20, 400), (40, 300))  # songs, epochs
# GiB, batch, accumulation: the guide's rows
BATCHES = ((12.0, 1, 4), (16.0, 1, 8), (24.0, 2, 4), (40.0, 4, 4))
LEAST_STEPS = 150  # fewer than these, and averaging over samples is no bargain
SIMPLE, COMPLEX = 0.4, 1.0  # of the spread: a rank of 32, of 128
SMALL_WIDTH = 512
CROSS_SECTION = 12  # the width over the largest rank
FEW_SONGS, FEW_MINUTES = 5, 15.0  # the guide's minimum
CHECKPOINTS, EVALUATIONS = 5, 20  # in a run
TAUGHT = 2.5


@dataclass(frozen=True)
class Recommendation:
    """Settings for training (and, with their verb named, for preprocess), and what they cost."""

    settings: tuple[Advice, ...]
    estimate: Estimate

    @property
    def memory(self) -> Memory:
        """Of a step, predicted."""
        return self.estimate.memory

    @property
    def time(self) -> Time:
        """Of the run, predicted."""
        return self.estimate.time

    def values(self) -> dict[str, Any]:
        """The knobs of train by name."""
        return {one.knob: one.value for one in self.settings if one.verb == "train"}

    def command(self, tensors: Path, output: Path) -> str:
        """The command line that trains with these settings."""
        flags = [one.flag for one in self.settings if one.verb == "train"]
        places = shlex.join(["acestep", "train", str(tensors), "-o", str(output)])
        return " ".join([places, *flags])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "settings": [asdict(one) for one in self.settings],
            **self.estimate.as_dict(),
        }


Rule = Callable[[Situation, Given], Advice | None]


def advise(
    situation: Situation, given: Mapping[str, Any] | None = None, processes: int = 1
) -> Recommendation:
    """Settings for a situation. ``given`` are knobs that are settled already: nothing is said of
    them, and the others suit them. ``processes`` train together."""
    plan: dict[str, Any] = {"processes": processes, **(given or {})}
    settings = []
    for rule in _RULES:
        advice = rule(situation, plan)
        if advice is None or advice.knob in (given or {}):
            continue
        settings.append(advice)
        if advice.verb == "train":
            plan[advice.knob] = advice.value
    return Recommendation(tuple(settings), estimate(situation, config_of(plan), processes))


# Capacity


def _rank(s: Situation, plan: Given) -> Advice:
    rank, reason = _rank_by_style(s)
    if rank == 128 and (s.songs < FEW_SONGS or s.minutes < FEW_MINUTES):
        rank, reason = 64, f"{reason}, but so little music overfits at 128"
    if rank > 32 and s.machine.kind == "cuda" and s.machine.gib <= memory_advice.SMALL_CARD:
        rank, reason = 32, f"{s.machine.gib:.0f} GB of memory: the guide takes 32 there"
    most = 1 << ((s.base.shape.width // CROSS_SECTION).bit_length() - 1)
    if rank > most:
        rank = most
        reason = f"{s.base.name} is {s.base.shape.width} wide: more would hardly be low in rank"
    return Advice("rank", rank, reason)


def _rank_by_style(s: Situation) -> tuple[int, str]:
    if s.spread is None:
        why = "songs are too few or short to measure it" if s.measured else "not measured yet"
        return 64, f"balanced; the spread of the style: {why}"
    measured = f"songs differ {s.spread:.1f} times as much as a song does within itself"
    if s.spread < SIMPLE:
        return 32, f"a simple, even style: {measured}"
    if s.spread > COMPLEX:
        return 128, f"a complex or varied style: {measured}"
    return 64, f"a style of medium breadth: {measured}"


def _alpha(s: Situation, plan: Given) -> Advice:
    return Advice("alpha", 2.0 * plan["rank"], "twice the rank, as the guide has it")


def _targets(s: Situation, plan: Given) -> Advice:
    if s.base.shape.width < SMALL_WIDTH:
        return Advice(
            "targets", "attention+mlp", "a small model's attention alone is too little to change"
        )
    return Advice("targets", "attention", "attention alone carries a style, and trains fastest")


def _dropout(s: Situation, plan: Given) -> Advice:
    if s.base.shape.width < SMALL_WIDTH:
        return Advice("dropout", 0.0, "a small adapter has nothing to spare")
    if s.songs < FEW_SONGS or s.minutes < FEW_MINUTES:
        return Advice("dropout", 0.2, f"{_music(s)} are few: the guide's cure against overfitting")
    return Advice("dropout", 0.1, "the guide's default against overfitting")


# Pace


def _learning_rate(s: Situation, plan: Given) -> Advice | None:
    if plan.get("optimizer") == "prodigy":
        return None  # it finds its own
    rate, reason = RATE, "the guide's default"
    if plan["rank"] >= 128:
        rate, reason = RATE * COMPLEX_RATE, "a little less for a rank of 128, as in its example"
    if s.scale != 1:
        rate /= s.scale
        reason = (
            f"{number(_two_digits(rate * s.scale))} × 2048 / {s.base.shape.width}: "
            "the rate goes as one over the model's width"
        )
    return Advice("learning_rate", _two_digits(rate), reason)


def _epochs(s: Situation, plan: Given) -> Advice:
    wanted: float = _between(EPOCHS, s.pieces)
    reason = f"{wanted:.0f} is the guide's for {counted(s.pieces, 'song')}"
    if s.scale < 1:
        wanted = wanted * s.scale
        reason += f", {1 / s.scale:.0f} times fewer as the learning rate is as much higher"
    step = 50 if wanted >= 200 else 10 if wanted >= 25 else 1
    return Advice("epochs", max(step, step * round(wanted / step)), reason)


def _between(table: tuple[tuple[int, int], ...], songs: int) -> int:
    """Linear between the rows, rounded to 10; the first and last row hold beyond them."""
    if songs <= table[0][0]:
        return table[0][1]
    for (few, high), (many, low) in pairwise(table):
        if songs <= many:
            return round((high + (low - high) * (songs - few) / (many - few)) / 10) * 10
    return table[-1][1]


def _batch_size(s: Situation, plan: Given) -> Advice:
    batch, accumulation = _batches(s)
    effective, limited = _effective(s, plan, batch * accumulation)
    value = max(1, min(batch, effective // plan["processes"]))
    reason = limited if value < batch else f"the guide's for {card_of(s)}"
    return Advice("batch_size", value, reason)


def _accumulation(s: Situation, plan: Given) -> Advice:
    batch, accumulation = _batches(s)
    effective, limited = _effective(s, plan, batch * accumulation)
    value = max(1, round(effective / plan["batch_size"] / plan["processes"]))
    together = value * plan["batch_size"] * plan["processes"]
    reason = limited or f"the guide's for {card_of(s)}"
    return Advice("gradient_accumulation", value, f"{reason}; {counted(together, 'sample')} a step")


def _batches(s: Situation) -> tuple[int, int]:
    """Batch and accumulation by memory; without a card the guide's smallest."""
    gib = s.machine.gib if s.machine.kind == "cuda" else 0.0
    rows = [row for row in BATCHES if row[0] <= gib * 1.05] or [BATCHES[0]]
    return rows[-1][1:]


def _effective(s: Situation, plan: Given, wanted: int) -> tuple[int, str]:
    """Samples a step: as wanted, or less where that would leave too few steps; and why less."""
    samples = s.clips * plan["epochs"]
    most = max(1, min(s.clips, samples // LEAST_STEPS))
    if wanted <= most:
        return wanted, ""
    clips = counted(s.clips, "clip")
    if most == s.clips:
        return most, f"there are only {clips}"
    few = f"{clips} × {plan['epochs']} epochs make few steps"
    return most, f"{few}, so smaller ones and more of them"


def _warmup(s: Situation, plan: Given) -> Advice:
    steps = min(100, _steps(s, plan) // 10)
    return Advice("warmup_steps", steps, f"a tenth of {_steps(s, plan)} steps, at most 100")


def _steps(s: Situation, plan: Given) -> int:
    per_step = plan["batch_size"] * plan["gradient_accumulation"] * plan["processes"]
    return plan["epochs"] * -(-s.clips // per_step)


def _save_every(s: Situation, plan: Given) -> Advice:
    every = max(1, min(200, plan["epochs"] // CHECKPOINTS))
    number_of = -(-plan["epochs"] // every)
    reason = f"{counted(number_of, 'checkpoint')} to choose the best from"
    return Advice("save_every", every, reason)


def _validate_every(s: Situation, plan: Given) -> Advice:
    every = max(1, plan["epochs"] // EVALUATIONS)
    reason = "often enough to see where held-out loss turns, seldom enough to cost little"
    return Advice("validate_every", every, reason)


def _teach_guidance(s: Situation, plan: Given) -> Advice | None:
    if s.base.variant != "turbo" or s.base.shape.width >= SMALL_WIDTH:
        return None
    reason = "on a small turbo model the plain loss unlearns the guidance that is built in"
    return Advice("teach_guidance", TAUGHT, reason)


_RULES: tuple[Rule, ...] = (
    _rank,
    _alpha,
    _targets,
    _dropout,
    _learning_rate,
    _epochs,
    _batch_size,
    _accumulation,
    _warmup,
    _save_every,
    _validate_every,
    _teach_guidance,
    memory_advice.base_precision,
    memory_advice.checkpointing,
    memory_advice.patches_at_once,
    memory_advice.offload,
    memory_advice.tiles,
    memory_advice.segments,
)


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def _music(s: Situation) -> str:
    return f"{counted(s.songs, 'song')} of {s.minutes:.0f} min together"
