"""Which files a path means: a file, an adapter's folder, a checkpoint, or a whole run."""

import re
from dataclasses import dataclass
from pathlib import Path

from acestep.errors import AdapterError, RunError

CONFIG = "adapter_config.json"
PEFT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
_CHECKPOINT = re.compile(r"epoch_(\d+)(?:_step_(\d+))?")
_WAIT = "let it train until the first one is saved (--save-every), or stop it: that saves"
_WHERE = "an adapter is a folder with adapter_config.json, a .safetensors file, or a run's folder"


@dataclass(frozen=True)
class AdapterFiles:
    """The weights, and the configuration beside them if there is one."""

    weights: Path
    config: Path | None = None


def find_files(path: Path) -> AdapterFiles:
    """The files of the adapter at ``path``.

    A folder may be an adapter, a checkpoint or a run of this program (its newest checkpoint), the
    parent of the original program's ``adapter`` or ``final/adapter``, or hold one adapter file.
    Raises ``AdapterError`` if there is nothing, half of it, or a choice.
    """
    if path.is_file():
        config = path.parent / CONFIG
        beside = path.name in PEFT_FILES and config.is_file()
        return AdapterFiles(path, config if beside else None)
    if not path.is_dir():
        raise AdapterError(f"{path}: there is no such file or folder", hint=_WHERE)
    for folder in (path, path / "adapter", path / "final" / "adapter"):
        if (folder / CONFIG).is_file():
            return _peft_files(folder)
    checkpoints = run_checkpoints(path)
    if checkpoints:
        return find_files(checkpoints[-1])
    if is_run(path):
        raise AdapterError(f"{path} holds no checkpoint yet", hint=_WAIT)
    return _single_file(path)


def run_checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints that hold an adapter, oldest first."""
    found = []
    for folder in (run / "checkpoints").glob("epoch_*"):
        match = _CHECKPOINT.fullmatch(folder.name)
        if match and ((folder / CONFIG).is_file() or (folder / "adapter" / CONFIG).is_file()):
            found.append((int(match[1]), int(match[2] or 0), folder))
    return [folder for *_, folder in sorted(found)]


def choose_checkpoint(run: Path, name: str | None) -> Path:
    """A run's checkpoint by name, or the newest one.

    Raises ``RunError`` with those there are if it is not among them.
    """
    checkpoints = run_checkpoints(run)
    names = [checkpoint.name for checkpoint in checkpoints]
    if not checkpoints:
        raise RunError(
            f"{run} holds no checkpoint yet",
            hint=_WAIT,
        )
    if name is None:
        return checkpoints[-1]
    if name not in names:
        raise RunError(
            f"--checkpoint {name!r}: {run} has no such checkpoint",
            hint=f"there are {', '.join(names)}",
        )
    return checkpoints[names.index(name)]


def is_run(path: Path) -> bool:
    """Whether a folder is a run's, this program's or the original's, checkpoints or not."""
    run = (path / "checkpoints").is_dir() or (path / "events.jsonl").is_file()
    return run and not (path / CONFIG).exists()


def _peft_files(folder: Path) -> AdapterFiles:
    for name in PEFT_FILES:
        if (folder / name).is_file():
            return AdapterFiles(folder / name, folder / CONFIG)
    raise AdapterError(
        f"{folder} has {CONFIG} but none of {', '.join(PEFT_FILES)}",
        hint="export or download the adapter again",
    )


def _single_file(folder: Path) -> AdapterFiles:
    for name in (DIFFUSERS_FILE, *PEFT_FILES):
        if (folder / name).is_file():
            return AdapterFiles(folder / name)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise AdapterError(f"{folder} holds no adapter", hint=_WHERE)
    if len(files) > 1:
        raise AdapterError(
            f"{folder} holds {len(files)} files that could be meant: "
            f"{', '.join(file.name for file in files[:4])}",
            hint="name the file itself",
        )
    return AdapterFiles(files[0])
