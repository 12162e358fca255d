"""Optimizers and learning rates."""

import math

import torch
from torch import nn

from acestep.config import TrainConfig
from acestep.errors import ConfigError

FINAL_SHARE = 0.01  # where cosine and linear end, as a share of the full rate


def make_optimizer(config: TrainConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that the config names. Raises ``ConfigError`` if its library is missing."""
    optimizer = _bare_optimizer(config.optimizer, parameters, config.learning_rate)
    set_weight_decay(optimizer, config.weight_decay)
    return optimizer


def set_weight_decay(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Use a weight decay from here on; restoring a state brings back the one it was saved with."""
    for group in optimizer.param_groups:
        group["weight_decay"] = decay


def _bare_optimizer(
    name: str, parameters: list[nn.Parameter], rate: float
) -> torch.optim.Optimizer:
    match name:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, fused=True)
        case "adamw8bit":
            try:
                from bitsandbytes.optim import AdamW8bit
            except ImportError as error:
                raise ConfigError(
                    ["--optimizer adamw8bit needs bitsandbytes, which is not installed"],
                    hint="pip install bitsandbytes, or use --optimizer adamw",
                ) from error
            return AdamW8bit(parameters, lr=rate)
        case _:
            from prodigyopt import Prodigy

            # With a decay it would print to stdout, between lines of JSON; decay is set afterwards.
            # safeguard_warmup: the warm-up must not be taken for progress in the step size search.
            return Prodigy(parameters, lr=rate, safeguard_warmup=True)


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """The rate of step ``step`` (from 0) of ``total``: a linear warm-up, then the schedule.

    A pure function of the step: nothing restarts when a run is resumed or made longer.
    """
    warmup = warmup_steps(config, total)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total - warmup)
    match config.schedule:
        case "constant":
            share = 1.0
        case "linear":
            share = 1 - (1 - FINAL_SHARE) * done
        case "cosine":
            share = FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * done)) / 2
    return config.learning_rate * share


def warmup_steps(config: TrainConfig, total: int) -> int:
    """The config's warm-up, or a tenth of the run, at most 100 steps."""
    return min(100, total // 10) if config.warmup_steps is None else config.warmup_steps
