"""Change labels by hand, of one song or of many, and go back to what was there before."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acestep.config import LABELS, EditConfig
from acestep.data.audiofolder import save_audiofolder
from acestep.data.edits import assign, put_words, replace_words, set_labels, strip_words
from acestep.data.expressions import assignment, condition
from acestep.data.files import shown
from acestep.data.history import difference, go_back, versions
from acestep.data.labels import tag_advice
from acestep.data.rows import dataset_file
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.data.text import read_text
from acestep.data.writing import layout_of
from acestep.errors import ConfigError, LabelError
from acestep.events import Event, Finished, Notice, Saved, Started, Text

_SETTINGS = ("name", "tag", "tag_position")
_BULK = ("set", "prepend", "append", "strip", "replace")


def edit(config: EditConfig) -> Iterator[Event]:
    """Change labels or the dataset's settings, only those that are given; or step in its history.

    Labels are of the song that is named, or of those that ``where`` is true of; assignments and
    changes of captions are of all songs where neither is given. What is changed becomes a person's.
    Nothing is saved if anything is wrong. Raises ``ConfigError`` if nothing is to be changed, an
    expression is not understood or its result is no value, ``DatasetError`` for the file or a song
    that is not there.
    """
    if config.history:
        yield from _list_history(config)
        return
    if config.undo or config.redo:
        yield from _step(config)
        return
    dataset = load_dataset(config.dataset)
    given = _given(config)
    settings = [name for name in _SETTINGS if vars(config)[name] is not None]
    bulk = [name for name in _BULK if vars(config)[name] not in (None, [])]
    saving = [name for name in ("save_as", "format") if vars(config)[name] is not None]
    if not (given or settings or bulk or saving):
        raise ConfigError(
            ["nothing to change"],
            hint="give labels (--caption, --bpm, --lyrics-file …) or settings (--tag …)",
        )
    if given and not config.song and config.where is None:
        raise ConfigError(
            [f"--{name.replace('_', '-')}: it is not said of which song" for name in given],
            hint=f"name it: acestep edit {config.dataset} 1 --{next(iter(given))} …",
        )
    chosen = _chosen(config, dataset)
    yield Started("edit", {"song": config.song, "changes": [*given, *bulk, *settings, *saving]})
    if config.where is not None:
        yield Notice(f"{len(chosen)} of {len(dataset.songs)} songs: {config.where}", "info")
    edits = _Edits(chosen)
    edits.apply(config, given)
    yield from edits.notices
    if bulk:
        number = len(edits.changed)
        yield Notice(f"{number} song{'s'[: number != 1]} changed", "info")
    for name in settings:
        value = vars(config)[name]
        setattr(dataset, name, value.strip() if name == "tag" else value)
    if "tag" in settings:
        yield from (Notice(advice) for advice in tag_advice(dataset.tag))
    if settings or saving or edits.changed or (given and chosen):
        yield from _save(config, dataset)
    yield Finished("edit", str(config.save_as or config.dataset), {"songs": len(chosen)})


@dataclass
class _Edits:
    """What is done to the chosen songs; ``changed`` holds the ids of those that are different."""

    chosen: list[Song]
    changed: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)

    def apply(self, config: EditConfig, given: dict[str, Any]) -> None:
        """Labels first, then assignments, then words of captions, whatever order they came in."""
        assignments = [assignment(text) for text in config.set]
        for song in self.chosen if given else []:
            self.notices += set_labels(song, given)
        changed, notices = assign(self.chosen, assignments)
        self.notices += notices
        if config.replace is not None:
            changed += replace_words(self.chosen, *config.replace)
        if config.strip is not None:
            changed += strip_words(self.chosen, config.strip)
        if config.prepend is not None:
            changed += put_words(self.chosen, config.prepend)
        if config.append is not None:
            changed += put_words(self.chosen, config.append, "append")
        self.changed = {song.id for song in changed}


def _chosen(config: EditConfig, dataset: Dataset) -> list[Song]:
    """The songs that labels and bulk edits are of."""
    if config.song:
        return [dataset.find(config.song)]
    if config.where is None:
        return list(dataset.songs)
    test = condition(config.where)
    return [song for song in dataset.songs if test(song)]


def _save(config: EditConfig, dataset: Dataset) -> Iterator[Event]:
    path = config.save_as or config.dataset
    saved_as = config.format or layout_of(dataset_file(path), dataset.layout)
    rows_alone = saved_as in ("list", "csv", "jsonl", "audiofolder")
    if rows_alone and (dataset.tag_position != "prepend" or dataset.genre_ratio):
        kind = "bare list" if saved_as == "list" else "table"
        yield Notice(f"a {kind} keeps no tag position and no genre ratio")
    if config.format == "audiofolder":
        yield from save_audiofolder(dataset, path, link=config.link)
    else:
        save_dataset(dataset, path, config.format)
    yield Saved("dataset", str(path))


def _list_history(config: EditConfig) -> Iterator[Event]:
    """The versions, the newest first, with what changed from the one before each."""
    path = dataset_file(config.dataset)
    known = versions(path)
    lines = []
    earlier = [None, *known[:-1]] if known else []
    for version, before in reversed(list(zip(known, earlier, strict=True))):
        kind = "--undo" if version.steps > 0 else "--redo"
        way = f"{kind} {abs(version.steps)}" if version.steps else "now"
        changed = difference(before.path, version.path) if before else ""
        when = datetime.fromtimestamp(version.when).isoformat(" ", "seconds")
        lines.append(f"{way:<10} {when}  {changed}".rstrip())
    here = path.is_file() and not any(version.steps == 0 for version in known)
    if here and known:
        lines.insert(0, f"{'now':<31} {difference(known[-1].path, path)}".rstrip())
    yield Text("\n".join(lines) or f"{shown(config.dataset)} has no earlier versions")


def _step(config: EditConfig) -> Iterator[Event]:
    """Go back in the history, or forward again."""
    steps = config.undo or -(config.redo or 0)
    yield Started("edit", {"undo": steps} if steps > 0 else {"redo": -steps})
    version = go_back(dataset_file(config.dataset), steps)
    when = datetime.fromtimestamp(version.when).isoformat(" ", "seconds")
    yield Notice(f"it is again as it was saved on {when}", "info")
    yield Saved("dataset", str(config.dataset))
    yield Finished("edit", str(config.dataset))


def _given(config: EditConfig) -> dict[str, Any]:
    """The labels to set, read from the config and the lyrics file."""
    given = {name: vars(config)[name] for name in (*LABELS, "instrumental")}
    if config.lyrics_file is not None:
        try:
            given["lyrics"] = read_text(config.lyrics_file).strip()
        except LabelError as error:
            raise ConfigError([f"--lyrics-file: {error}"], hint=error.hint) from error
        if not given["lyrics"]:
            raise ConfigError([f"--lyrics-file: {shown(config.lyrics_file)} is empty"])
    return {name: value for name, value in given.items() if value is not None}
