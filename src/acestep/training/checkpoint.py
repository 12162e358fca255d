"""Checkpoints: an adapter that can be loaded as it is, and what resuming needs beside it.

A checkpoint is a folder that appears whole or not at all (written aside, synced, renamed). Its
``checkpoint.json`` holds the step and a hash of every file, so that a damaged one is seen.
"""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from acestep.adapters.files import load_adapter_weights, save_adapter
from acestep.data.files import (
    TORCH_FILE_ERRORS,
    atomic_folder,
    file_digest,
    remove_leftovers,
    write_json,
)
from acestep.data.tensors import save_torch
from acestep.errors import RunError

RECORD = "checkpoint.json"
STATE = "training_state.pt"
_NAME = re.compile(r"epoch_\d+(_step_\d+)?")


@dataclass(frozen=True)
class Progress:
    """Where a run stands: steps done, and the early-stopping count."""

    step: int
    epoch: int
    best_loss: float = float("inf")
    best_epoch: int = 0
    evaluations_since_best: int = 0


def checkpoint_name(step: int, steps_per_epoch: int) -> str:
    """``epoch_200``, or ``epoch_200_step_1603`` for one made in the middle of the next epoch."""
    epoch, rest = divmod(step, steps_per_epoch)
    return f"epoch_{epoch}" if rest == 0 else f"epoch_{epoch}_step_{step}"


def save_checkpoint(
    folder: Path,
    transformer: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    card: dict[str, Any],
) -> None:
    """Write a checkpoint folder; one that is already complete there for the same step is kept."""
    if folder.exists():
        return
    with atomic_folder(folder) as temporary:
        save_adapter(transformer, temporary, card=card)
        state = {"progress": vars(progress), "optimizer": optimizer.state_dict()}
        save_torch(temporary / STATE, state)
        files = {file.name: file_digest(file) for file in sorted(temporary.iterdir())}
        write_json(
            temporary / RECORD, {"step": progress.step, "epoch": progress.epoch, "files": files}
        )


def restore_checkpoint(
    folder: Path, transformer: nn.Module, optimizer: torch.optim.Optimizer
) -> Progress:
    """Put a checkpoint's adapter and optimizer state in place, exactly, and say where it stands.

    Raises ``RunError`` if the state does not fit the optimizer, ``AdapterError`` if the weights do
    not fit the adapter, to the last key.
    """
    load_adapter_weights(transformer, folder)
    try:
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        return Progress(**state["progress"])
    except TORCH_FILE_ERRORS as error:
        raise RunError(
            f"{folder / STATE} does not fit this run: {error}",
            hint="resume with the settings the run was started with",
        ) from error


def saved_checkpoints(folder: Path) -> list[Path]:
    """What bears a checkpoint's name in a run's ``checkpoints`` folder, complete or not."""
    paths = sorted(folder.glob("epoch_*")) if folder.is_dir() else []
    return [path for path in paths if _NAME.fullmatch(path.name)]


def complete_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The complete checkpoints in a run's ``checkpoints`` folder as (step, path), oldest first."""
    found = []
    for path in saved_checkpoints(folder):
        step = _verified_step(path)
        if step is not None:
            found.append((step, path))
    return sorted(found)


def set_aside_broken(folder: Path) -> list[Path]:
    """Clear the way for a resumed run: our own half-written folders are removed, damaged
    checkpoints are renamed to ``broken_…``. Returns the damaged ones' new places."""
    if not folder.is_dir():
        return []
    remove_leftovers(folder)
    moved = []
    for path in saved_checkpoints(folder):
        if _verified_step(path) is None:
            target = path.with_name(f"broken_{path.name}_{len(list(folder.glob('broken_*')))}")
            os.rename(path, target)
            moved.append(target)
    return moved


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint; killed in between, it is gone whole and its rest is a leftover."""
    grave = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tmp-"))
    os.rename(folder, grave / folder.name)
    shutil.rmtree(grave)


def _verified_step(path: Path) -> int | None:
    """The step of a checkpoint whose files are all there and unchanged, else None."""
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if all(file_digest(path / name) == digest for name, digest in record["files"].items()):
            return int(record["step"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None
