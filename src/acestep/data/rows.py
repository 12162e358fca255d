"""Datasets read from tables: CSV, and the ``metadata.jsonl`` of a Hugging Face audiofolder.

Columns are those that :mod:`acestep.data.writing` writes, or another program's: only the path of
the song is needed (``file``, ``file_name``, ``filename`` or ``audio_path``), names in any case.
"""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from acestep.data.fields import read_flag
from acestep.data.files import shown
from acestep.data.formats import DIGESTS, WrongValue
from acestep.data.tables import csv_rows, json_rows
from acestep.data.text import read_text
from acestep.data.writing import TABLES
from acestep.errors import DatasetError, LabelError

METADATA = "metadata.jsonl"
_MAX_BYTES = 200_000_000
_RENAMED = {"file": "audio_path", "key": "keyscale"}
_HINT = "it needs a header, and a column file (or file_name) with the path of each song"


def dataset_file(path: Path) -> Path:
    """The file that a dataset is in: the path, or the ``metadata.jsonl`` of a folder."""
    return path / METADATA if (path / METADATA).is_file() else path


def is_table(path: Path) -> bool:
    """Whether a dataset's file is a table, by its ending."""
    return path.suffix.lower() in TABLES


def read_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a table as samples of the guide's layout, each with its place ("line 3").

    Raises ``DatasetError`` that names the file, and the line, if it cannot be read, is no table,
    has a row without a path or, in an audiofolder, with one that leads out of the folder; and
    ``WrongValue`` for a cell that is not of its column's type.
    """
    lines = path.suffix.lower() == ".jsonl"
    try:
        found = list((json_rows if lines else csv_rows)(read_text(path, limit=_MAX_BYTES)))
    except LabelError as error:
        raise DatasetError(str(error), hint=error.hint) from error
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"{shown(path)} is not a table: {error}", hint=_HINT) from error
    if not found:
        raise DatasetError(f"{shown(path)} has no rows with a column file", hint=_HINT)
    return [(f"line {number}", _sample(path, number, row, lines)) for number, row in found]


def _sample(path: Path, number: int, row: dict[str, Any], inside: bool) -> dict[str, Any]:
    file = row.get("file")
    if not isinstance(file, str) or not file.strip():
        raise DatasetError(f"{shown(path)}: line {number} has no file: {file!r}", hint=_HINT)
    if inside and _leads_out(file):
        raise DatasetError(
            f"{shown(path)}: line {number}: {file!r} leads out of the folder",
            hint="an audiofolder holds its audio; file_name is the path inside of it",
        )
    if "caption" not in row and "text" in row:
        row["caption"] = row.pop("text")
    sample = {_RENAMED.get(name, name): value for name, value in row.items() if name}
    for name, read in _READERS.items():
        if isinstance(sample.get(name), str):
            sample[name] = _read(f"line {number}.{name}", sample[name], read)
    extra = sample.pop("extra", None) or {}
    return sample | {key: value for key, value in extra.items() if key not in sample}


def _leads_out(file: str) -> bool:
    parts = PurePath(file.replace("\\", "/")).parts
    return os.pardir in parts or file.startswith(("/", "\\")) or re.match(r"\w:", file) is not None


def _read(place: str, cell: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(cell)
    except (ValueError, RecursionError) as error:
        problem = "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise WrongValue(place, cell, problem) from error


def _seconds(cell: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise ValueError("is not a number of seconds") from None


def _object(cell: str) -> dict[str, Any]:
    value = json.loads(cell) if cell.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return value


# Columns whose cells are text in a CSV table, and something else in a song
_READERS: dict[str, Callable[[str], Any]] = {
    "instrumental": read_flag, "is_instrumental": read_flag, "duration": _seconds,
    "sources": _object, "evidence": _object, DIGESTS: _object, "extra": _object,
}  # fmt: skip
