"""A dataset's songs as rows of a table and fields of a form; nothing here knows Gradio."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep.checking.labels import findings, song_names
from acestep.data.labels import INSTRUMENTAL, apply_tag, has_words
from acestep.data.song import Dataset, Song
from acestep.web.words import say

COLUMNS = ("number", "name", "duration", "lyrics", "labelled", "bpm", "key", "caption", "warnings")
FIELDS = (
    "caption", "lyrics", "bpm", "keyscale", "timesignature", "language", "instrumental",
)  # fmt: skip


def rows(dataset: Dataset, drafts: Mapping[str, Any], language: str) -> list[list[str]]:
    """One row a song; a star marks what is typed and not saved."""
    yes, no = say(language, "dataset.yes"), say(language, "dataset.no")
    warnings = _warnings(dataset)
    table = []
    for number, song in enumerate(dataset.songs, 1):
        star = " *" if song.id in drafts else ""
        minutes, seconds = divmod(round(song.duration), 60)
        table.append(
            [
                f"{number}{star}",
                song.filename,
                f"{minutes}:{seconds:02d}",
                yes if has_words(song.lyrics) else no,
                yes if song.labelled else no,
                str(song.bpm or ""),
                song.keyscale or "",
                song.caption,
                warnings.get(song.id, ""),
            ]
        )
    return table


def fields_of(song: Song, draft: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows: the song's labels, or what was typed over them."""
    saved = {
        "caption": song.caption,
        "lyrics": "" if song.lyrics == INSTRUMENTAL else song.lyrics,
        "bpm": "" if song.bpm is None else str(song.bpm),
        "keyscale": song.keyscale or "",
        "timesignature": song.timesignature or "",
        "language": song.language,
        "instrumental": song.instrumental,
    }
    return saved | {name: value for name, value in draft.items() if name in saved}


def changes(song: Song, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from what is saved."""
    saved = fields_of(song, {})
    return {
        name: value
        for name, value in typed.items()
        if name in saved and _plain(value) != _plain(saved[name])
    }


def tag_example(tag: str, position: str, caption: str) -> str:
    """The caption as the model will read it."""
    return apply_tag(caption, tag, position or "prepend")


def audio_of(dataset: Dataset, song: Song) -> Path | None:
    """The song's file, if it is there."""
    path = dataset.resolve(song)
    return path if path.is_file() else None


def _warnings(dataset: Dataset) -> dict[str, str]:
    """What a check says of each song, by id."""
    ids = dict(zip(song_names(dataset), (song.id for song in dataset.songs), strict=True))
    found: dict[str, list[str]] = {}
    for finding in findings(dataset):
        if finding.song in ids and finding.level != "info":
            found.setdefault(ids[finding.song], []).append(finding.message)
    return {song: "; ".join(messages) for song, messages in found.items()}


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
