"""Everything a training run holds while it runs, put together in one place."""

from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from acestep.adapters.attach import attach, trainable_parameters
from acestep.adapters.manifest import MANIFEST
from acestep.adapters.mount import disabled
from acestep.config import TrainConfig
from acestep.data.files import size_text, write_json
from acestep.data.tensors import Manifest, load_samples, read_manifest
from acestep.errors import ConfigError, RunError, TensorError
from acestep.events import Evaluation, Notice, Step
from acestep.model.base import BaseModel, find_again, find_model, load_null_condition
from acestep.model.device import choose_device
from acestep.processes import Processes, join
from acestep.speed.computing import choose_computing, dtype_of
from acestep.speed.graphs import Graphs
from acestep.speed.levels import apply_level
from acestep.speed.linear import quicken
from acestep.speed.measured import limited
from acestep.speed.pace import Pace
from acestep.speed.precision import count_weights, load_base
from acestep.speed.sharding import bytes_here, shard_base
from acestep.training.auto import settle
from acestep.training.checkpoint import (
    Progress,
    complete_checkpoints,
    restore_checkpoint,
    saved_checkpoints,
    set_aside_broken,
)
from acestep.training.clips import Clip, Split, make_clips, split_clips
from acestep.training.evaluate import Measured, measure
from acestep.training.filling import Before
from acestep.training.guidance import TaughtGuidance
from acestep.training.optim import make_optimizer, set_weight_decay
from acestep.training.pacing import (
    asked_precision,
    choose_pace,
    filled_before,
    kept_precision,
    set_pace,
)
from acestep.training.provenance import provenance
from acestep.training.run import RunFolder
from acestep.training.settings import Plan, check_new_run, check_same_data, make_plan
from acestep.training.untagged import Untagged, encode_untagged

Kept = TypeVar("Kept", Step, Evaluation)
LAUNCH = "start several: accelerate launch --num_processes 2 -m acestep train …"


