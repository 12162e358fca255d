"""Rectified flow as ACE-Step 1.5 uses it: times, interpolation, target, loss. Pure functions.

Time runs from 1 (noise) to 0 (data): ``x_t = t·noise + (1 − t)·data`` and the model learns the
velocity ``noise − data``. Sampling and training read the same tables from here.
"""

import torch
from torch import Tensor, nn

TURBO_STEPS = 8
FRAMES_PER_SECOND = 25  # latents: 48 000 samples a second, 1920 a frame


def frames_in(seconds: float) -> int:
    """Whole latent frames in a duration; part of a frame at the end is dropped, as in encoding."""
    return round(seconds * 48_000) // 1920


def shifted(time: Tensor, shift: float) -> Tensor:
    """Warp times in [0, 1] toward the noise end: ``s·t / (1 + (s − 1)·t)``; 1 leaves them alone."""
    return shift * time / (1 + (shift - 1) * time)


def schedule(steps: int, shift: float) -> list[float]:
    """The ``steps`` times of a sampling run, falling from 1; the final time 0 is left out.

    With 8 steps and a shift of 1, 2 or 3 these are the original's fixed turbo tables.
    """
    line = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]
    return shifted(line, shift).float().tolist()


def valid_turbo_times() -> list[float]:
    """The 20 times a turbo model was distilled for: the tables of shift 1, 2 and 3 in one."""
    tables = (schedule(TURBO_STEPS, shift) for shift in (1.0, 2.0, 3.0))
    return sorted(
        {round(time, 6): time for table in tables for time in table}.values(), reverse=True
    )


def snap_times(times: list[float]) -> list[float]:
    """A hand-written turbo schedule as the original takes it: no zeros at its end, each time moved
    to the nearest valid one (golden case ``generation_turbo.t2m_custom_timesteps``)."""
    kept = list(times)
    while kept and kept[-1] == 0:
        kept.pop()
    valid = valid_turbo_times()
    return [min(valid, key=lambda candidate: abs(candidate - time)) for time in kept]


def draw_turbo_time(shift: float, generator: torch.Generator) -> Tensor:
    """One of the eight steps a turbo model samples at, uniformly; shape ``[1]``, float32."""
    index = torch.randint(TURBO_STEPS, (1,), generator=generator)
    return torch.tensor(schedule(TURBO_STEPS, shift))[index]


def draw_continuous_time(
    shift: float, mu: float, sigma: float, generator: torch.Generator
) -> Tensor:
    """The larger of two logit-normal draws, as in pretraining, then shifted; shape ``[1]``."""
    pair = torch.sigmoid(torch.randn(2, generator=generator) * sigma + mu)
    return shifted(pair.max().reshape(1), shift)


def interpolate(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """``x_t`` for data and noise ``[B, T, C]`` and times ``[B]``."""
    t = time.to(data.dtype).view(-1, 1, 1)
    return t * noise + (1 - t) * data


def predicted_velocity(
    transformer: nn.Module,
    data: Tensor,
    noise: Tensor,
    time: Tensor,
    condition: Tensor,
    context: Tensor,
) -> Tensor:
    """The velocity ``[B, T, C]`` float32 that is predicted at ``x_t``.

    ``data`` and ``noise`` are ``[B, T, C]`` float32, ``time`` is ``[B]``, ``condition`` is
    ``[B, L, H]`` and ``context`` is ``[B, T, 2C]`` in the model's dtype. Times are rounded to the
    model's dtype first, since that is what it sees when it generates (in bfloat16 only 123 values
    above 0.5 exist).
    """
    time = time.to(context.dtype)
    mixed = interpolate(data, noise, time.float()).to(context.dtype)
    velocity = transformer(
        hidden_states=mixed,
        timestep=time,
        timestep_r=time,
        encoder_hidden_states=condition,
        context_latents=context,
        return_dict=False,
    )[0]
    return velocity.float()


def frame_losses(
    transformer: nn.Module,
    data: Tensor,
    noise: Tensor,
    time: Tensor,
    condition: Tensor,
    context: Tensor,
) -> Tensor:
    """Squared error of the predicted velocity, averaged over channels: one value a frame.

    Arguments as for :func:`predicted_velocity`. Returns ``[B, T]`` float32; its mean over frames is
    the training loss of each sample (golden cases ``training_forward.per_sample_loss``,
    ``training_lora.losses``).
    """
    velocity = predicted_velocity(transformer, data, noise, time, condition, context)
    return (velocity - (noise - data)).square().mean(dim=2)
