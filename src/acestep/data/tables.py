"""Tables that name songs: the export of key and tempo finders (``File,BPM,Key,Caption``), of this
program (:mod:`acestep.data.rows`), and Hugging Face's ``metadata.csv`` and ``metadata.jsonl``.
"""

import csv
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from acestep.data.fields import read_flag
from acestep.data.files import shown
from acestep.data.labels import (
    INSTRUMENTAL,
    has_words,
    read_bpm,
    read_key,
    read_language,
    read_meter,
)
from acestep.data.text import read_text
from acestep.errors import LabelError
from acestep.events import Notice

# Field of Song → (value, source)
Labels = dict[str, tuple[Any, str]]
_COLUMNS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "bpm": ("bpm", read_bpm),
    "key": ("keyscale", read_key),
    "keyscale": ("keyscale", read_key),
    "timesignature": ("timesignature", read_meter),
    "caption": ("caption", str.strip),
    "text": ("caption", str.strip),
    "genre": ("genre", str.strip),
    "lyrics": ("lyrics", str.strip),
    "language": ("language", read_language),
    "instrumental": ("instrumental", read_flag),
    "title": ("title", str.strip),
}
# What the column with the song's path may be called
_FILE = ("file", "file_name", "filename", "audio_path")
_FORMULA = "=+-@\t\r'"  # first characters at which a spreadsheet may calculate, and their guard


def read_tables(root: Path, songs: Iterable[Path]) -> tuple[dict[Path, Labels], list[Notice]]:
    """The labels that the tables of a folder give to songs, and what could not be used.

    Keys are absolute paths. Commas, semicolons or tabs, or JSON lines in ``metadata.jsonl``; column
    names in any case; only ``File`` (or ``file_name``) is needed. A row names a song by its path
    inside ``root``, or by its file name where only one song has it: a name that fits several is
    reported, not guessed. Later rows and files win.
    """
    index = _Index(root, songs)
    found: dict[Path, Labels] = {}
    notices: list[Notice] = []
    names: list[str] = []
    with suppress(OSError):  # no such folder, no tables
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_file())
    for name in names:
        lines = name.lower() == "metadata.jsonl"
        if not (lines or name.lower().endswith(".csv")) or name.startswith("."):
            continue
        try:
            read = json_rows if lines else csv_rows
            rows = [(line, _as_text(row)) for line, row in read(read_text(root / name))]
        except LabelError as error:
            notices.append(Notice(f"{error}; {error.hint}", about=shown(name)))
            continue
        except (csv.Error, ValueError) as error:
            kind = "table of JSON lines" if lines else "CSV table"
            notices.append(Notice(f"it is not a {kind}: {error}", about=shown(name)))
            continue
        problems = list(_use(rows, index, found))
        notices += [Notice(problem, about=shown(name)) for problem in problems]
    return found, notices


def plain(name: str) -> str:
    """A name for comparing: macOS decomposes accents, and case differs between systems."""
    return unicodedata.normalize("NFC", name).casefold()


def absolute(path: Path) -> Path:
    """The path from the root of the disk; links stay."""
    return Path(os.path.abspath(path))


def _use(
    rows: list[tuple[int, dict[str, str]]], index: "_Index", found: dict[Path, Labels]
) -> Iterator[str]:
    """Give the rows' labels to the songs; the sentences say what could not be used."""
    rows = [(line, row) for line, row in rows if row.get("file")]
    if not rows:
        yield "it is ignored: it has no rows with a column File"
    strangers = []
    for line, row in rows:
        songs = index.find(row["file"])
        if not songs:
            strangers.append(row["file"])
        elif len(songs) > 1:
            several = ", ".join(map(index.relative, songs))
            yield f"line {line}: {row['file']!r} may be any of {several}; add the folder to it"
        else:
            yield from _take(line, row, found.setdefault(songs[0], {}))
    if strangers:
        few = ", ".join(strangers[:3]) + (" …" if len(strangers) > 3 else "")
        yield f"{len(strangers)} of {len(rows)} rows name no song here: {few}"


