"""Songs, their labels, and the dataset file that keeps them.

A :class:`Dataset` is what ``scan`` writes, ``label`` and ``edit`` change and ``preprocess`` reads.
Captions are kept without the activation tag; :meth:`Dataset.prompt_labels` puts it in, once. Each
label remembers where it came from (:data:`SOURCES`), so that no verb overwrites a person's words.
"""

import copy
import difflib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from acestep.data.files import reported, shown, write_text
from acestep.data.formats import (
    Layout,
    Origin,
    WrongValue,
    changed_by_hand,
    file_name,
    read_json,
    read_sample,
    read_settings,
)
from acestep.data.history import keep_version
from acestep.data.labels import (
    INSTRUMENTAL,
    PromptLabels,
    apply_tag,
    genre_indices,
    has_words,
    normalize_key,
    normalize_meter,
    read_key,
    read_language,
    read_meter,
    strip_tag,
)
from acestep.data.rows import METADATA, dataset_file, is_table, read_rows
from acestep.data.writing import dataset_text, layout_of
from acestep.errors import DatasetError

__all__ = [
    "Dataset", "PromptLabels", "Song", "load_dataset", "normalize_key", "normalize_meter",
    "save_dataset",
]  # fmt: skip

# Who gave a label, the most trusted first. A tag is one embedded in the audio file, a draft a
# caption from measurements.
SOURCES = ("person", "sidecar", "tag", "lm", "analysis", "draft")
LABELS = ("caption", "genre", "lyrics", "bpm", "keyscale", "timesignature", "language", "title")
_HINT = "fix it in a text editor, or go back to the version before: acestep edit {} --undo"


@dataclass
class Song:
    """One song: where its audio lies and what is known about it.

    ``audio_path`` is as written in the file (see :meth:`Dataset.resolve`); ``duration`` is in
    seconds, 0 where it is not known; ``keyscale`` and ``timesignature`` are in the model's
    vocabulary where they were understood; ``tag`` is set for a song with an activation tag of its
    own; ``sources`` says for each label who gave it, ``evidence`` what was found of it: value,
    confidence, runner-up and source as :class:`acestep.labellers.estimate.Estimate` has them.
    """

    audio_path: str
    id: str = ""
    caption: str = ""
    genre: str = ""
    lyrics: str = INSTRUMENTAL
    bpm: int | None = None
    keyscale: str | None = None
    timesignature: str | None = None
    language: str = "unknown"
    instrumental: bool = False
    duration: float = 0.0
    title: str = ""
    tag: str | None = None
    prompt_override: str | None = None
    sources: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = field(default=None, repr=False, compare=False)

    @property
    def filename(self) -> str:
        """The last part of the audio path."""
        return file_name(self.audio_path)

    @property
    def labelled(self) -> bool:
        """Whether there is anything to prompt with."""
        return bool(self.caption.strip() or self.genre.strip())

    def source(self, label: str) -> str:
        """Who gave a label; "" while it is missing."""
        return self.sources.get(label, "")

    def trusts(self, label: str, source: str) -> bool:
        """Whether what ``source`` says of a label may take the place of what is there.

        A person's words stay; others give way to whom is trusted as much or more. A source that we
        do not know counts as a person.
        """
        present = self.source(label)
        if not present:
            return True
        if present == "person" or present not in SOURCES:
            return False
        return SOURCES.index(source) <= SOURCES.index(present)

    def give(self, label: str, value: Any, source: str) -> None:
        """Set a label together with its source."""
        setattr(self, label, value)
        self.sources[label] = source


