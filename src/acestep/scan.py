"""Find songs in a folder, with all that lies beside them, and write a dataset file.

Scanning again onto the same file keeps what a person, a model or an analysis labelled; labels from
sidecars and tags follow their files. Songs are known by their path and by their audio, so a moved
or renamed file keeps its labels, and one that is gone stays in the list.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acestep.checking.labels import FILLED_IN, READ_IN, told
from acestep.config import ScanConfig
from acestep.data.audio import SUFFIXES, AudioFacts, inspect_audio
from acestep.data.files import shown
from acestep.data.labels import has_words
from acestep.data.sidecars import Sidecars, fill
from acestep.data.song import (
    Dataset,
    Song,
    load_dataset,
    make_ids_unique,
    save_dataset,
    written_path,
)
from acestep.data.tables import Labels
from acestep.errors import AudioError, DatasetError
from acestep.events import Event, Finished, Notice, Progress, Saved, Skipped, Started

_FROM_AUDIO = re.compile(r"([0-9a-f]{16})(-\d+)?|path[0-9a-f]{12}(-\d+)?")


@dataclass
class Found:
    """A readable song: its file, its path inside the folder, its audio and its labels."""

    file: Path
    name: str
    facts: AudioFacts
    labels: Labels
    known: Song | None = None

    @property
    def audio_id(self) -> str:
        """The id that this audio has in every dataset."""
        return self.facts.digest[:16]


def scan(config: ScanConfig) -> Iterator[Event]:
    """Write ``config.output`` with every song below ``config.songs``, in the order of their paths.

    A file that cannot be used is reported as ``Skipped``, with the reason. Raises ``DatasetError``
    if the folder is missing, holds no song or none that can be read, or if the dataset file that is
    already there cannot be understood; then nothing is written.
    """
    root = config.songs
    if not root.is_dir():
        kind = "is a file" if root.exists() else "does not exist"
        raise DatasetError(f"{shown(root)} {kind}", hint="give the folder that holds the songs")
    previous = load_dataset(config.output) if os.path.lexists(config.output) else None
    names, skipped = _find_songs(root)
    if not names:
        raise DatasetError(
            f"there are no songs in {shown(root)}",
            hint="songs are files ending in "
            + " ".join(sorted(SUFFIXES))
            + "; folders inside count",
        )
    yield Started("scan", {"folder": shown(root), "files": len(names)})
    yield from skipped
    found: list[Found] = []
    unreadable: list[Skipped] = []
    for event in _read_all(config, names, found):
        if isinstance(event, Skipped):
            unreadable.append(event)
        yield event
    if not found:
        raise DatasetError(
            f"none of the {len(names)} files in {shown(root)} can be used: {unreadable[0].reason}",
            hint=unreadable[0].hint,
        )
    dataset = previous or Dataset(config.output, name=root.resolve().name)
    _settings(config, dataset)
    yield from _merge(config, dataset, found)
    save_dataset(dataset, config.output)
    yield Saved("dataset", str(config.output))
    yield from told(dataset, but=FILLED_IN | READ_IN)
    yield Finished(
        "scan",
        str(config.output),
        {
            "songs": len(dataset.songs),
            "seconds": round(sum(song.duration for song in dataset.songs), 3),
            "skipped": len(skipped) + len(unreadable),
            "captions": sum(bool(song.caption.strip()) for song in dataset.songs),
            "lyrics": sum(has_words(song.lyrics) for song in dataset.songs),
        },
    )


def _find_songs(root: Path) -> tuple[list[str], list[Skipped]]:
    """Paths of audio files inside a folder, with ``/``, sorted; and what could not be looked at.

    Hidden files and folders are left out. Links to folders are followed, each folder once.
    """
    names: list[str] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    # Links wait until all real folders were seen, so that a song has its real path if it has one.
    waiting, links = [""], list[str]()
    while waiting or links:
        inside = waiting.pop(0) if waiting else links.pop(0)
        folder = root / inside
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(shown(inside), f"the folder cannot be read: {error.strerror}"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else waiting).append(name)
            elif Path(entry.name).suffix.lower() in SUFFIXES:
                names.append(name)
    return sorted(names), skipped


def _read_all(config: ScanConfig, names: list[str], found: list[Found]) -> Iterator[Event]:
    """Decode every file and collect what lies beside it."""
    files = [config.songs / name for name in names]
    sidecars = Sidecars([config.songs], files, ignore=config.output)
    yield from sidecars.read_tables()
    for done, (name, file) in enumerate(zip(names, files, strict=True)):
        yield Progress("scan", done, len(names), shown(name))
        if shown(name) != name:
            yield Skipped(
                shown(name), "its name is not valid Unicode", "rename it; a dataset is UTF-8 text"
            )
            continue
        try:
            facts = inspect_audio(file)
        except AudioError as error:
            yield Skipped(name, str(error), error.hint)
            continue
        labels, notices = sidecars.labels(file)
        found.append(Found(file, name, facts, labels))
        yield from notices
        if facts.declared is not None and abs(facts.declared - facts.seconds) > 1.0:
            yield Notice(
                f"its header says {facts.declared:.1f} s and {facts.seconds:.1f} s could be "
                "decoded: it may be cut off",
                about=name,
            )
    yield Progress("scan", len(names), len(names))


def _settings(config: ScanConfig, dataset: Dataset) -> None:
    """Change the dataset's settings, only those that were given."""
    dataset.name = dataset.name if config.name is None else config.name
    dataset.tag = dataset.tag if config.tag is None else config.tag.strip()
    dataset.tag_position = config.tag_position or dataset.tag_position


