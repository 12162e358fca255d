"""From noise to latents: Euler steps along the learned velocity, guided for base and sft models.

Everything here is a pure function of its arguments. Latents are ``[B, T, C]``; the running latents
stay in float32 whatever the model's precision, and times are rounded to the model's precision
first, so that the model sees the times it was trained on.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from acestep.model.flow import TURBO_STEPS, interpolate
from acestep.speed.attention import Told, clip_lengths, same_condition
from acestep.speed.padding import together

APG_MOMENTUM = -0.75
APG_LARGEST_NORM = 2.5
ADG_LARGEST_ANGLE = 3.14 / 6
ADG_EXTRA_WEIGHT = 1e-3  # as in the original; without it the golden latents move by 6e-4


@dataclass(frozen=True)
class Condition:
    """What the transformer is told: condition states ``[B, L, H]`` and context ``[B, T, 2C]``.

    ``lengths`` counts the states of each piece of a batch where some are padded.
    """

    states: Tensor
    context: Tensor
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Guidance:
    """How far to go beyond the conditional prediction, and when.

    ``null`` ``[1, 1, H]`` is the learned condition "nothing said". Guidance acts at the times ``t``
    with ``interval[0] ≤ t ≤ interval[1]`` and only if ``scale`` is above 1.
    """

    null: Tensor
    scale: float = 7.0
    method: Literal["apg", "adg"] = "apg"
    interval: tuple[float, float] = (0.0, 1.0)

    def acts_at(self, time: float) -> bool:
        return self.scale > 1 and self.interval[0] <= time <= self.interval[1]


@dataclass(frozen=True)
class Sampling:
    """How a piece is sampled; a ``scale`` of 1 is no guidance."""

    steps: int
    shift: float
    scale: float


def side_by_side(conditions: Sequence[Condition]) -> Condition:
    """The conditions of several pieces of one length as a batch; shorter states are padded."""
    states = [one for condition in conditions for one in condition.states.split(1)]
    lengths = tuple(one.shape[1] for one in states)
    longest = max(lengths)
    return Condition(
        together(states),
        torch.cat([condition.context for condition in conditions]),
        lengths if min(lengths) < longest else None,
    )


def usual_sampling(variant: str) -> Sampling:
    """What a variant of the model was made for: turbo takes few steps and no guidance."""
    return Sampling(TURBO_STEPS, 3.0, 1.0) if variant == "turbo" else Sampling(50, 1.0, 7.0)


def other_seed(seed: int, number: int) -> int:
    """The seed of another draw: with the same one a source would carry the piece's own noise."""
    return (seed + number) % 2**63