def _take(line: int, row: dict[str, str], labels: Labels) -> Iterator[str]:
    for column, (label, read) in _COLUMNS.items():
        try:
            value = read(row.get(column, ""))
        except ValueError as error:
            yield f"line {line}: {column} {row[column]!r} {error}"
            continue
        if value not in (None, "", "unknown"):
            labels[label] = (value, "sidecar")
    if "lyrics" in labels:
        words = has_words(labels["lyrics"][0])
        labels["lyrics"] = (labels["lyrics"][0] if words else INSTRUMENTAL, "sidecar")
        labels.setdefault("instrumental", (not words, "sidecar"))


def csv_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV table that has a column File, with their line numbers, but for empty ones.

    Column names are in lower case, the song's path is ``file``. An apostrophe that keeps a
    spreadsheet from calculating (``'=1+1``) is taken off. Nothing where there is no such column.
    Raises ``csv.Error`` where it cannot be read.
    """
    lines = text.split("\n")
    first = 1 if re.fullmatch(r"sep=.", lines[0].strip(), re.I) else 0  # a mark of Excel's
    for delimiter in (",", ";", "\t"):
        reader = csv.reader((line + "\n" for line in lines[first:]), delimiter=delimiter)
        header: list[str] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header([plain(cell.strip()) for cell in cells])
                if "file" not in header:
                    break
                continue
            values = [unguarded(cell.strip()) for cell in cells]
            yield first + reader.line_num, dict(zip(header, values, strict=False))
        if "file" in header:
            return


def json_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of JSON lines with their numbers; names as in :func:`csv_rows`, values as they are.

    Raises ``ValueError`` that names the line which is no JSON object.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object: {line[:40]}")
        yield number, dict(zip(_header([plain(key) for key in row]), row.values(), strict=True))


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: with an apostrophe, if it begins like one."""
    return "'" + cell if cell[:1] in _FORMULA and cell else cell


def unguarded(cell: str) -> str:
    """A cell without the apostrophe of :func:`guarded`."""
    return cell[1:] if cell[:1] == "'" and len(cell) > 1 and cell[1] in _FORMULA else cell


def _header(names: list[str]) -> list[str]:
    """Column names with the song's path, which may be called several things, as ``file``."""
    called = next((name for name in _FILE if name in names), None)
    return ["file" if name == called else name for name in names]


def _as_text(row: dict[str, Any]) -> dict[str, str]:
    """Values of JSON as a CSV table has them; what is no scalar is left out."""
    texts = {key: "" if value is None else value for key, value in row.items()}
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value).strip()
        for key, value in texts.items()
        if isinstance(value, str | int | float)
    }


class _Index:
    """Finds songs by what a table calls them."""

    def __init__(self, root: Path, songs: Iterable[Path]) -> None:
        self.root = absolute(root)
        self.paths = {song: plain(song.as_posix()) for song in map(absolute, songs)}

    def relative(self, song: Path) -> str:
        """A song's path inside the root."""
        return os.path.relpath(song, self.root).replace(os.sep, "/")

    def find(self, name: str) -> list[Path]:
        """The songs that a table may mean: by path if it gives one, else by file name or stem."""
        wanted = plain(name.strip().replace("\\", "/").removeprefix("./"))
        last = wanted.rsplit("/", 1)[-1]
        inside = plain(f"{self.root.as_posix()}/{wanted}")
        if last == wanted:
            return self._named(last)
        if found := self._where(lambda song, path: path in (wanted, inside)):
            return found
        if not re.match(r"/|[a-z]:/", wanted):
            return self._where(lambda song, path: path.endswith("/" + wanted))
        # A path on the machine where the table was made: the longest end of it that is here.
        ends = [(plain(self.relative(song)), song) for song in self.paths]
        ends = [(end, song) for end, song in ends if wanted.endswith("/" + end) and "/" in end]
        longest = max((len(end) for end, _ in ends), default=0)
        return [song for end, song in ends if len(end) == longest] or self._named(last)

    def _named(self, name: str) -> list[Path]:
        return self._where(lambda song, path: path.endswith("/" + name)) or self._where(
            lambda song, path: plain(song.stem) == name
        )

    def _where(self, test: Callable[[Path, str], bool]) -> list[Path]:
        return [song for song, path in self.paths.items() if test(song, path)]
