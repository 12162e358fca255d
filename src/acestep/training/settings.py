"""What a run is trained with: knobs settled against the model, and against the run it resumes."""

from dataclasses import dataclass
from typing import Any

from acestep.config import TrainConfig
from acestep.errors import ConfigError, RunError
from acestep.model.base import BaseModel
from acestep.training.draws import TimeLaw
from acestep.training.run import RunFolder

PRETRAINING_DROPOUT = 0.15  # share of samples that base and sft saw without text

# What a resumed run may change. Everything else decides which numbers come out.
CHANGEABLE = {
    "tensors",
    "output",
    "model",
    "device",
    "resume",
    "dry_run",
    "gpu",
    "accept_foreign",
    "gradient_checkpointing",
    "memory_limit",
    "patches_at_once",
    "compile",
    "cuda_graphs",
    "epochs",
    "save_every",
    "validate_every",
    "patience",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "dropout",
    "preview_every",
    "preview",
    "preview_seconds",
    "batch_size",
    "gradient_accumulation",
    "shard_base",
}


@dataclass(frozen=True)
class Plan:
    """The knobs that depend on the model and on the number of samples."""

    law: TimeLaw
    condition_dropout: float
    samples_per_step: int
    steps_per_epoch: int
    total_steps: int

    def ends_epoch(self, step: int, every: int) -> bool:
        """Whether a step ends an epoch that is a multiple of ``every``, or the run."""
        epoch, rest = divmod(step, self.steps_per_epoch)
        return step == self.total_steps or (rest == 0 and epoch % every == 0)


def make_plan(config: TrainConfig, model: BaseModel, num_samples: int, num_processes: int) -> Plan:
    """Fill in what the config leaves to the model: times, shift, condition dropout, step counts."""
    turbo = model.variant == "turbo"
    kind = config.timesteps
    if kind == "auto":
        kind = "turbo" if turbo else "continuous"
    shift = config.shift if config.shift is not None else (3.0 if turbo else 1.0)
    dropout = config.condition_dropout
    if dropout is None:
        dropout = 0.0 if turbo else PRETRAINING_DROPOUT
    law = TimeLaw(kind, shift, model.time_mu, model.time_sigma)
    return Plan(law, dropout, *count_steps(config, num_samples, num_processes))


def count_steps(config: TrainConfig, num_samples: int, num_processes: int) -> tuple[int, int, int]:
    """Samples a step, steps an epoch, and steps of the whole run."""
    per_step = config.batch_size * config.gradient_accumulation * num_processes
    per_epoch = -(-num_samples // per_step)
    return per_step, per_epoch, config.epochs * per_epoch


def resume_config(config: TrainConfig, run: RunFolder) -> tuple[TrainConfig, list[str]]:
    """The run's own knobs with those that were given now and may change; and what changed.

    Raises ``RunError`` naming every given knob that does not fit the run.
    """
    settings = run.read_settings()
    saved, settled = settings["config"], _settled(settings["plan"])
    given = {
        name: value
        for name, value in config.model_dump(mode="json").items()
        if name in config.model_fields_set
    }
    wrong = [
        f"--{name.replace('_', '-')} {value}: the run has {saved.get(name)}"
        for name, value in given.items()
        if name not in CHANGEABLE and value not in (saved.get(name), settled.get(name))
    ]
    if wrong:
        raise RunError(
            f"{run.path} was started with other settings:\n" + "\n".join(wrong),
            hint="leave these flags out to go on with the run's own, or choose another -o",
        )
    changed = [
        f"{name}: {saved.get(name)} → {value} from here on"
        for name, value in given.items()
        if saved.get(name) != value
        and name not in {"tensors", "output", "model", "device", "resume", "dry_run", "gpu"}
    ]
    explicit = {"resume": True, "output": str(config.output), "tensors": str(config.tensors)}
    if saved.get("preview_every") == 0:  # captions that are given now are to be heard
        del saved["preview_every"]
    return TrainConfig.model_validate({**saved, **given, **explicit}), changed


def _settled(plan: dict[str, Any]) -> dict[str, Any]:
    """What the run made of knobs that it was left to choose: naming them is no change."""
    law = plan["law"]
    return {
        "timesteps": law["kind"],
        "shift": law["shift"],
        "condition_dropout": plan["condition_dropout"],
    }


def check_same_data(run: RunFolder, settings: dict[str, Any]) -> None:
    """Raise ``RunError`` if the run was made with other tensors, another model or step size."""
    saved = run.read_settings()
    before, now = (
        (
            place["tensors"]["fingerprint"],
            place["model"]["fingerprint"],
            place["plan"]["samples_per_step"],
            place["modules"],
        )
        for place in (saved, settings)
    )
    reasons = (
        "its tensors changed: songs or labels were encoded anew since it was started",
        f"its base model changed; it was started on {saved['model'].get('name')}",
        "its samples per step (batch × accumulation × processes) changed "
        f"from {before[2]} to {now[2]}",
        "its wrapped modules changed",
    )
    for was, is_now, reason in zip(before, now, reasons, strict=True):
        if was != is_now:
            raise RunError(
                f"{run.path} cannot be resumed: {reason}",
                hint="resume with what the run was started with, or start anew with another -o",
            )


def check_new_run(config: TrainConfig, run: RunFolder) -> None:
    """Raise if a run lies in the folder already: nothing is ever trained over."""
    if run.exists():
        raise RunError(
            f"{run.path} already holds a run",
            hint="add --resume to go on with it, or choose another -o",
        )
    if run.path.exists() and not run.path.is_dir():
        raise ConfigError([f"--output {run.path} is a file"], hint="name a folder")