@dataclass
class Dataset:
    """Songs and their common settings; ``extra`` and ``outer`` keep keys that we do not know.

    ``layout`` is how the file is written (see :mod:`acestep.data.formats`); ``genre_ratio`` is the
    percentage of songs that show their genre instead of their caption.
    """

    path: Path | None = None
    name: str = "untitled"
    tag: str = ""
    tag_position: str = "prepend"
    songs: list[Song] = field(default_factory=list)
    genre_ratio: int = 0
    layout: Layout = "guide"
    extra: dict[str, Any] = field(default_factory=dict)
    outer: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """What relative audio paths are relative to."""
        return self.path.parent if self.path else Path()

    def tag_of(self, song: Song) -> str:
        """A song's activation tag: its own or the dataset's."""
        return self.tag if song.tag is None else song.tag

    def resolve(self, song: Song) -> Path:
        """Where a song's audio is: against the dataset's folder, then as given.

        If it is in neither place, the first of them.
        """
        written = [song.audio_path, song.audio_path.replace("\\", "/")]
        places = [base / path for base in (self.folder, Path()) for path in written]
        return next((place for place in places if os.path.exists(place)), places[0])

    def find(self, wanted: str) -> Song:
        """The song with this number (from 1), id, path, file name or file name without suffix.

        Raises ``DatasetError`` if there is none, or more than one.
        """
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self.songs):
            return self.songs[int(wanted) - 1]
        readings: tuple[Callable[[Song], str], ...] = (
            lambda song: song.id,
            lambda song: song.audio_path,
            lambda song: song.filename,
            lambda song: Path(song.filename).stem,
        )
        for reading in readings:
            found = [song for song in self.songs if reading(song) == wanted]
            if len(found) == 1:
                return found[0]
            if found:
                raise DatasetError(
                    f"{wanted!r} is the name of {len(found)} songs",
                    hint="name one by its number or id: "
                    + ", ".join(f"{song.id} ({song.audio_path})" for song in found[:5]),
                )
        names = [song.filename for song in self.songs]
        near = difflib.get_close_matches(wanted, names, 3, 0.4) or names[:3]
        place = shown(self.path or self.name)
        raise DatasetError(
            f"there is no song {wanted!r} among the {len(names)} of {place}",
            hint="name it by its number (from 1), id or file name, for example " + ", ".join(near),
        )

    def shows_genre(self, song: Song) -> bool:
        """Whether a song's prompt has its genre in the place of its caption."""
        if song.prompt_override or not song.genre.strip():
            return song.prompt_override == "genre" and bool(song.genre.strip())
        labelled = [other for other in self.songs if other.labelled]
        chosen = genre_indices(len(labelled), self.genre_ratio)
        return any(other is song and index in chosen for index, other in enumerate(labelled))

    def prompt_labels(self, song: Song, seconds: float | None = None) -> PromptLabels:
        """What a song's prompt is made of: the tag in its place, keys and metres normalised.

        ``seconds`` is the length of the part that is used (default: the song's duration). An
        instrumental song has the lyrics "[Instrumental]" and the language "unknown".
        """
        words = song.genre if self.shows_genre(song) else song.caption
        lyrics = song.lyrics if not song.instrumental and has_words(song.lyrics) else INSTRUMENTAL
        return PromptLabels(
            caption=_clean(apply_tag(words, self.tag_of(song), self.tag_position)),
            lyrics=_clean(lyrics),
            bpm=song.bpm,
            keyscale=read_key(_clean(song.keyscale or "")),
            timesignature=read_meter(_clean(song.timesignature or "")),
            language="unknown" if song.instrumental else read_language(_clean(song.language)),
            seconds=song.duration if seconds is None else seconds,
        )


def load_dataset(path: Path | str) -> Dataset:
    """Read a dataset file of any layout, or the ``metadata.jsonl`` of a folder.

    Raises ``DatasetError`` naming the file and the place if it is missing, not JSON, not a dataset,
    of a wrong type somewhere, or written by a newer version. The file is left as it is.
    """
    path = dataset_file(Path(path))
    if is_table(path):
        return _Reader(path).table()
    value = read_json(path, _HINT.format(shown(path)))
    reader = _Reader(path)
    if isinstance(value, list):
        dataset = Dataset(path, path.stem, layout="list", tag=_common_tag(value))
        samples, where = value, ""
    elif isinstance(value, dict) and "samples" in value:
        samples, where = value["samples"], "samples"
        if isinstance(value.get("metadata"), dict) and "dataset_name" not in value:
            dataset = reader.settings(value["metadata"], "original", "untitled")
            dataset.outer = {k: v for k, v in value.items() if k not in ("metadata", "samples")}
        else:
            dataset = reader.settings(value, "guide", path.stem)
    else:
        raise DatasetError(
            f"{shown(path)} is not a dataset: it has no list of samples",
            hint="acestep scan SONGS -o dataset.json makes one",
        )
    if not isinstance(samples, list):
        raise reader.error("samples", samples, "is not a list")
    for number, sample in enumerate(samples):
        dataset.songs.append(reader.song(dataset, sample, f"{where}[{number}]"))
    make_ids_unique(dataset.songs)
    return dataset


def save_dataset(
    dataset: Dataset, path: Path | str, layout: Layout | None = None, *, version: bool = True
) -> None:
    """Write a dataset atomically; what was there before is kept (:mod:`acestep.data.history`).

    Relative audio paths stay relative to the file: saved into another folder they are rewritten.
    A verb that saves as it goes keeps a ``version`` with its first save alone. Raises
    ``DatasetError`` if the file cannot be written.
    """
    path = dataset_file(Path(path))
    layout = layout or layout_of(path, dataset.layout)
    paths = [_path_from(dataset, song, path.parent) for song in dataset.songs]
    content = dataset_text(dataset, paths, layout)
    target = path.resolve() if path.is_symlink() else path
    if version:
        keep_version(path)
    with reported(path):
        write_text(target, content)


def written_path(file: Path, folder: Path) -> str:
    """How a dataset in ``folder`` names a file: relative if it lies below, else absolute."""
    file_, folder_ = os.path.abspath(file), os.path.abspath(folder)
    inside = os.path.relpath(file_, folder_) if _same_drive(file_, folder_) else os.pardir
    outside = inside == os.pardir or inside.startswith(os.pardir + os.sep)
    return file_ if outside else inside.replace(os.sep, "/")


