"""What is judged: a run with its checkpoints, or one adapter; its songs, tag and base model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.locate import choose_checkpoint, is_run, run_checkpoints
from acestep.adapters.stack import activation_tag, own_model
from acestep.config import EvaluateConfig
from acestep.data.tensors import Manifest, load_samples, read_manifest
from acestep.errors import AdapterError, RunError
from acestep.events import Evaluation, Event, Step
from acestep.judging.making import Voice, adapter_digest
from acestep.judging.songs import TaughtSong, taught_songs
from acestep.model.base import BaseModel, find_again, find_model
from acestep.training.run import RunFolder

ONLY = "adapter"  # the name of the one that is no run's checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """An adapter to be judged. ``step`` and ``epoch`` are as far as it was trained, if known."""

    name: str
    path: Path
    adapter: Adapter = field(repr=False)
    digest: str
    step: int | None = None
    epoch: int | None = None

    def voice(self, strength: float = 1.0) -> Voice:
        """This adapter at a strength, as :class:`.Maker` wants it."""
        return Voice(self.name, strength, self.digest, self.adapter)


@dataclass(frozen=True)
class Subject:
    """Everything about an adapter that is known before the first clip is made.

    ``songs`` are those that bear the tag: the style. ``others`` are songs without it that were
    trained on to keep the base as it is. ``damaged`` are checkpoints that cannot be read.
    """

    path: Path
    is_run: bool
    checkpoints: tuple[Checkpoint, ...]
    tensors: Path
    manifest: Manifest = field(repr=False)
    songs: tuple[TaughtSong, ...] = field(repr=False)
    others: tuple[TaughtSong, ...] = field(repr=False)
    model: BaseModel
    settings: dict[str, Any] = field(repr=False)
    log: tuple[Event, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    damaged: tuple[tuple[str, AdapterError], ...] = ()

    @property
    def name(self) -> str:
        """The run's or adapter's name."""
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def tag(self) -> str:
        """The activation tag, of the songs or else of the adapter; empty where there is none."""
        tag = self.manifest.dataset.get("tag")
        known = tag if isinstance(tag, str) else activation_tag(self.checkpoints[-1].adapter)
        return known.strip()

    @property
    def tag_position(self) -> str:
        """Where the tag stands in a caption."""
        position = self.manifest.dataset.get("tag_position")
        return position if isinstance(position, str) else "prepend"

    def output(self, wanted: Path | None) -> Path:
        """The folder of the evaluation."""
        if wanted is not None:
            return wanted
        home = self.path.parent if self.path.is_file() else self.path
        return home / "evaluation"


def open_subject(config: EvaluateConfig) -> Subject:
    """Read a run or an adapter, and the songs it was trained on.

    Raises ``RunError`` for a run without checkpoints or one that names no tensors, ``AdapterError``
    for what is no adapter, ``TensorError`` for tensors that are missing or damaged, ``ModelError``
    if the base model is not here.
    """
    path, names = _run_of(config.run.expanduser(), config.checkpoint)
    whole = is_run(path)
    if config.checkpoint and not whole:
        raise RunError(
            f"--checkpoint {' '.join(config.checkpoint)}: {path} is no run",
            hint="leave it out to judge the adapter itself",
        )
    settings = _settings(path) if whole else {}
    log = tuple(RunFolder(path).read_events()) if whole else ()
    checkpoints, damaged = _checkpoints(path, names) if whole else ((_read(path, ONLY),), ())
    tensors = _tensors(config.tensors, settings, path)
    manifest = read_manifest(tensors)
    songs, others = _by_tag(taught_songs(load_samples(tensors, manifest)), manifest)
    return Subject(
        path,
        whole,
        checkpoints,
        tensors,
        manifest,
        songs,
        others,
        _model(config.model, manifest, tensors, checkpoints[-1].adapter),
        settings,
        log,
        tuple(_notes(settings, checkpoints, manifest, tensors)),
        damaged,
    )


def losses(log: Sequence[Event]) -> tuple[list[Step], list[Evaluation]]:
    """The steps and evaluations of a run's log."""
    return (
        [event for event in log if isinstance(event, Step)],
        [event for event in log if isinstance(event, Evaluation)],
    )


def _run_of(path: Path, names: list[str]) -> tuple[Path, list[str]]:
    """A checkpoint in a run's folder means this checkpoint of that run."""
    run = path.parent.parent
    if not names and path.parent.name == "checkpoints" and path in run_checkpoints(run):
        return run, [path.name]
    return path, names


def _checkpoints(
    run: Path, names: Sequence[str]
) -> tuple[tuple[Checkpoint, ...], tuple[tuple[str, AdapterError], ...]]:
    """Those that can be read, and those that cannot with the reason; raises if none can."""
    choose_checkpoint(run, None)  # raises if there is none
    wanted = {choose_checkpoint(run, name) for name in names} or set(run_checkpoints(run))
    found, damaged = [], []
    for path in run_checkpoints(run):
        if path in wanted:
            try:
                found.append(_read(path, path.name))
            except AdapterError as error:
                damaged.append((path.name, error))
    if not found:
        raise damaged[0][1]
    return tuple(found), tuple(damaged)


def _read(path: Path, name: str) -> Checkpoint:
    adapter = read_adapter(path)
    step, epoch = (adapter.card.get(key) for key in ("step", "epoch"))
    return Checkpoint(
        name,
        path,
        adapter,
        adapter_digest(path),
        step if isinstance(step, int) else None,
        epoch if isinstance(epoch, int) else None,
    )


def _settings(run: Path) -> dict[str, Any]:
    folder = RunFolder(run)
    return folder.read_settings() if folder.exists() else {}


def _tensors(given: Path | None, settings: dict[str, Any], path: Path) -> Path:
    if given is not None:
        return given.expanduser()
    place = settings.get("tensors", {}).get("path")
    if not isinstance(place, str):
        raise RunError(
            f"{path} does not say which songs it was trained on",
            hint="name their tensors: --tensors FOLDER",
        )
    found = Path(place)
    if not found.is_dir():
        raise RunError(
            f"{path} was trained on {found}, which is not there",
            hint="name the tensors where they are now: --tensors FOLDER",
        )
    return found


def _by_tag(
    songs: Sequence[TaughtSong], manifest: Manifest
) -> tuple[tuple[TaughtSong, ...], tuple[TaughtSong, ...]]:
    """Songs with the tag and songs without it; if none has it, all are the style's."""
    tag = str(manifest.dataset.get("tag") or "").strip().lower()
    bearing = [song for song in songs if tag in str(song.labels.get("caption", "")).lower()]
    if not bearing:
        return tuple(songs), ()
    return tuple(bearing), tuple(song for song in songs if song not in bearing)


def _model(name: str | None, manifest: Manifest, tensors: Path, adapter: Adapter) -> BaseModel:
    if name is not None:
        return find_model(name)
    source = manifest.model.get("source")
    if source:
        return find_again(source, tensors)
    return own_model(adapter) or find_model()


def _notes(
    settings: dict[str, Any],
    checkpoints: Sequence[Checkpoint],
    manifest: Manifest,
    tensors: Path,
) -> list[str]:
    known = settings.get("tensors", {}).get("fingerprint")
    known = known or checkpoints[-1].adapter.card.get("tensors_fingerprint")
    if known and known != manifest.fingerprint:
        return [f"{tensors} changed since the adapter was trained: these may be other songs"]
    return []