@dataclass
class Session:
    """A run in progress: settled knobs, samples, transformer, adapter, optimizer.

    ``learner`` is the transformer as the loss sees it.
    """

    config: TrainConfig
    run: RunFolder
    model: BaseModel
    manifest: Manifest
    processes: Processes
    dtype: torch.dtype
    plan: Plan
    split: Split
    transformer: nn.Module
    learner: nn.Module
    modules: list[str]
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    null_condition: Tensor
    pace: Pace
    progress: Progress = field(default_factory=lambda: Progress(0, 0))
    history: list[Step | Evaluation] = field(default_factory=list)
    base: Measured | None = None
    last_checkpoint: Path | None = None
    lowered: bool = False  # the pace, because memory ran out
    graphs: Graphs | None = None
    untagged: Untagged | None = None

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.processes.device

    @property
    def patch(self) -> int:
        """Latent frames to one patch."""
        shape: Any = self.transformer.config
        return int(shape.patch_size)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def autocast(self) -> AbstractContextManager:
        """Mixed precision where the base is not float32."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def keep(self, event: Kept) -> Kept:
        """Remember a number for the loss curve."""
        self.history.append(event)
        return event

    def measure(self) -> Measured:
        """Losses of what is held out, and of training songs beside it, at fixed draws."""
        with self.autocast():
            return measure(self.learner, self.split, self.plan.law, self.config.seed, self.device)

    def measure_base(self) -> Measured | None:
        """The same with the adapter out of the way; None if nothing is held out."""
        with disabled(self.transformer):
            return self.measure() if self.split.held_out else None

    def settings(self) -> dict[str, Any]:
        """What the run folder remembers; see ``RunFolder.write_settings``."""
        return {
            "version": version("acestep-studio"),
            "config": self.config.model_dump(mode="json")
            | {"model": self.config.model and self.model.source},  # no longer relative
            "model": {
                "name": self.model.name,
                "source": self.model.source,
                "variant": self.model.variant,
                "fingerprint": self.model.fingerprint,
            },
            "tensors": {"path": str(self.config.tensors), "fingerprint": self.manifest.fingerprint},
            "dataset": self.manifest.dataset,
            "plan": asdict(self.plan),
            "device": self.device.type,
            "pace": self.pace.record(),
            "lowered": self.lowered,
            "held_out": {
                "how": self.split.how,
                "songs": sorted({clip.song for clip in self.split.held_out}),
            },
            "parameters": sum(p.numel() for p in self.parameters.values()),
            "modules": self.modules,
        }

    def lower(self, pace: Pace) -> None:
        """Go on with a pace that takes less memory, and so when the run is resumed."""
        self.pace, self.lowered = pace, True
        self.graphs = self.graphs if pace.graphs.value else None
        apply_level(self.transformer, pace.level)
        if self.processes.is_main:
            self.run.write_settings(self.settings())

    def facts(self) -> dict[str, Any]:
        """What the user is told at the start."""
        total = count_weights(self.transformer)
        trained = sum(p.numel() for p in self.parameters.values())
        return {
            "model": self.model.name,
            "device": str(self.device),
            "precision": str(self.dtype).removeprefix("torch."),
            "processes": self.processes.world,
            "samples": len(self.split.train),
            "held_out": self.split.how,
            "modules": len(self.modules),
            "trained_parameters": trained,
            "trained_share": round(trained / (total - trained), 4),
            "epochs": self.config.epochs,
            "total_steps": self.plan.total_steps,
            "effective_batch": self.plan.samples_per_step,
            "first_step": self.progress.step,
            "times": self.plan.law.kind,
            "shift": self.plan.law.shift,
            "condition_dropout": self.plan.condition_dropout,
            "pace": self.pace.values(),
        }

    def card(self, progress: Progress) -> dict[str, Any]:
        """What an adapter says about itself."""
        evaluations = [event for event in self.history if isinstance(event, Evaluation)]
        steps = [event for event in self.history if isinstance(event, Step)]
        return {
            "base_model": self.model.name,
            "base_path": str(self.model.path),
            "base_variant": self.model.variant,
            "base_fingerprint": self.model.fingerprint,
            "dataset": self.manifest.dataset,
            "tensors_fingerprint": self.manifest.fingerprint,
            "adapter": self.config.adapter,
            "rank": self.config.rank,
            "alpha": self.config.alpha,
            "targets": self.config.targets,
            "step": progress.step,
            "epoch": progress.epoch,
            "learning_rate": self.config.learning_rate,
            "shift": self.plan.law.shift,
            "timesteps": self.plan.law.kind,
            "seed": self.config.seed,
            "loss": steps[-1].loss if steps else None,
            "held_out_loss": evaluations[-1].loss if evaluations else None,
            "base_held_out_loss": evaluations[-1].base_loss if evaluations else None,
            "version": version("acestep-studio"),
        }


def open_session(config: TrainConfig, held: ExitStack) -> tuple[Session, list[Notice]]:
    """Check everything, load the transformer, attach the adapter, and go back to the newest
    checkpoint when resuming. Writes nothing before all checks have passed. The run folder is held
    against other processes until ``held`` is closed."""
    run = RunFolder(config.output)
    asked_before = run.stop_file.exists()  # one made while the model is loaded counts
    resuming = config.resume and run.exists()
    before = filled_before(run, config) if resuming else Before()
    kept = kept_precision(run) if resuming else None
    config, notices = settle(config, run)
    manifest = read_manifest(config.tensors)
    model = base_model(config, manifest)
    held.enter_context(limited(choose_device(config.device), config.memory_limit))
    session = _build(config, run, manifest, model, notices, before, kept)
    if resuming:
        check_same_data(run, session.settings())
    if session.processes.is_main:
        held.enter_context(run.hold())
        if not resuming:
            check_new_run(config, run)  # nobody has begun one while the model was loaded
    if resuming:
        session.processes.wait()  # all have read the old settings before they are written anew
        notices += _go_back(session)
    if session.processes.is_main:
        run.write_settings(session.settings())
        write_json(run.path / MANIFEST, provenance(session))
        if asked_before:
            run.stop_file.unlink(missing_ok=True)
    session.processes.wait()
    return session, notices


def base_model(config: TrainConfig, manifest: Manifest, *, download: bool = True) -> BaseModel:
    """The model that made the tensors. Raises ``TensorError`` if another one is asked for, and
    ``ModelError`` if it is not to be had, without ``download`` if it is not here."""
    if manifest.foreign and not config.accept_foreign:
        raise TensorError(
            f"{config.tensors} was made by the original program: its text is "
            "padded to 769 tokens and is not what generation uses, so an adapter would "
            "learn the wrong conditions",
            hint="encode the songs again with acestep preprocess, or pass --accept-foreign",
        )
    if manifest.foreign and config.model is None:
        raise TensorError(
            f"{config.tensors} does not say which model it was made with",
            hint="name it with --model",
        )
    if manifest.foreign:
        return find_model(config.model, download=download)
    made_with = manifest.model
    if config.model is None:
        model = find_again(made_with["source"], config.tensors, download=download)
    else:
        model = find_model(config.model, download=download)
    if model.fingerprint != made_with["fingerprint"]:
        raise TensorError(
            f"{config.tensors} was made with {made_with['name']}, "
            f"not with {model.name} ({model.path})",
            hint="run acestep preprocess again with this --model; only what changed is encoded",
        )
    return model


def _build(
    config: TrainConfig,
    run: RunFolder,
    manifest: Manifest,
    model: BaseModel,
    notices: list[Notice],
    before: Before,
    kept: str | None,
) -> Session:
    processes = join(choose_device(config.device))
    precision = choose_computing(asked_precision(config), model, processes, kept)
    dtype = dtype_of(precision)
    clips = make_clips(load_samples(config.tensors, manifest), processes.device, dtype)
    split = split_clips(clips, config.validation, config.seed)
    plan = make_plan(config, model, len(split.train), processes.world)
    untagged = encode_untagged(config, manifest, model, split.train, (processes.device, dtype))
    home = torch.device("cpu") if config.shard_base else processes.device
    transformer = load_base(model, home, dtype, config.base_precision)
    check_shapes(transformer, clips, config)
    precision = quicken(transformer, precision)
    modules = attach(transformer, config)
    if config.shard_base:
        notices.append(_split_base(transformer, processes))
    here = -(-plan.samples_per_step // processes.world)
    pace = choose_pace(config, transformer, clips, here, processes.device, precision, before)
    set_pace(transformer, pace)
    parameters = trainable_parameters(transformer)
    nothing = load_null_condition(model).to(processes.device, dtype)
    learner: nn.Module = transformer
    if config.teach_guidance > 1:
        learner = TaughtGuidance(transformer, nothing, config.teach_guidance)
    if manifest.foreign:
        notices.append(
            Notice("training on the original program's tensors: padded text, other conditions")
        )
    if split.held_out:
        notices.append(Notice(f"held out: {split.how}", "info"))
    notices += pace.notices()
    return Session(
        config,
        run,
        model,
        manifest,
        processes,
        dtype,
        plan,
        split,
        transformer,
        learner,
        modules,
        parameters,
        make_optimizer(config, list(parameters.values())),
        nothing,
        pace,
        lowered=before.level is not None,
        graphs=Graphs(transformer, list(parameters.values())) if pace.graphs.value else None,
        untagged=untagged,
    )


def _split_base(transformer: nn.Module, processes: Processes) -> Notice:
    if processes.world == 1:
        raise ConfigError(["--shard-base: there is only one process"], hint=LAUNCH)
    shard_base(transformer, processes.device)
    held = size_text(bytes_here(transformer))
    return Notice(f"the base is split: {held} of weights in this process", "info")


def check_shapes(transformer: Any, clips: list[Clip], config: TrainConfig) -> None:
    """Raise ``TensorError`` for a clip that is of another shape than the transformer takes."""
    channels = transformer.config.audio_acoustic_hidden_dim
    width = transformer.condition_embedder.in_features
    for clip in clips:
        found = (clip.latents.shape[-1], clip.condition.shape[-1])
        if found != (channels, width):
            raise TensorError(
                f"{config.tensors / clip.name}.pt has {found[0]} latent channels and "
                f"conditions of width {found[1]}; "
                f"the model has {channels} and {width}",
                hint="run acestep preprocess with this --model",
            )


def check_checkpoints(run: RunFolder) -> None:
    """Raise ``RunError`` if there are checkpoints to go on from, and none of them is whole."""
    if saved_checkpoints(run.checkpoints) and not complete_checkpoints(run.checkpoints):
        raise RunError(
            f"no checkpoint in {run.checkpoints} is complete: files are missing or have changed",
            hint="bring them back from a copy, or start anew with another -o",
        )


def _go_back(session: Session) -> list[Notice]:
    """Put the newest complete checkpoint in place and wind the event log back to it."""
    run = session.run
    notices = []
    check_checkpoints(run)
    session.processes.wait()
    if session.processes.is_main:
        damaged = set_aside_broken(run.checkpoints)
        notices = [Notice(f"a damaged checkpoint was set aside: {path}") for path in damaged]
    session.processes.wait()
    found = complete_checkpoints(run.checkpoints)
    if found:
        step, folder = found[-1]
        session.progress = restore_checkpoint(folder, session.transformer, session.optimizer)
        set_weight_decay(session.optimizer, session.config.weight_decay)
        session.last_checkpoint = folder
        if session.progress.step != step:
            raise RunError(f"{folder} contradicts itself: step {step} and {session.progress.step}")
        notices.append(Notice(f"going on from {folder.name}, step {step}", "info"))
        if step >= session.plan.total_steps:
            done = f"the run has done {session.progress.epoch} epochs, and --epochs is "
            notices.append(Notice(f"{done}{session.config.epochs}: nothing is left to do"))
    else:
        begin = f"{run.path} was stopped before its first checkpoint: starting at the beginning"
        notices.append(Notice(begin))
    if session.processes.is_main:
        run.rewind(session.progress.step if found else -1)
        session.history = [
            event for event in run.read_events() if isinstance(event, Step | Evaluation)
        ]
    session.processes.wait()
    return notices
