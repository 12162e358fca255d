"""The one training loop of the small model's stages.

A run has a budget of minutes, not of steps. It can be stopped at any step, and goes on from there
bit by bit as if it had not been: all that is random in a step comes from a generator seeded with
the step's number, so that modules, running means, optimizers and the step are all the state there
is. It lies in one file, ``training/<stage>.safetensors``; ``training/<stage>.jsonl`` is the log.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from acestep.data.files import alone_in, atomic
from acestep.errors import RunError
from acestep.events import Event, Finished, Notice, Saved, Started, Step, Stopped
from acestep.mini.train.config import StageConfig
from acestep.training.stopping import stop_signals

FALLING = 0.4  # the share of a finishing run in which the learning rate falls,
LOWEST = 0.02  # and where it ends


class Stage(Protocol):
    """What is trained, and how one step's loss comes about.

    ``modules`` are saved whole; what of them requires a gradient is trained. The ``lr`` that an
    optimizer's groups are made with is the rate that the schedule multiplies.
    """

    name: str
    modules: dict[str, nn.Module]
    optimizers: list[torch.optim.Optimizer]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The loss of a step (from 0), a pure function of weights, step and generator (CPU)."""

    def evaluate(self) -> dict[str, float]:
        """Figures of the weights as they are, on data that is not trained on."""

    def export(self, root: Path) -> None:
        """Write what other stages need of the weights as they are into the training folder."""


@dataclass
class Means:
    """Running means of trained parameters; less weight on the first, random ones."""

    modules: dict[str, nn.Module]
    decay: float
    values: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = {name: value.detach().clone() for name, value in self._trained()}

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, module in self.modules.items():
            for key, value in module.named_parameters():
                if value.requires_grad:
                    yield f"{name}.{key}", value

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in self._trained():
            self.values[name].lerp_(value, weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this, the modules have the means for weights."""
        own = {name: value.data for name, value in self._trained()}
        for name, value in self._trained():
            value.data = self.values[name]
        try:
            yield
        finally:
            for name, value in self._trained():
                value.data = own[name]


def run(stage: Stage, config: StageConfig, begun: float | None = None) -> Iterator[Event]:
    """Train a stage from where it stands until the time is up, a signal comes, or ``--steps``.

    ``begun`` (``time.monotonic``) is when the run's minutes began to count, if not now. Raises
    ``RunError`` if another process trains the stage or the loss is not finite.
    """
    begun = time.monotonic() if begun is None else begun
    folder = config.resume / "training"
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"{stage.name}.safetensors"
    means = Means(stage.modules, config.average)
    step = restore_state(state, stage, means) if state.exists() else 0
    yield Started(stage.name, {"step": step, "minutes": config.minutes, "threads": config.threads})
    loss, saved, first = torch.zeros(()), time.monotonic(), step
    with _held(folder / stage.name), stop_signals() as stop:
        while True:
            now = time.monotonic()
            done = (now - begun) / (60 * config.minutes)
            over = done >= 1 or step == config.steps or stop.requested
            if over or now - saved > 60 * config.save_minutes:
                yield from _save(state, stage, means, step, float(loss.detach()))
                saved = time.monotonic()
            if over:
                break
            rate = rate_share(step, done, config)
            loss, norm = train_step(stage, step, rate, config)
            means.update(step)
            step += 1
            group = stage.optimizers[0].param_groups[0]
            yield Step(step, 0, float(loss.detach()), group["lr"], norm)
    facts = {"step": step, "seconds_per_step": (time.monotonic() - begun) / max(1, step - first)}
    if stop.requested:
        yield Stopped(stage.name, str(state), f"--stage {stage.name} --resume {config.resume}")
    else:
        yield Finished(stage.name, str(state), facts)


def train_step(
    stage: Stage, step: int, rate: float, config: StageConfig
) -> tuple[Tensor, float]:
    """One optimizer step at ``rate`` × the optimizers' own rates: the loss, the gradient's norm."""
    rng = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    loss = stage.loss(step, rng)
    if not torch.isfinite(loss):
        raise RunError(
            f"{stage.name}: the loss of step {step} is {float(loss)}",
            hint="go on from the last saved state; if it happens again, lower the learning rate",
        )
    loss.backward()
    groups = [group for optimizer in stage.optimizers for group in optimizer.param_groups]
    norm = nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], config.clip)
    for group in groups:
        group["lr"] = rate * group.setdefault("initial_lr", group["lr"])
    for optimizer in stage.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss, float(norm)


def rate_share(step: int, done: float, config: StageConfig) -> float:
    """Share of the full learning rate: warm-up by steps, fall by the share of the time done."""
    rise = min(1.0, (step + 1) / (config.warmup + 1))
    if not config.finish:
        return rise
    return rise * (1 - (1 - LOWEST) * max(0.0, done - (1 - FALLING)) / FALLING)


def save_state(file: Path, stage: Stage, means: Means, step: int) -> None:
    """Write all that resuming needs, atomically."""
    tensors = {f"mean.{name}": value for name, value in means.values.items()}
    for name, module in stage.modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
    plain: dict[str, Any] = {"step": step, "optimizers": {}}
    for number, optimizer in enumerate(stage.optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                place = f"optimizer.{number}.{index}.{key}"
                if isinstance(value, Tensor):
                    tensors[place] = value
                else:
                    plain["optimizers"][place] = value
    stored = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic(file) as temporary:
        save_file(stored, temporary, metadata={"state": json.dumps(plain)})


def restore_state(file: Path, stage: Stage, means: Means) -> int:
    """Put a saved state in place and say which step it is of.

    Raises ``RunError`` if the file is damaged or of other modules.
    """
    try:
        with safe_open(file, framework="pt") as stored:
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            plain = json.loads(stored.metadata()["state"])
        for name, module in stage.modules.items():
            module.load_state_dict(_under(tensors, f"module.{name}."))
        for name, value in means.values.items():
            value.copy_(tensors[f"mean.{name}"])
        for number, optimizer in enumerate(stage.optimizers):
            place = f"optimizer.{number}."
            state: dict[int, dict[str, Any]] = {}
            found = _under(tensors, place) | _under(plain["optimizers"], place)
            for key, value in found.items():
                index, _, name = key.partition(".")
                state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return int(plain["step"])
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise RunError(
            f"{file} does not fit this stage: {error}",
            hint="go on with the settings it was begun with, or move it away to begin anew",
        ) from error


def load_means(file: Path, module: str) -> dict[str, Tensor]:
    """A module's saved state with the running means in place of what was trained."""
    with safe_open(file, framework="pt") as stored:
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    return _under(tensors, f"module.{module}.") | _under(tensors, f"mean.{module}.")


def _under(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The entries whose keys begin with the prefix, without it."""
    return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}


def _save(file: Path, stage: Stage, means: Means, step: int, loss: float) -> Iterator[Event]:
    """Save the state; evaluate and export the means; add a line to the log."""
    save_state(file, stage, means, step)
    with means.applied():
        figures = {"loss": loss, **stage.evaluate()}
        stage.export(file.parents[1])
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "step": step, **figures}
    with file.with_suffix(".jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    yield Notice(f"step {step}: {text}", level="info", about=stage.name)
    yield Saved("state", str(file))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes from training the same stage."""
    folder.mkdir(exist_ok=True)
    try:
        with alone_in(folder):
            yield
    except BlockingIOError as error:
        raise RunError(
            f"{folder}: another process trains this stage", hint="wait for it, or stop it"
        ) from error