def draw_noise(seed: int, frames: int, channels: int) -> Tensor:
    """The first latents ``[1, frames, channels]``, float32, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, frames, channels, generator=generator)


def rounded_times(times: list[float], dtype: torch.dtype) -> list[float]:
    """The times as a model of this precision sees them (bfloat16: 0.9545 becomes 0.953125)."""
    return torch.tensor(times, dtype=dtype).double().tolist()


def start_from_source(
    source: Tensor, noise: Tensor, times: list[float], strength: float
) -> tuple[Tensor, list[float]]:
    """Begin with the source under the noise instead of noise alone.

    Takes the scheduled time nearest to ``1 − strength`` and returns the latents at that time and
    the times from there on (golden case ``generation_turbo.cover_noise_0.4``). A strength of 0
    returns the noise and all times.
    """
    if strength == 0:
        return noise, times
    times = times_from(times, strength)
    return interpolate(source, noise, torch.full((noise.shape[0],), times[0])), times


def times_from(times: list[float], strength: float) -> list[float]:
    """The times from the one nearest to ``1 − strength`` on; all of them where that is 1."""
    first = min(range(len(times)), key=lambda index: abs(times[index] - (1 - strength)))
    return times[first:] if strength else times


class _Phase:
    """The steps under one condition: what the transformer makes of it is computed once."""

    def __init__(self, transformer: Any, condition: Condition, guidance: Guidance | None) -> None:
        self._transformer = transformer
        self._condition = condition
        self._guidance = guidance
        self._told: Told = {}
        self._told_both: Told = {}

    def velocity(self, latents: Tensor, time: float) -> Tensor:
        """``[B, T, C]``, float32."""
        return self._ask(latents, time, self._condition, self._told)

    def both_velocities(self, latents: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """With and without the condition, in one batch."""
        twice = torch.cat([latents, latents])
        wanted, unwanted = self._ask(twice, time, self._both, self._told_both).chunk(2)
        return wanted, unwanted

    @cached_property
    def _both(self) -> Condition:
        """The condition, and nothing said; the context is the same in both halves."""
        assert self._guidance is not None
        states, context = self._condition.states, self._condition.context
        silent = self._guidance.null.to(states).expand_as(states)
        lengths = self._condition.lengths
        return Condition(
            torch.cat([states, silent]),
            torch.cat([context, context]),
            None if lengths is None else lengths * 2,
        )

    def _ask(self, latents: Tensor, time: float, condition: Condition, told: Told) -> Tensor:
        dtype = condition.context.dtype
        times = torch.full((latents.shape[0],), time, dtype=dtype, device=latents.device)
        with ExitStack() as held:
            held.enter_context(same_condition(self._transformer, told))
            if condition.lengths is not None:
                patches = -(-latents.shape[1] // self._transformer.patch_size)
                of_each = [patches] * len(condition.lengths)
                held.enter_context(clip_lengths(self._transformer, of_each, condition.lengths))
            return self._transformer(
                hidden_states=latents.to(dtype),
                timestep=times,
                timestep_r=times,
                encoder_hidden_states=condition.states,
                context_latents=condition.context,
                return_dict=False,
            )[0].float()


@torch.no_grad()
def denoise(
    transformer: nn.Module,
    latents: Tensor,
    times: list[float],
    condition: Condition,
    *,
    guidance: Guidance | None = None,
    later: Condition | None = None,
    switch_step: int = 0,
) -> Iterator[Tensor]:
    """Follow the velocity from ``times[0]`` to 0 and yield the latents after every step.

    ``times`` falls and leaves the final 0 out. From step ``switch_step`` on ``later`` takes the
    place of ``condition``, if given: that is how the strength of a cover works in the original
    (golden case ``generation_turbo.cover_strength_0.5``). The last latents yielded are the song;
    float32, on the condition's device. A batch holds pieces of one length, each of which comes out
    as it would alone, to rounding.
    """
    dtype, device = condition.context.dtype, condition.context.device
    times = rounded_times(times, dtype)
    latents = latents.to(device, torch.float32)
    momentum: Tensor | None = None
    phases = [_Phase(transformer, each, guidance) for each in (condition, later or condition)]
    for step, (time, following) in enumerate(zip(times, [*times[1:], 0.0], strict=True)):
        now = phases[later is not None and step >= switch_step]
        if guidance is not None and guidance.acts_at(time):
            wanted, unwanted = now.both_velocities(latents, time)
            if guidance.method == "apg":
                velocity, momentum = adaptive_projected(wanted, unwanted, guidance.scale, momentum)
            else:
                velocity = angle_guided(latents, time, wanted, unwanted, guidance.scale)
        else:
            velocity = now.velocity(latents, time)
        latents = latents - (time - following) * velocity
        yield latents


def adaptive_projected(
    wanted: Tensor, unwanted: Tensor, scale: float, momentum: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Adaptive projected guidance (APG): push away from ``unwanted``, across ``wanted`` only.

    The difference of the two velocities is smoothed over the steps with a negative momentum, cut
    to a norm of 2.5 over time, and its part along ``wanted`` is removed in double precision, all
    per channel. Returns the guided velocity and the momentum for the next step (golden cases
    ``generation_base.apg7_*``).
    """
    momentum = wanted - unwanted + (0 if momentum is None else APG_MOMENTUM * momentum)
    norm = momentum.norm(dim=1, keepdim=True)
    push = momentum * (APG_LARGEST_NORM / norm).clamp(max=1)
    push_f64, wanted_f64 = _double(push), _double(wanted)
    along = normalize(wanted_f64, dim=1)
    across = push_f64 - (push_f64 * along).sum(dim=1, keepdim=True) * along
    return wanted + (scale - 1) * across.to(wanted.device, wanted.dtype), momentum


def angle_guided(
    latents: Tensor, time: float, wanted: Tensor, unwanted: Tensor, scale: float
) -> Tensor:
    """Angle-domain guidance (ADG): turn the predicted song instead of stretching it.

    Each velocity predicts clean latents, ``x̂ = x − t·v``. Frame by frame the wanted prediction is
    turned further away from the unwanted one, by ``scale − 1`` times the angle between them and at
    most by π/6. Returns the velocity that leads there (golden case
    ``generation_base.adg4_shift3_10_batch1``).
    """
    weight = scale - 1 + ADG_EXTRA_WEIGHT
    start = _double(latents)
    target = start - time * _double(wanted)
    other = start - time * _double(unwanted)
    cosine = torch.cosine_similarity(target, other, dim=-1).clamp(-1, 1).unsqueeze(-1)
    angle = cosine.acos()
    turn = (weight * angle).clamp(-ADG_LARGEST_ANGLE, ADG_LARGEST_ANGLE)
    difference = target - other
    axis = normalize(other, dim=-1)
    across = difference - (difference * axis).sum(dim=-1, keepdim=True) * axis
    gain = torch.where(angle.sin() > 1e-3, turn.sin() / angle.sin(), weight)
    turned = turn.cos() * target + gain * across
    return ((start - turned) / time).to(latents.device, latents.dtype)


def _double(tensor: Tensor) -> Tensor:
    # Apple's GPUs have no double precision.
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
