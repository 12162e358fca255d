"""Labels written beside the songs, for this program and for others that read the same files.

::

    song.caption.txt    the caption, without the activation tag
    song.lyrics.txt     the lyrics, or [Instrumental]
    song.json           bpm, keyscale, timesignature, language, genre, title, instrumental; and who
                        gave each label (sources), with a digest of it (label_digests)

Each label lies in one file, so that changing it there changes it. A file that a person wrote, or
has changed since we did, is left as it is where it says something else.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep.data.files import shown, write_text
from acestep.data.formats import DIGESTS, digest
from acestep.data.labels import INSTRUMENTAL, has_words
from acestep.data.sidecars import Sidecars, json_labels
from acestep.data.song import Dataset, Song
from acestep.data.tables import absolute, plain
from acestep.data.text import read_text
from acestep.errors import LabelError
from acestep.events import Notice

_TEXTS = {"caption": ".caption.txt", "lyrics": ".lyrics.txt"}
_IN_JSON = ("bpm", "keyscale", "timesignature", "language", "genre", "title")
_LABELS = {_TEXTS["caption"]: {"caption"}, _TEXTS["lyrics"]: {"lyrics"}, ".json": {*_IN_JSON}}


def write_sidecars(dataset: Dataset, *, overwrite: Collection[str] = ()) -> Iterator[Notice]:
    """Write the labels of every song beside its audio, and say what was written and what not.

    Files that say the same are not touched. A differing one is replaced only if we wrote it and
    nobody changed it since, or if it holds a label of ``overwrite``, and is then kept as
    ``<name>.bak``; keys of a song.json that we do not know are kept. Songs that are missing are
    left out, as are two songs that differ in their ending alone, whose sidecars would be the same
    files. A folder that cannot be written to does not stop the others.
    """
    writer = _Writer(dataset, overwrite)
    for song in dataset.songs:
        yield from writer.write(song)
    names = sorted(path.name for path in writer.written)
    few = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    yield Notice(f"{len(names)} sidecars written" + (f": {few}" if names else ""), "info")


def sidecar_texts(song: Song) -> dict[str, str]:
    """What a song's sidecars hold, by their endings; what is not labelled has none."""
    texts = {}
    if caption := song.caption.strip():
        texts[_TEXTS["caption"]] = caption + "\n"
    if song.instrumental or has_words(song.lyrics):
        lyrics = INSTRUMENTAL if song.instrumental else song.lyrics.strip()
        texts[_TEXTS["lyrics"]] = lyrics + "\n"
    record = _record(song)
    if record:
        texts[".json"] = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    return texts


def _record(song: Song) -> dict[str, Any]:
    """The song.json: labels, then who gave them; empty where there is nothing to say."""
    labels = {name: vars(song)[name] for name in _IN_JSON}
    record = {name: value for name, value in labels.items() if value not in (None, "", "unknown")}
    if song.instrumental or has_words(song.lyrics):
        record["instrumental"] = song.instrumental
    given = dict(record)
    if song.caption.strip():
        given["caption"] = song.caption.strip()
    if has_words(song.lyrics) and not song.instrumental:
        given["lyrics"] = song.lyrics.strip()
    if not given:
        return {}
    sources = {name: song.source(name) for name in given if song.source(name)}
    return record | {"sources": sources, DIGESTS: {name: digest(given[name]) for name in given}}


@dataclass
class _Writer:
    """Writes the sidecars of one dataset; ``written`` are the files that changed."""

    dataset: Dataset
    overwrite: Collection[str]

    def __post_init__(self) -> None:
        self.files = {id(song): absolute(self.dataset.resolve(song)) for song in self.dataset.songs}
        self.sidecars = Sidecars([], list(self.files.values()))
        self.stems = Counter(map(_stem, set(self.files.values())))
        self.written: list[Path] = []

    def write(self, song: Song) -> Iterator[Notice]:
        """The sidecars of one song."""
        audio = self.files[id(song)]
        if not os.path.isfile(audio):
            return
        if self.stems[_stem(audio)] > 1:
            yield Notice(
                f"no sidecars: another song beside it is called {audio.stem} too", about=audio.name
            )
            return
        before = self._before(audio)
        for ending, text in sidecar_texts(song).items():
            path = self.sidecars.beside(audio, ending) or audio.with_name(audio.stem + ending)
            try:
                replace = not _LABELS[ending].isdisjoint(self.overwrite)
                yield from self._write_one(path, text, before, song, replace)
            except OSError as error:
                yield Notice(f"{shown(path)} cannot be written: {error.strerror}", about=audio.name)

    def _write_one(
        self, path: Path, text: str, before: dict[str, Any], song: Song, replace: bool
    ) -> Iterator[Notice]:
        is_json = path.suffix.lower() == ".json"
        if is_json and (path == self._dataset_file() or "samples" in before):
            yield Notice(f"{path.name} is a dataset and stays one", about=song.filename)
            return
        text = _with_unknown_keys(text, before) if is_json else text
        present = _text_of(path)
        if present is not None and present.strip() == text.strip():
            return
        ours = not os.path.lexists(path) or _is_ours(path, present, before, song)
        if not ours and not replace:
            yield Notice(
                f"{path.name} says something else and is left as it is; overwriting the sidecars "
                f"would keep it as {path.name}.bak",
                about=song.filename,
            )
            return
        write_text(path, text, backup=not ours)
        self.written.append(path)

    def _dataset_file(self) -> Path | None:
        return absolute(self.dataset.path) if self.dataset.path else None

    def _before(self, audio: Path) -> dict[str, Any]:
        """The song.json that is there; nothing where there is none or it cannot be understood."""
        path = self.sidecars.beside(audio, ".json")
        try:
            record = json.loads(_text_of(path) or "") if path else {}
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}


def _is_ours(path: Path, present: str | None, before: dict[str, Any], song: Song) -> bool:
    """Whether a file was written here and not changed since, so that nothing of anyone is lost."""
    digests = before.get(DIGESTS)
    if not isinstance(digests, dict) or present is None:
        return False
    for label, ending in _TEXTS.items():
        if path.name.lower().endswith(ending):
            return present.strip() == INSTRUMENTAL or digests.get(label) == digest(present.strip())
    labels, problems = json_labels(before)
    return not problems and all(
        digests.get(name) == digest(value) or vars(song)[name] == value
        for name, (value, _) in labels.items()
    )


def _with_unknown_keys(text: str, before: dict[str, Any]) -> str:
    """A song.json with those keys of the one before it that are not ours."""
    known = {*_IN_JSON, *_TEXTS, "instrumental", "is_instrumental", "sources", DIGESTS}
    unknown = {key: value for key, value in before.items() if key not in known}
    if not unknown:
        return text
    return json.dumps(json.loads(text) | unknown, indent=2, ensure_ascii=False) + "\n"


def _text_of(path: Path) -> str | None:
    """A file's text; None where it cannot be read as such."""
    try:
        return read_text(path)
    except LabelError:
        return None


def _stem(audio: Path) -> tuple[Path, str]:
    return audio.parent, plain(audio.stem)
