"""Tags embedded in audio files: the only module that touches mutagen."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mutagen
import soundfile

from acestep.data.files import shown
from acestep.errors import AudioError

# Our name → keys in ID3, in Vorbis comments, APE and Matroska (any case), and in MP4.
_KEYS: dict[str, tuple[str, ...]] = {
    "title": ("tit2", "title", "\xa9nam"),
    "artist": ("tpe1", "artist", "\xa9art"),
    "genre": ("tcon", "genre", "\xa9gen"),
    "bpm": ("tbpm", "bpm", "tempo", "tmpo", "----:com.apple.itunes:bpm"),
    "key": ("tkey", "initialkey", "initial key", "key", "----:com.apple.itunes:initialkey"),
    "lyrics": ("uslt", "lyrics", "unsyncedlyrics", "unsynced lyrics", "\xa9lyr"),
}
# mutagen's own errors, and what its parsers let through on damaged data.
_ERRORS = (mutagen.MutagenError, OSError, EOFError, ValueError, LookupError, struct.error)
_MAX_LENGTH = 50_000


def read_tags(path: Path | str) -> dict[str, str]:
    """The tags that are there, of ``title, artist, genre, bpm, key, lyrics``, as text.

    Several artists or genres are joined by commas; a missing tag is a missing key, and a file that
    has none gives an empty dictionary. Raises ``AudioError`` if the tags are damaged.
    """
    path = Path(path)
    try:
        audio = _open(path)
        found = {} if audio is None or not audio.tags else _collect(audio.tags)
        if not found and type(audio).__name__ == "WAVE":
            found = _riff_info(path)
    except _ERRORS as error:
        raise AudioError(
            f"{shown(path)}: its tags cannot be read: {error}",
            hint="save the tags again in a tag editor, or write the labels into sidecar files",
        ) from error
    texts = ((name, _text(values)) for name, values in found.items())
    return {name: text for name, text in texts if text}


def _open(path: Path) -> Any:
    """Without a name mutagen goes by the content; with one it believes the suffix."""
    with path.open("rb") as named, open(os.dup(named.fileno()), "rb") as nameless:
        try:
            return mutagen.File(nameless)
        except mutagen.MutagenError:  # FLAC behind an ID3 tag looks like MP3
            named.seek(0)
            return mutagen.File(named)


def _collect(tags: Any) -> dict[str, Any]:
    """The values of the tags we know, whatever the container calls them."""
    # ID3 frames that may repeat have the key "USLT:description:language".
    by_key: dict[str, Any] = {}
    for key in tags.keys():  # noqa: SIM118 (mutagen's lists of comments iterate over pairs)
        lower = key.lower()
        by_key.setdefault(lower.split(":")[0] if lower.startswith("uslt") else lower, tags[key])
    found: dict[str, Any] = {}
    for name, keys in _KEYS.items():
        key = next((key for key in keys if key in by_key), None)
        if key is not None:
            found[name] = by_key[key]
    return found


def _riff_info(path: Path) -> dict[str, Any]:
    """WAV files may carry a list of their own instead of ID3."""
    try:
        with path.open("rb") as file, soundfile.SoundFile(file) as sound:
            info = sound.copy_metadata()
    except soundfile.SoundFileError:
        return {}
    return {name: info[name] for name in ("title", "artist", "genre") if name in info}


def _text(value: Any) -> str:
    """A tag's value as text, whatever mutagen's type for it."""
    match value:
        case bytes():  # MP4's free-form values
            text = bytes(value).decode("utf-8", "replace")
        case str() | int() | float():
            text = str(value)
        case _ if type(value).__name__ == "TCON":  # ID3's genres, which may be numbers
            text = ", ".join(value.genres)
        case _ if type(value).__name__ == "USLT":
            text = value.text
        case Iterable():
            text = ", ".join(filter(None, map(_text, value)))
        case _ if type(value).__module__.startswith("mutagen.id3"):
            text = ", ".join(value.text)
        case _:
            text = str(value)
    return text.replace("\0", " ").replace("\r\n", "\n").strip()[:_MAX_LENGTH]