def make_ids_unique(songs: list[Song]) -> None:
    """Number the songs that share an id: the second gets ``-2`` and so on."""
    taken: set[str] = set()
    for song in songs:
        name, number = song.id, 1
        while song.id.lower() in taken:  # ids become file names, some of which ignore case
            number += 1
            song.id = f"{name}-{number}"
        taken.add(song.id.lower())


def placeholder_id(audio_path: str) -> str:
    """The id of a song whose audio was not read: from its path, until ``scan`` finds the audio."""
    return "path" + hashlib.sha256(audio_path.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True)
class _Reader:
    """Reads the parts of one file; its errors name the file and the place."""

    path: Path

    def error(self, place: str, value: Any, problem: str) -> DatasetError:
        seen = json.dumps(value, default=str)
        seen = seen if len(seen) <= 60 else seen[:57] + "..."
        return DatasetError(
            f"{shown(self.path)}: {place}: {seen} {problem}", hint=_HINT.format(shown(self.path))
        )

    def settings(self, raw: dict[str, Any], layout: Layout, name: str) -> Dataset:
        """The dataset without its songs; ``name`` stands in for a missing one."""
        try:
            values, extra = read_settings(raw, layout)
        except WrongValue as wrong:
            raise self.error(wrong.place, wrong.value, wrong.problem) from wrong
        return Dataset(self.path, **{"name": name, **values}, layout=layout, extra=extra)

    def table(self) -> Dataset:
        """The dataset in a table; its name is the file's, or that of an audiofolder."""
        try:
            rows = read_rows(self.path)
        except WrongValue as wrong:
            raise self.error(wrong.place, wrong.value, wrong.problem) from wrong
        name = self.path.parent.resolve().name if self.path.name == METADATA else self.path.stem
        tags = Counter(tag for _, raw in rows if isinstance(tag := raw.get("custom_tag"), str))
        tag = max(tags, key=lambda each: tags[each], default="")
        dataset = Dataset(self.path, name, tag, layout=layout_of(self.path, "guide"))
        dataset.songs = [self.song(dataset, raw, place) for place, raw in rows]
        make_ids_unique(dataset.songs)
        return dataset

    def song(self, dataset: Dataset, raw: Any, place: str) -> Song:
        if not isinstance(raw, dict):
            raise self.error(place, raw, "is not an object")
        if "audio_path" not in raw:
            raise self.error(place, list(raw), "has no audio_path")
        try:
            values, extra = read_sample(raw, dataset.layout)
        except WrongValue as wrong:
            raise self.error(f"{place}.{wrong.place}", wrong.value, wrong.problem) from wrong
        # The original copies the dataset's tag into every sample.
        own = (values.get("tag") or "").strip()
        values["tag"] = own if own and own != dataset.tag.strip() else None
        if "caption" in values:
            values["caption"] = strip_tag(values["caption"], values["tag"] or dataset.tag)
        song = Song(**values, extra=extra)
        if "instrumental" not in values:
            song.instrumental = "lyrics" in values and not has_words(song.lyrics)
        song.id = song.id.strip() or placeholder_id(song.audio_path)
        by_hand = changed_by_hand(raw, values)
        song.sources = song.sources | _unsigned(song, raw) | dict.fromkeys(by_hand, "person")
        song.evidence = copy.deepcopy(song.evidence)  # the origin's stays as it was read
        tag = (dataset.tag_of(song), dataset.tag_position)
        song.origin = Origin(dataset.layout, raw, values, tag)
        return song


def _unsigned(song: Song, raw: dict[str, Any]) -> dict[str, str]:
    """Labels that are there without a source were written by a person, into the file."""
    missing: dict[str, Any] = {item.name: item.default for item in fields(Song)}
    given = {name for name in LABELS if vars(song)[name] not in (missing[name], "", None)}
    if not has_words(song.lyrics):
        given.discard("lyrics")
    if song.instrumental and "sources" not in raw:  # else it is scan's --all-instrumental
        given.add("instrumental")
    return {name: "person" for name in sorted(given) if name not in song.sources}


def _path_from(dataset: Dataset, song: Song, folder: Path) -> str:
    """A song's path for a dataset in ``folder``: as written, unless that would not find it."""
    here = os.path.abspath(folder) == os.path.abspath(dataset.folder)
    if here or os.path.isabs(song.audio_path):
        return song.audio_path
    file = dataset.resolve(song)
    return written_path(file, folder) if os.path.exists(file) else song.audio_path


def _common_tag(samples: list[Any]) -> str:
    tags = {sample.get("custom_tag") for sample in samples if isinstance(sample, dict)}
    tag = tags.pop() if len(tags) == 1 else ""
    return tag if isinstance(tag, str) else ""


def _same_drive(first: str, second: str) -> bool:
    return os.path.splitdrive(first)[0].lower() == os.path.splitdrive(second)[0].lower()


def _clean(words: str) -> str:
    """Text that UTF-8 can hold."""
    return words.encode("utf-8", "replace").decode("utf-8")
