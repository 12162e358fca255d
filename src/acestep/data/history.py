"""The versions of a dataset file: every save puts the one before it into a folder beside the file.

::

    dataset.json
    dataset.json.history/0007.json      earlier versions, the newest with the highest number
                         0008.json

Undoing writes an earlier version onto the file and keeps the later ones, so that it can itself be
undone: the version that equals the file is where we are. A version that is kept once more moves to
the end, so none is there twice. What was changed in a text editor counts as a version, too.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep.data.files import atomic, reported, shown
from acestep.errors import DatasetError

KEPT = 20  # versions besides the present one
_ABOUT_LABELS = frozenset({"sources", "evidence", "label_digests"})
_NUMBERED = re.compile(r"(\d{4,})(\.\w+)?")


@dataclass(frozen=True)
class Version:
    """One version: its file, when it was saved (seconds since 1970), and how to come back to it.

    ``steps`` is 0 for the present version, 1 for the one before it, -1 for one that was undone.
    """

    path: Path
    when: float
    steps: int


def history_folder(path: Path) -> Path:
    """Where the versions of a dataset file lie; beside the file itself, where it is a link."""
    target = path.resolve() if path.is_symlink() else path
    return target.with_name(target.name + ".history")


def versions(path: Path) -> list[Version]:
    """The versions of a dataset file, the oldest first; none if it has no history.

    Raises ``DatasetError`` if the history cannot be read.
    """
    with reported(history_folder(path), "read"):
        files = _files(path)
        present = _place(files, path)
        here = len(files) if present is None else present
        return [
            Version(file, file.stat().st_mtime, here - index) for index, file in enumerate(files)
        ]


def keep_version(path: Path) -> None:
    """Keep the file as it is now as the newest version; nothing happens where there is no file.

    Raises ``DatasetError`` if the history cannot be written.
    """
    with reported(history_folder(path), "written"):
        if not path.is_file():
            return
        files = _files(path)
        place = _place(files, path)
        if place is not None and place == len(files) - 1:
            return
        number = int(files[-1].name.split(".")[0]) + 1 if files else 1
        newest = history_folder(path) / f"{number:04}{path.suffix}"
        if place is not None:
            os.replace(files.pop(place), newest)
        else:
            with atomic(newest) as temporary:
                shutil.copyfile(path, temporary)
            shutil.copystat(path, newest)
        for old in [*files, newest][: -KEPT - 1]:
            old.unlink()


def go_back(path: Path, steps: int = 1) -> Version:
    """Put the version from ``steps`` saves ago onto the file; negative steps undo that.

    The later versions stay. Raises ``DatasetError`` if there are not as many, or if the file cannot
    be written; then it is as it was.
    """
    folder = history_folder(path)
    with reported(folder, "written"):
        if path.is_file() and _place(_files(path), path) is None:
            keep_version(path)  # changed by hand since, and not to be lost
        known = versions(path)
        found = [version for version in known if version.steps == steps]
        if not found:
            past = sum(version.steps > 0 for version in known)
            later = sum(version.steps < 0 for version in known)
            raise DatasetError(
                f"{shown(path)} has {past} earlier versions, and {later} that were undone",
                hint=f"acestep edit {shown(path)} --history lists them",
            )
        target = path.resolve() if path.is_symlink() else path
        with atomic(target) as temporary:
            shutil.copyfile(found[0].path, temporary)
        return found[0]


def difference(before: Path, after: Path) -> str:
    """What changed between two versions, in a few words: ``3 songs: bpm, caption; activation_tag``.

    "" where a version is not a JSON dataset, or nothing but the order of its keys differs.
    """
    (old, old_songs), (new, new_songs) = _parts(before), _parts(after)
    words = []
    common = new_songs.keys() & old_songs
    changes = [keys for name in common if (keys := _changed(old_songs[name], new_songs[name]))]
    # who gave a label changes with it, and is worth a word only where nothing else does
    labels = [keys - _ABOUT_LABELS for keys in changes if keys - _ABOUT_LABELS] or changes
    if labels:
        songs = f"{len(labels)} song{'s'[: len(labels) > 1]}"
        words.append(f"{songs}: {', '.join(sorted(set().union(*labels)))}")
    if added := len(new_songs.keys() - old_songs):
        words.append(f"{added} added")
    if gone := len(old_songs.keys() - new_songs):
        words.append(f"{gone} gone")
    return "; ".join([*words, *sorted(_changed(old, new))])


def _files(path: Path) -> list[Path]:
    folder = history_folder(path)
    if not os.path.lexists(folder):
        return []
    names = [name for name in os.listdir(folder) if _NUMBERED.fullmatch(name)]
    return [folder / name for name in sorted(names, key=lambda name: int(name.split(".")[0]))]


def _place(files: list[Path], path: Path) -> int | None:
    """Which version the file is; None if it was changed by hand or is not there."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    same = (
        index
        for index, file in enumerate(files)
        if file.stat().st_size == len(content) and file.read_bytes() == content
    )
    return next(same, None)


def _parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset's settings, and its songs by their ids."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}, {}
    outer = value if isinstance(value, dict) else {"samples": value}
    settings = {key: item for key, item in outer.items() if key != "samples"}
    samples = outer.get("samples")
    if not isinstance(samples, list):
        return settings, {}
    songs = [sample for sample in samples if isinstance(sample, dict)]
    return settings, {str(song.get("id") or song.get("audio_path")): song for song in songs}


def _changed(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
