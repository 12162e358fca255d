"""Datasets as a folder that Hugging Face's ``datasets`` load: the audio, and what is known of it.

::

    folder/metadata.jsonl     {"file_name": "song1.wav", "caption": …, "bpm": 90, …}, a line a song
           song1.wav

``load_dataset("audiofolder", data_dir="folder")`` of that library reads it, with a column for each
field; so does ``load_dataset("folder")`` of this one.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from acestep.data.audio import SUFFIXES
from acestep.data.files import atomic_folder, shown
from acestep.data.rows import METADATA
from acestep.data.song import Dataset, Song
from acestep.data.tables import plain
from acestep.data.writing import dataset_text
from acestep.errors import DatasetError
from acestep.events import Event, Progress, Skipped


def save_audiofolder(dataset: Dataset, folder: Path, *, link: bool = False) -> Iterator[Event]:
    """Write a new folder with the songs' audio and a ``metadata.jsonl``.

    The audio is copied as it is, or with ``link`` linked to; two songs of one name get a number.
    Songs whose file is missing or no audio by its ending are left out and said. The folder appears
    when it is complete; nothing outside of it is written. Raises ``DatasetError`` if it is there
    and not empty, if it cannot be written, or if no song is left.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise DatasetError(
            f"{shown(folder)} is there already", hint="name a folder that is new or empty"
        )
    songs: list[Song] = []
    names: list[str] = []
    try:
        with atomic_folder(folder) as temporary:
            for done, song in enumerate(dataset.songs):
                yield Progress("edit", done, len(dataset.songs), song.filename)
                source = dataset.resolve(song)
                if reason := _unfit(source):
                    yield Skipped(song.filename, reason)
                    continue
                names.append(_free_name(source, names))
                songs.append(song)
                _put(source, temporary / names[-1], link=link)
            if not songs:
                raise DatasetError("there is no audio to put into the folder", hint="scan again")
            rows = dataset_text(_only(dataset, songs), names, "jsonl")
            (temporary / METADATA).write_text(rows, encoding="utf-8", newline="\n")
            if folder.is_dir():
                folder.rmdir()  # it is empty; a rename needs the place on some systems
    except (OSError, shutil.Error) as error:
        raise DatasetError(
            f"{shown(folder)} cannot be written: {error}",
            hint="check the folder, its permissions and the free space",
        ) from error
    yield Progress("edit", len(dataset.songs), len(dataset.songs))


def _unfit(source: Path) -> str:
    """Why a file cannot go into the folder; "" if it can."""
    if not source.is_file():
        return f"its file {shown(source)} is missing"
    return "" if source.suffix.lower() in SUFFIXES else "it is no audio file by its ending"


def _free_name(source: Path, taken: list[str]) -> str:
    """A file name of its own, in the eyes of every system; a loader passes over hidden files."""
    stem = source.stem.lstrip(".") or "song"
    stem = "".join(letter if letter.isprintable() else "_" for letter in stem)
    used = set(map(plain, taken))
    name, number = stem + source.suffix, 1
    while plain(name) in used:
        number += 1
        name = f"{stem}-{number}{source.suffix}"
    return name


def _put(source: Path, target: Path, *, link: bool) -> None:
    if link:
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)


def _only(dataset: Dataset, songs: list[Song]) -> Dataset:
    """The dataset with some of its songs."""
    settings = {name: vars(dataset)[name] for name in ("name", "tag", "tag_position")}
    return Dataset(**settings, songs=songs)