def _merge(config: ScanConfig, dataset: Dataset, found: list[Found]) -> Iterator[Notice]:
    """Bring the dataset's songs up to date with what was found."""
    left = list(dataset.songs)
    yield from _recognise(dataset, found, left)
    songs: list[Song] = []
    for item in found:
        song = item.known or Song("", item.audio_id)
        if item.known is None or _real(dataset.resolve(song)) != _real(item.file):
            song.audio_path = written_path(item.file, config.output.parent)
        if _audio_id(song) != item.audio_id and _FROM_AUDIO.fullmatch(song.id):
            song.id = item.audio_id
            song.evidence.clear()  # it is about other audio
        song.duration = item.facts.duration
        fill(song, item.labels)
        silent_voice = not has_words(song.lyrics) and song.source("instrumental") == ""
        song.instrumental = song.instrumental or (config.all_instrumental and silent_voice)
        songs.append(song)
    yield from _twins(found)
    for song in left:
        if not os.path.exists(dataset.resolve(song)):
            yield Notice("its file is gone; the song and its labels stay", about=song.audio_path)
    dataset.songs = songs + left
    # Of two songs with the same audio the one that was there first keeps its id.
    make_ids_unique(sorted(dataset.songs, key=lambda song: song.origin is None))


def _recognise(dataset: Dataset, found: list[Found], left: list[Song]) -> Iterator[Notice]:
    """Find each file's song in the old list: path and audio agree, then moved, then changed."""
    places = {id(song): _real(dataset.resolve(song)) for song in left}
    scanned = {_real(item.file) for item in found}
    # Audio that is also where it was is a copy, and its own song.
    vacant = {place for place in places.values() if place in scanned or not os.path.exists(place)}

    def take(item: Found, *, same_audio: bool, same_place: bool) -> bool:
        here = _real(item.file)
        for index, song in enumerate(left):
            place = places[id(song)]
            if place == here if same_place else place in vacant:
                if same_audio and _audio_id(song) != item.audio_id:
                    continue
                item.known = left.pop(index)
                return True
        return False

    for item in found:
        take(item, same_audio=True, same_place=True)
    for item in [item for item in found if item.known is None]:
        if take(item, same_audio=True, same_place=False) and item.known:
            yield Notice(f"moved here from {item.known.audio_path}", "info", about=item.name)
    for item in [item for item in found if item.known is None]:
        changed = take(item, same_audio=False, same_place=True) and item.known
        if changed and re.fullmatch(r"[0-9a-f]{16}(-\d+)?", changed.id):
            yield Notice("its audio has changed; its labels stay", about=item.name)


def _twins(found: list[Found]) -> Iterator[Notice]:
    first: dict[str, str] = {}
    for item in found:
        twin = first.setdefault(item.audio_id, item.name)
        if twin != item.name:
            yield Notice(f"it is the same audio as {twin}; both are kept", about=item.name)


def _audio_id(song: Song) -> str:
    """A song's id without the number that tells it from a copy."""
    return re.sub(r"-\d+$", "", song.id)


def _real(path: Path) -> str:
    return os.path.realpath(path)
