"""Datasets as text: JSON in one of its layouts, or a table with a row for each song.

A table (CSV, or the JSON lines that Hugging Face's datasets read) has every field of a song in a
column; what is no number, text or truth value stands in it as JSON. It has no settings but the tag,
which each row has, in ``custom_tag``.
"""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acestep.data.fields import FIELDS
from acestep.data.formats import DIGESTS, Layout, write_sample, write_settings
from acestep.data.labels import read_key, read_meter
from acestep.data.tables import guarded

if TYPE_CHECKING:
    from acestep.data.song import Dataset, Song

TABLES: dict[str, Layout] = {".csv": "csv", ".jsonl": "jsonl"}
# Column names, the path first; "file" and "key" are those of other programs' tables
_COLUMNS = {"audio_path": "file", "keyscale": "key"}


def layout_of(path: Path, layout: Layout) -> Layout:
    """The layout of a file: a table's by its ending, else the given one, or the guide's."""
    kind = TABLES.get(path.suffix.lower())
    return kind or ("guide" if layout in TABLES.values() else layout)


def dataset_text(dataset: "Dataset", paths: list[str], layout: Layout) -> str:
    """What a dataset's file holds; ``paths`` are the songs' audio paths as that file names them."""
    if layout in TABLES.values():
        rows = [_row(dataset, song, path) for song, path in zip(dataset.songs, paths, strict=True)]
        return _csv(rows) if layout == "csv" else "".join(_line(row) for row in rows)
    samples = [
        _sample(dataset, song, path, layout)
        for song, path in zip(dataset.songs, paths, strict=True)
    ]
    settings = write_settings(vars(dataset), layout)
    value: Any = samples
    if layout == "guide":
        value = {**settings, **dataset.outer, **dataset.extra, "samples": samples}
    elif layout == "original":
        value = {"metadata": settings | dataset.extra, "samples": samples, **dataset.outer}
    return _json(value, indent=2) + "\n"


def _sample(dataset: "Dataset", song: "Song", path: str, layout: Layout) -> dict[str, Any]:
    tag = (dataset.tag_of(song), dataset.tag_position)
    return write_sample(_values(song, path), song.extra, layout, song.origin, tag)


def _row(dataset: "Dataset", song: "Song", path: str) -> dict[str, Any]:
    """A song as a row: every column, its caption without the tag."""
    values = _values(song, path)
    sample = write_sample(values, {}, "guide", None, ("", dataset.tag_position))
    row = {field.guide: sample.get(field.guide, "") for field in FIELDS}
    row |= {
        "timesignature": values["timesignature"] or "",
        "duration": round(song.duration, 3),
        "custom_tag": dataset.tag_of(song),
        DIGESTS: sample.get(DIGESTS, {}),
        "extra": song.extra,
    }
    named = {_COLUMNS.get(name, name): value for name, value in row.items()}
    return {
        name: (_json(value) if value else "") if isinstance(value, dict) else value
        for name, value in named.items()
    }


def _values(song: "Song", path: str) -> dict[str, Any]:
    """The fields of a song, normalised."""
    values = {item.name: vars(song)[item.name] for item in FIELDS}
    values["audio_path"] = path
    values["keyscale"] = read_key(song.keyscale)
    values["timesignature"] = read_meter(song.timesignature)
    return values


def _csv(rows: list[dict[str, Any]]) -> str:
    """A CSV table whose cells no spreadsheet takes for formulas."""
    text = io.StringIO()
    names = [_COLUMNS.get(field.guide, field.guide) for field in FIELDS] + [DIGESTS, "extra"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row[name]) for name in names})
    return _encodable(text.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    # what a text file cannot hold, and line ends as it has them
    plain = value.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return guarded(plain.strip())  # as it is read, so that the apostrophe is at the front


def _line(row: dict[str, Any]) -> str:
    """One JSON line, with the column that Hugging Face's loader wants first."""
    return _json({"file_name": row["file"]} | {k: v for k, v in row.items() if k != "file"}) + "\n"


def _json(value: Any, indent: int | None = None) -> str:
    # Half a surrogate pair is legal in JSON and impossible in UTF-8; escaped it survives.
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    fits = text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")
    return text if fits else json.dumps(value, indent=indent)


def _encodable(text: str) -> str:
    """Text that UTF-8 can hold; a CSV table has no escapes."""
    return text.encode("utf-8", "replace").decode("utf-8")
