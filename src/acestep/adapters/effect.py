"""Whether an adapter is heard: the same seed and prompt with it and without it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from acestep.adapters.adapter import Adapter
from acestep.adapters.mount import alone, disabled
from acestep.adapters.size import Size, adapter_size
from acestep.adapters.stack import activation_tag, other_base
from acestep.checking.finding import Finding
from acestep.data.plain import plain
from acestep.errors import AdapterError
from acestep.model.base import BaseModel
from acestep.model.flow import TURBO_STEPS, schedule
from acestep.model.sample import Condition, denoise, draw_noise, other_seed

SEED = 42
UNHEARD = 0.1  # of what another seed changes: a difference 20 dB below the piece
WEAK = 0.2  # strength
TINY = 1e-3  # ‖ΔW‖ / ‖W‖
SLOW = 1e-5  # learning rate


@dataclass(frozen=True)
class OutputChange:
    """How far the finished latents move: with the adapter, and with another seed on the base.

    Both are root mean squares of the difference, as shares of the base's own latents. ``share`` is
    the one by the other: 0 is the same piece, 1 is as different as another piece.
    """

    relative: float
    seeds: float
    seed: int
    strength: float

    @property
    def share(self) -> float:
        """What the adapter changes, as a share of what another seed changes."""
        return self.relative / self.seeds if self.seeds else math.inf

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json``."""
        return {**plain(self), "share": plain(self.share)}


@dataclass(frozen=True)
class Effect:
    """Size, change of the output, and the alarm if there is cause for one; the first two are None
    if the adapter does not fit the base."""

    size: Size | None
    change: OutputChange | None
    alarm: Finding | None

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json``."""
        return {
            "size": self.size and self.size.as_dict(),
            "change": self.change and self.change.as_dict(),
            "alarm": plain(self.alarm),
        }


def effect(
    transformer: nn.Module,
    adapter: Adapter,
    condition: Condition,
    *,
    strength: float = 1.0,
    shift: float = 3.0,
    caption: str | None = None,
    model: BaseModel | None = None,
) -> Effect:
    """Size and change of an adapter, and whether it does nothing or breaks the output.

    ``condition`` is the prompt it is tried with, ``caption`` its words and ``model`` the base, if
    they are known: they name more causes. An adapter that does not fit the base is an alarm too.
    """
    try:
        size = adapter_size(transformer, adapter, strength)
    except AdapterError as error:
        return Effect(None, None, Finding("does-not-fit", "error", None, str(error), error.hint))
    change = output_change(transformer, adapter, condition, strength=strength, shift=shift)
    return Effect(size, change, alarm(size, change, adapter, caption=caption, model=model))


def output_change(
    transformer: nn.Module,
    adapter: Adapter,
    condition: Condition,
    *,
    strength: float = 1.0,
    shift: float = 3.0,
    seed: int = SEED,
) -> OutputChange:
    """Generate latents from one noise with and without the adapter, and once from another noise.

    Eight steps without guidance, whatever the base, on the transformer's device: three passes of
    eight. Raises ``AdapterError`` if the adapter does not fit.
    """
    with disabled(transformer):
        base = _latents(transformer, condition, seed, shift)
        another = _latents(transformer, condition, other_seed(seed, 1), shift)
    with alone(transformer, adapter, strength):
        adapted = _latents(transformer, condition, seed, shift)
    moved, apart = ((other - base).norm() / base.norm() for other in (adapted, another))
    return OutputChange(moved.item(), apart.item(), seed, float(strength))


def alarm(
    size: Size,
    change: OutputChange,
    adapter: Adapter,
    *,
    caption: str | None = None,
    model: BaseModel | None = None,
) -> Finding | None:
    """The alarm that an adapter does nothing, with the likely causes, or breaks the output."""
    if not math.isfinite(change.relative):
        return Finding(
            "breaks-output",
            "error",
            None,
            "with this adapter the model's output is not a number any more",
            "lower its strength; if that does not help it diverged in training: halve the "
            "learning rate",
        )
    if change.share >= UNHEARD:
        return None
    return Finding(
        "does-nothing",
        "error",
        None,
        "this adapter does nothing: with the same seed and prompt the piece changes by "
        f"{change.share:.2%}".replace("%", " %")
        + " of what another seed changes",
        "; ".join(causes(size, adapter, caption=caption, model=model)),
        round(change.share, 6),
    )


def causes(
    size: Size, adapter: Adapter, *, caption: str | None = None, model: BaseModel | None = None
) -> Iterator[str]:
    """Why an adapter may do nothing, the surest first; never none."""
    found = list(_causes(size, adapter, caption, model))
    yield from found or [
        f"it changes {len(size.modules)} modules that matter little here: train more of them "
        "(--targets attention+mlp) or try a higher strength"
    ]


def _causes(
    size: Size, adapter: Adapter, caption: str | None, model: BaseModel | None
) -> Iterator[str]:
    rate, steps = adapter.card.get("learning_rate"), adapter.card.get("step")
    if abs(size.strength) < WEAK:
        yield f"its strength is {size.strength:g}: set it to 1"
    if size.untrained:
        yield "it was never trained: all its B matrices are zero, as before the first step"
    elif size.strength and size.relative < TINY * abs(size.strength):
        yield (
            f"it moves the base's weights by only {size.relative:.1e} of their size: the learning "
            "rate was too low or the steps too few"
        )
    if isinstance(rate, int | float) and rate < SLOW:
        yield f"its learning rate was {rate:g}; 1e-4 is usual"
    if isinstance(steps, int) and steps < 20:
        yield f"it was trained for {steps} steps only"
    tag = activation_tag(adapter)
    if tag and caption is not None and tag.lower() not in caption.lower():
        yield f"the caption lacks its tag {tag!r}"
    if model is not None and (sentence := other_base(adapter, model)):
        yield sentence


def _latents(transformer: nn.Module, condition: Condition, seed: int, shift: float) -> Tensor:
    frames, channels = condition.context.shape[1], condition.context.shape[2] // 2
    noise = draw_noise(seed, frames, channels)
    *_, latents = denoise(transformer, noise, schedule(TURBO_STEPS, shift), condition)
    return latents
