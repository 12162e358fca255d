"""Labels that lie beside the songs: text files, JSON, CSV tables, and tags in the audio.

Order of trust, first to last::

    song.json           caption, bpm, keyscale, timesignature, language, lyrics, genre, title,
                        instrumental
    song.caption.txt    the caption
    song.lyrics.txt     the lyrics; without it song.txt
    *.csv               File, BPM, Key, Caption, Title, in the scanned folder itself
    embedded tags       title, genre, bpm, key, lyrics

A file that cannot be understood is reported and the rest is used. A song.json that we wrote says
who gave each label, here and in the text files, with a digest: while that fits, the label keeps its
source, and what a person has changed since is a sidecar's.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep.data.audio import SUFFIXES
from acestep.data.fields import FIELDS
from acestep.data.files import shown
from acestep.data.formats import DIGESTS, digest
from acestep.data.labels import (
    INSTRUMENTAL,
    LANGUAGES,
    METAS,
    has_words,
    normalize_key,
    normalize_meter,
    read_bpm,
)
from acestep.data.lyrics import normalize_sections
from acestep.data.song import SOURCES, Song
from acestep.data.tables import Labels, absolute, plain, read_tables
from acestep.data.tags import read_tags
from acestep.data.text import read_text
from acestep.errors import AudioError, LabelError
from acestep.events import Notice

_JSON_FIELDS = ("caption", "lyrics", "genre", "title", "language", "instrumental", *METAS)
_TIME_STAMPS = re.compile(r"^[ \t]*(?:\[\d+:\d+(?:[.:]\d+)?\][ \t]*)+|^\[[a-z]+:[^\]]*\]\n?", re.M)


@dataclass
class Sidecars:
    """What lies beside a set of songs.

    ``roots`` are the folders whose CSV tables count; ``songs`` are all audio files, since a table
    may name a song by less than its path. ``ignore`` is the dataset file, which is no sidecar.
    """

    roots: list[Path]
    songs: list[Path]
    ignore: Path | None = None
    _folders: dict[Path, dict[str, list[str]]] = field(default_factory=dict)
    _rows: dict[Path, Labels] = field(default_factory=dict)

    def read_tables(self) -> list[Notice]:
        """Read the CSV tables of the roots; what in them could not be used."""
        notices = []
        for root in self.roots:
            rows, problems = read_tables(root, self.songs)
            notices += problems
            for song, labels in rows.items():
                self._rows[song] = self._rows.get(song, {}) | labels
        return notices

    def labels(self, audio: Path) -> tuple[Labels, list[Notice]]:
        """All labels of one song that lie beside it or in it, and what could not be understood."""
        notices: list[Notice] = []
        found: Labels = {}
        for reader in (self._from_tags, self._from_table, self._from_text):
            found |= reader(audio, notices)
        record = self._record(audio, notices)
        labels, problems = json_labels(record)
        notices += [Notice(f"{audio.stem}.json: {text}", about=audio.name) for text in problems]
        found |= labels
        sidecar = [name for name, (_, source) in found.items() if source == "sidecar"]
        found |= {name: (found[name][0], signed(record, name, found[name][0])) for name in sidecar}
        return found, notices + list(doubts(audio.name, found))

    def _from_tags(self, audio: Path, notices: list[Notice]) -> Labels:
        if not os.path.isfile(audio):
            return {}
        try:
            tags = read_tags(audio)
        except AudioError as error:
            notices.append(Notice(str(error), about=audio.name))
            return {}
        found: dict[str, Any] = {name: tags[name] for name in ("title", "genre") if name in tags}
        try:
            found["bpm"] = read_bpm(tags.get("bpm"))
        except ValueError as error:
            notices.append(Notice(f"its tag bpm {tags['bpm']!r} {error}", about=audio.name))
        found["keyscale"] = normalize_key(tags.get("key"))
        lyrics = _TIME_STAMPS.sub("", tags.get("lyrics", "")).strip()
        if has_words(lyrics):
            found |= {"lyrics": lyrics, "instrumental": False}
        return {name: (value, "tag") for name, value in found.items() if value not in (None, "")}

    def _from_table(self, audio: Path, notices: list[Notice]) -> Labels:
        return self._rows.get(absolute(audio), {})

    def _from_text(self, audio: Path, notices: list[Notice]) -> Labels:
        found: dict[str, Any] = {}
        if caption := self._text(audio, ".caption.txt", notices).strip():
            found["caption"] = caption
        lyrics = self._text(audio, ".lyrics.txt", notices)
        if not lyrics.strip() and not self._belongs_to_another(audio):
            lyrics = self._text(audio, ".txt", notices)
        if lyrics.strip():
            found["instrumental"] = not has_words(lyrics)
            found["lyrics"] = INSTRUMENTAL if found["instrumental"] else lyrics.strip()
        return {name: (value, "sidecar") for name, value in found.items()}

    def _record(self, audio: Path, notices: list[Notice]) -> dict[str, Any]:
        """What song.json holds; nothing where it is missing or something else."""
        path = self.beside(audio, ".json")
        if path is None or (self.ignore and absolute(path) == absolute(self.ignore)):
            return {}
        try:
            record = json.loads(read_text(path))
        except LabelError as error:
            notices.append(Notice(f"{error}; {error.hint}", about=audio.name))
            return {}
        except (ValueError, RecursionError) as error:
            notices.append(Notice(f"{shown(path)} is not valid JSON: {error}", about=audio.name))
            return {}
        if not isinstance(record, dict):
            notices.append(Notice(f"{shown(path)} is not a JSON object", about=audio.name))
            return {}
        # a dataset that is named like a song
        return {} if isinstance(record.get("samples"), list) else record

    def _text(self, audio: Path, ending: str, notices: list[Notice]) -> str:
        path = self.beside(audio, ending)
        if path is None:
            return ""
        try:
            return read_text(path)
        except LabelError as error:
            notices.append(Notice(f"{error}; {error.hint}", about=audio.name))
            return ""

    def beside(self, audio: Path, ending: str) -> Path | None:
        """The file of that name beside a song, in any case if there is none in the same."""
        # Asking a listing, not the disk: with its ending a long name may be longer than is allowed.
        wanted = audio.stem + ending
        names = self._listing(audio.parent).get(plain(wanted), [])
        if not names:
            return None
        return audio.parent / (wanted if wanted in names else names[0])

    def _belongs_to_another(self, audio: Path) -> bool:
        """Whether ``a.lyrics.txt`` is not the lyrics of ``a.lyrics.wav`` but those of ``a.wav``."""
        stem, ending = os.path.splitext(audio.stem)
        if ending.lower() not in (".lyrics", ".caption"):
            return False
        listing = self._listing(audio.parent)
        return any(plain(stem + suffix) in listing for suffix in SUFFIXES)

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """A folder's files by their plain names; nothing where it is missing or closed."""
        if folder not in self._folders:
            self._folders[folder] = {}
            with suppress(OSError):
                for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                    if entry.is_file():
                        self._folders[folder].setdefault(plain(entry.name), []).append(entry.name)
        return self._folders[folder]


