"""Pieces that the Generate page asked for, as they lie in their folder."""

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep.data.audio import RATE, read_audio, write_audio
from acestep.data.files import write_json
from acestep.errors import ConfigError
from acestep.web.job_files import Job
from acestep.web.service import Service
from acestep.web.uploads import place
from acestep.web.workspace import Workspace

FOLDER = "generated"
MOST = 8  # pieces at a time
FORMATS = ("flac", "wav", "mp3", "ogg", "opus")
_LABELS = ("caption", "lyrics", "bpm", "keyscale", "timesignature", "language")


def orders(
    workspace: Workspace, service: Service, values: Mapping[str, Any], count: int, *, both: bool
) -> list[dict[str, Any]]:
    """The values of each job: ``count`` seeds in a row, made in one go; with ``both``, one job
    with the adapters off and one with them on. Raises ``ConfigError`` for a seed that is no number.
    """
    try:
        first = int(float(str(values.get("seed") or 42)))
    except ValueError as error:
        raise ConfigError([f"--seed {values.get('seed')}: must be a whole number"]) from error
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = workspace.home / FOLDER / f"{stamp}-{uuid.uuid4().hex[:6]}"
    jobs = []
    for adapters in (False, True) if both else (True,):
        name = f"{first}_{'on' if adapters else 'off'}.flac" if both else f"{first}.flac"
        with_service = {**values, **service.generating(adapters=adapters)}
        several = {"seed": first, "count": min(max(int(count), 1), MOST)}
        jobs.append({**with_service, **several, "output": folder / name})
    return jobs


def made_by(job: Job | None) -> list[Path]:
    """Every piece beside the one that a job makes, in the order of their seeds."""
    if job is None:
        return []
    words = list(job.words)
    for flag in ("--output", "-o"):
        if flag in words:
            folder = Path(words[words.index(flag) + 1]).parent
            # Those with a dot are still being written
            return sorted(folder.glob("[!.]*.flac"), key=_place)
    return []


def _place(file: Path) -> tuple[int, str]:
    """Pieces by seed; of one seed the adapters off, then on."""
    return len(file.stem.partition("_")[0]), file.stem


def converted(workspace: Workspace, file: str, form: str) -> Path:
    """A piece in another format, beside it. Raises ``ConfigError`` or ``AudioError``."""
    source = workspace.path(file)
    if form not in FORMATS:
        raise ConfigError([f"{form}: must be one of {', '.join(FORMATS)}"])
    target = source.with_suffix(f".{form}")
    if not target.exists():
        write_audio(target, read_audio(source), RATE)
    return target


def add_to_dataset(workspace: Workspace, file: str, folder: str, values: Mapping[str, Any]) -> Path:
    """Copy a piece into a folder of songs, with its labels in a sidecar that scan reads."""
    source = workspace.path(file)
    target = place(source, workspace.path(folder or "songs"))
    labels = {name: values[name] for name in _LABELS if values.get(name)}
    if "bpm" in labels:
        labels["bpm"] = int(float(labels["bpm"]))
    write_json(target.with_suffix(".json"), labels)
    return target
