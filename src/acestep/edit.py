"""Change labels by hand."""

from collections.abc import Iterator
from typing import Any

from acestep.config import EditConfig
from acestep.data.files import shown
from acestep.data.labels import (
    INSTRUMENTAL,
    has_words,
    read_key,
    read_language,
    read_meter,
    tag_advice,
)
from acestep.data.sidecars import doubts
from acestep.data.song import Song, load_dataset, save_dataset
from acestep.data.text import read_text
from acestep.errors import ConfigError, LabelError
from acestep.events import Event, Finished, Notice, Saved, Started

_SETTINGS = ("name", "tag", "tag_position")
_LABELS = ("caption", "genre", "lyrics", "bpm", "keyscale", "timesignature", "language")


def edit(config: EditConfig) -> Iterator[Event]:
    """Change one song's labels or the dataset's settings, only those that are given.

    Labels that are given become a person's. Raises ``ConfigError`` if nothing is to be changed or
    two options contradict each other, ``DatasetError`` for the file or a song that is not there.
    """
    dataset = load_dataset(config.dataset)
    given = _given(config)
    settings = [name for name in _SETTINGS if vars(config)[name] is not None]
    saving = [name for name in ("save_as", "format") if vars(config)[name] is not None]
    if not given and not settings and not saving:
        raise ConfigError(
            ["nothing to change"],
            hint="give labels (--caption, --bpm, --lyrics-file …) or settings (--tag …)",
        )
    if given and not config.song:
        raise ConfigError(
            [f"--{name.replace('_', '-')}: it is not said of which song" for name in given],
            hint=f"name it: acestep edit {config.dataset} 1 --{next(iter(given))} …",
        )
    yield Started("edit", {"song": config.song, "changes": [*given, *settings, *saving]})
    if config.song:
        yield from _edit_song(dataset.find(config.song), given)
    for name in settings:
        value = vars(config)[name]
        setattr(dataset, name, value.strip() if name == "tag" else value)
    if "tag" in settings:
        yield from (Notice(advice) for advice in tag_advice(dataset.tag))
    path = config.save_as or config.dataset
    layout = config.format or dataset.layout
    if layout == "list" and (dataset.tag_position != "prepend" or dataset.genre_ratio):
        yield Notice("a bare list keeps no tag position and no genre ratio")
    save_dataset(dataset, path, layout)
    yield Saved("dataset", str(path))
    yield Finished("edit", str(path))


def _given(config: EditConfig) -> dict[str, Any]:
    """The labels to set, read from the config and the lyrics file."""
    given = {name: vars(config)[name] for name in (*_LABELS, "instrumental")}
    if config.lyrics_file is not None:
        try:
            given["lyrics"] = read_text(config.lyrics_file).strip()
        except LabelError as error:
            raise ConfigError([f"--lyrics-file: {error}"], hint=error.hint) from error
        if not given["lyrics"]:
            raise ConfigError([f"--lyrics-file: {shown(config.lyrics_file)} is empty"])
    return {name: value for name, value in given.items() if value is not None}


def _edit_song(song: Song, given: dict[str, Any]) -> Iterator[Notice]:
    readers = {"keyscale": read_key, "timesignature": read_meter, "language": read_language}
    labels = {name: readers.get(name, lambda v: v)(value) for name, value in given.items()}
    if "lyrics" in labels:
        words = has_words(labels["lyrics"])
        labels["lyrics"] = labels["lyrics"] if words else INSTRUMENTAL
        if "instrumental" not in labels and song.instrumental == words:
            labels["instrumental"] = not words
            yield Notice(
                f"it has {'lyrics' if words else 'no lyrics'} now and no longer counts as "
                f"{'instrumental' if words else 'sung'}",
                "info",
                about=song.filename,
            )
        elif labels.get("instrumental") and words:
            yield Notice(
                "it is marked instrumental: its lyrics are kept and not used", about=song.filename
            )
    for name, value in labels.items():
        song.give(name, value, "person")
        if value in (None, ""):  # a label that was removed may be found again
            del song.sources[name]
    yield from doubts(song.filename, {name: (value, "person") for name, value in labels.items()})
