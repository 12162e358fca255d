"""Changing labels: of one song, or of many at once. What is changed becomes a person's words.

Functions on songs in memory; ``save_dataset`` writes them. Each says what it changed.
"""

from collections.abc import Iterable
from typing import Any, Literal

from acestep.data.expressions import Assignment
from acestep.data.labels import (
    INSTRUMENTAL,
    apply_tag,
    has_words,
    read_key,
    read_language,
    read_meter,
    strip_tag,
)
from acestep.data.sidecars import doubts
from acestep.data.song import Song
from acestep.events import Notice

_READERS = {"keyscale": read_key, "timesignature": read_meter, "language": read_language}


def set_labels(song: Song, given: dict[str, Any]) -> list[Notice]:
    """Give a song labels by their names; an empty one is removed, and may then be found again.

    Lyrics and the mark for an instrumental piece follow each other. Returns what the user should
    know: what changed beside it, and what the model may not understand.
    """
    labels = {name: _READERS.get(name, lambda v: v)(value) for name, value in given.items()}
    notices = []
    if "lyrics" in labels:
        words = has_words(labels["lyrics"])
        labels["lyrics"] = labels["lyrics"] if words else INSTRUMENTAL
        if "instrumental" not in labels and song.instrumental == words:
            labels["instrumental"] = not words
            sentence = (
                f"it has {'lyrics' if words else 'no lyrics'} now and no longer counts as "
                f"{'instrumental' if words else 'sung'}"
            )
            notices.append(Notice(sentence, "info", about=song.filename))
        elif labels.get("instrumental") and words:
            sentence = "it is marked instrumental: its lyrics are kept and not used"
            notices.append(Notice(sentence, about=song.filename))
    for name, value in labels.items():
        song.give(name, value, "person")
        if value in (None, ""):  # a label that was removed may be found again
            del song.sources[name]
    found = {name: (value, "person") for name, value in labels.items()}
    return notices + list(doubts(song.filename, found))


def assign(songs: Iterable[Song], assignments: list[Assignment]) -> tuple[list[Song], list[Notice]]:
    """Change labels by assignments, in their order; the songs that changed, and notices.

    Raises ``ConfigError`` that names the song for a result that cannot be; then none is changed.
    """
    songs = list(songs)
    # Two assignments may be of one label, so each song is calculated to its end before any changes.
    results = [(song, _result(song, assignments)) for song in songs]
    changed, notices = [], []
    for song, labels in results:
        different = {name: value for name, value in labels.items() if value != vars(song)[name]}
        if different:
            notices += set_labels(song, different)
            changed.append(song)
    return changed, notices


def put_words(
    songs: Iterable[Song], words: str, position: Literal["prepend", "append"] = "prepend"
) -> list[Song]:
    """Put words in front of every caption, or behind it, with a comma; the songs that changed.

    A caption that has them already, between commas or where they belong, keeps them once. Songs
    without a caption are left out.
    """
    labelled = [song for song in songs if song.caption.strip()]
    return _rewrite(labelled, [apply_tag(song.caption, words, position) for song in labelled])


def strip_words(songs: Iterable[Song], words: str) -> list[Song]:
    """Take words out of captions where they stand between commas, in any case; what changed."""
    songs = list(songs)
    return _rewrite(songs, [strip_tag(song.caption, words) for song in songs])


def replace_words(songs: Iterable[Song], old: str, new: str) -> list[Song]:
    """Put ``new`` for ``old`` in captions, wherever it stands, as it is written; what changed."""
    songs = list(songs)
    replaced = [song.caption.replace(old, new) if old else song.caption for song in songs]
    return _rewrite(songs, replaced)


def _result(song: Song, assignments: list[Assignment]) -> dict[str, Any]:
    """The labels that assignments give a song."""
    scratch = Song(**{name: vars(song)[name] for name in ("audio_path", *_assigned(assignments))})
    for each in assignments:
        setattr(scratch, each.label, each.of(scratch))
    return {name: vars(scratch)[name] for name in _assigned(assignments)}


def _assigned(assignments: list[Assignment]) -> list[str]:
    return list(dict.fromkeys(each.label for each in assignments))


def _rewrite(songs: list[Song], captions: list[str]) -> list[Song]:
    changed = []
    for song, caption in zip(songs, captions, strict=True):
        if caption != song.caption:
            set_labels(song, {"caption": caption})
            changed.append(song)
    return changed