def fill(song: Song, found: Labels) -> list[str]:
    """Give a song the labels that were found; the names of those that changed.

    Missing labels are filled in, and others where the new source is trusted as much
    (:meth:`Song.trusts`). Who said the same first remains the source: a sidecar that was written
    from labels adds nothing to them, nor do lyrics that differ in the spelling of their marks.
    """
    changed = []
    for name, (value, source) in found.items():
        if not song.trusts(name, source):
            continue
        if not _says(song, name, value) or not song.source(name):
            song.give(name, value, source)
            changed.append(name)
    return changed


def _says(song: Song, name: str, value: Any) -> bool:
    """Whether a song's label is this value already."""
    known = vars(song)[name]
    return known == value or (name == "lyrics" and known == normalize_sections(value))


def doubts(song: str, found: Labels) -> Iterator[Notice]:
    """Say which of the labels the model may not understand."""
    language = found.get("language", ("unknown", ""))[0]
    if language not in LANGUAGES:
        yield Notice(
            f"language {language!r} is not a code the model knows (en, ko, yue …)", about=song
        )
    for name, normalize in (("keyscale", normalize_key), ("timesignature", normalize_meter)):
        value = found.get(name, (None, ""))[0]
        if value is not None and normalize(value) is None:
            yield Notice(
                f"{name} {value!r} is not understood and is kept as it is written; "
                "the model knows keys like “F# minor” and time signatures 2, 3, 4, 6",
                about=song,
            )


def signed(record: dict[str, Any], label: str, value: Any) -> str:
    """Who gave a label that a sidecar holds, by the song.json beside it; "sidecar" if unsigned."""
    digests, sources = record.get(DIGESTS), record.get("sources")
    if not isinstance(digests, dict) or not isinstance(sources, dict):
        return "sidecar"
    source = sources.get(label)
    fits = digests.get(label) == digest(value)
    return source if fits and source in SOURCES and source != "person" else "sidecar"


def json_labels(record: dict[str, Any]) -> tuple[Labels, list[str]]:
    """The labels of a song.json, and what is wrong with the others."""
    found: dict[str, Any] = {}
    problems = []
    for item in FIELDS:
        key = next((key for key in (item.guide, item.original) if key in record), None)
        if item.name not in _JSON_FIELDS or key is None or record[key] in (None, ""):
            continue
        try:
            found[item.name] = item.read(record[key])
        except ValueError as error:
            problems.append(f"{key}: {json.dumps(record[key])[:60]} {error}")
    if "lyrics" in found and not has_words(found["lyrics"]):
        found |= {"lyrics": INSTRUMENTAL, "instrumental": found.get("instrumental", True)}
    elif "lyrics" in found or found.get("language", "unknown") != "unknown":
        found.setdefault("instrumental", False)
    if str(record.get("language")).strip().lower() == "instrumental":
        found["instrumental"] = True
    labels = {name: (value, "sidecar") for name, value in found.items()}
    return {name: label for name, label in labels.items() if label[0] not in (None, "")}, problems
