"""Fill in what is missing, and show what the encoder sees."""

import json
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acestep.checking.finding import few
from acestep.checking.labels import READ_IN, Tokens, told
from acestep.checking.tokens import token_counter
from acestep.config import LABELS, LabelConfig, PreprocessConfig
from acestep.data.audio import inspect_audio
from acestep.data.files import shown
from acestep.data.labels import METAS
from acestep.data.sidecar_files import write_sidecars
from acestep.data.sidecars import Sidecars, fill
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.errors import AudioError
from acestep.events import (
    Event,
    Finished,
    Notice,
    Progress,
    Saved,
    Skipped,
    Started,
    Stopped,
    Text,
)
from acestep.labellers.listen import Listener, read_lyrics
from acestep.training.stopping import stop_signals

SAVE_SECONDS = 20  # between saves; what a crash may cost
LONG_TEXTS = {"caption": 400, "lyrics": 2000}  # bytes; what is shorter makes few enough tokens
MEASURED = frozenset({"no-bpm", "no-keyscale", "no-timesignature"})  # nothing more to advise then


def label(config: LabelConfig) -> Iterator[Event]:
    """Fill in missing labels, song by song; with ``show``, print a prompt instead.

    Sidecars and embedded tags first, then what is heard (:mod:`acestep.labellers.listen`). A
    person's labels stay, unless ``overwrite`` names them. A song that cannot be read is skipped. A
    stopped run has saved what it found, and the next one goes on from there. Raises
    ``DatasetError`` for the dataset file, ``ModelError`` for a model that is missing.
    """
    dataset = load_dataset(config.dataset)
    if config.show is not None:
        yield from _show(config, dataset, dataset.find(config.show))
        return
    listener = Listener.open(config)
    yield Started("label", {"songs": len(dataset.songs)})
    files = [dataset.resolve(song) for song in dataset.songs]
    folders = {_common_folder(files), Path(os.path.abspath(dataset.folder))}
    sidecars = Sidecars(sorted(folders), files, ignore=config.dataset)
    yield from sidecars.read_tables()
    saver = _Saver(dataset, config.dataset)
    with stop_signals() as stop:
        for done, (song, file) in enumerate(zip(dataset.songs, files, strict=True)):
            if stop.requested:
                break
            yield Progress("label", done, len(files), song.filename)
            if config.only_unlabelled and not song.trusts("caption", "draft"):
                continue
            yield from _label_song(song, file, sidecars, listener)
            saver.note(done)
    saver.save()
    if stop.requested:
        yield Stopped("label", str(config.dataset), _command(config))
        return
    yield Progress("label", len(files), len(files))
    yield from _closing(config, dataset, saver)


def _label_song(song: Song, file: Path, sidecars: Sidecars, listener: Listener) -> Iterator[Event]:
    found, notices = sidecars.labels(file)
    yield from notices
    if listener.config.skip_metas:
        found = {name: label for name, label in found.items() if name not in METAS}
    # Labels to overwrite stand there as nobody's, until somebody has a better one
    again = listener.config.overwritten()
    nobody = (again | {"instrumental"} if "lyrics" in again else again) & song.sources.keys()
    sources = {name: song.sources.pop(name) for name in nobody}
    try:
        fill(song, found)
        try:
            yield from _measure(song, file)
            if os.path.exists(file):
                yield from listener.label(song, file)
        except AudioError as error:
            yield Skipped(song.filename, str(error), error.hint)
        yield from read_lyrics(song)
    finally:
        song.sources = sources | song.sources


def _closing(config: LabelConfig, dataset: Dataset, saver: "_Saver") -> Iterator[Event]:
    """What the songs say together, what they still lack, the sidecars, and the figures."""
    yield from _octaves(dataset)
    but = READ_IN | (MEASURED if config.analysis else frozenset())
    yield from told(dataset, but=but, tokens=_counter(config, dataset))
    drafts = [song.filename for song in dataset.songs if song.source("caption") == "draft"]
    if drafts:
        yield Notice(
            f"captions drafted from measurements: {len(drafts)} ({few(drafts)}); an adapter "
            f"learns best from your own words (acestep edit {config.dataset} 1 --caption …)"
        )
    if config.write_sidecars:
        yield from write_sidecars(dataset, overwrite=config.overwritten())
    if saver.changed:
        yield Saved("dataset", str(config.dataset))
    facts = {
        "songs": len(dataset.songs),
        "changed": saver.changed,
        "drafts": len(drafts),
        "without_caption": sum(not song.caption.strip() for song in dataset.songs),
    }
    yield Finished("label", str(config.dataset), facts)


def _counter(config: LabelConfig, dataset: Dataset) -> Tokens | None:
    """Counts tokens where a text may make too many; to load a tokenizer takes seconds."""
    long = any(
        len(vars(song)[name].encode("utf-8", "replace")) > room
        for song in dataset.songs
        for name, room in LONG_TEXTS.items()
    )
    return token_counter(dataset, config.model) if long else None

_EDITABLE = (*LABELS, "instrumental")


class _Saver:
    """Saves a dataset as songs change: at once every so often, so that a crash costs little."""

    def __init__(self, dataset: Dataset, path: Path) -> None:
        self._dataset, self._path = dataset, path
        self._before = [_state(song) for song in dataset.songs]
        self._read = _by_id(dataset)  # what the file said when it was last looked into
        self._known, self._changed, self._saved = set[int](), set[int](), time.monotonic()

    @property
    def changed(self) -> int:
        """How many songs have changed."""
        return len(self._changed)

    def note(self, number: int) -> None:
        """A song is done; save if it changed and the last time is long ago."""
        if _state(self._dataset.songs[number]) != self._before[number]:
            self._changed.add(number)
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()

    def save(self) -> None:
        """Save what has changed since; the version of before is kept once."""
        if self._changed - self._known:
            self._take_edits()
            save_dataset(self._dataset, self._path, version=not self._known)
            self._known |= self._changed
            self._saved = time.monotonic()
            self._read = _by_id(self._dataset)

    def _take_edits(self) -> None:
        """Take over what somebody changed in the file meanwhile: nobody's words are lost."""
        if not self._path.exists():
            return
        now = load_dataset(self._path)
        for name in ("name", "tag", "tag_position"):
            setattr(self._dataset, name, getattr(now, name))
        theirs = _by_id(now)
        for song in self._dataset.songs:
            before, after = self._read.get(song.id), theirs.get(song.id)
            if before is None or after is None:
                continue
            for label in _EDITABLE:
                if after[label] != before[label]:
                    setattr(song, label, after[label][0])
                    song.sources = {**song.sources, label: after[label][1]}


def _by_id(dataset: Dataset) -> dict[str, dict[str, tuple[Any, str]]]:
    """Every label of every song with its source."""
    return {
        song.id: {name: (getattr(song, name), song.source(name)) for name in _EDITABLE}
        for song in dataset.songs
    }


def _state(song: Song) -> str:
    fields = {name: value for name, value in vars(song).items() if name != "origin"}
    return json.dumps(fields, sort_keys=True, default=str)


def _command(config: LabelConfig) -> str:
    """What to type to do the same again."""
    words = ["acestep", "label", str(config.dataset)]
    for name, knob in LabelConfig.model_fields.items():
        value, flag = vars(config)[name], name.replace("_", "-")
        if name == "dataset" or value == knob.default:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{flag}", str(each)]
    return shlex.join(words)


def _octaves(dataset: Dataset) -> Iterator[Notice]:
    """Songs whose tempo is the odd one out, and would not be an octave away."""
    from acestep.labellers.octaves import octave_outliers

    for outlier in octave_outliers([song.bpm for song in dataset.songs]):
        song = dataset.songs[outlier.index]
        yield Notice(
            f"its tempo {song.bpm} is far from the others' (about {outlier.usual:.0f}); "
            f"{outlier.other:.0f} would not be: listen, or give --bpm-range",
            about=song.filename,
        )


def _show(config: LabelConfig, dataset: Dataset, song: Song) -> Iterator[Event]:
    """The two texts that the encoder is given for a song, whole, and what was cut."""
    from acestep.model.base import find_model, load_tokenizer
    from acestep.model.prompt import MAX_CAPTION_TOKENS, MAX_LYRICS_TOKENS, build_prompt

    try:
        yield from _measure(song, dataset.resolve(song))
    except AudioError as error:
        yield Skipped(song.filename, str(error), error.hint)
    longest = PreprocessConfig.model_fields["max_seconds"].default
    labels = dataset.prompt_labels(song, min(song.duration, longest))
    prompt = build_prompt(labels, load_tokenizer(find_model(config.model)))
    yield from (Notice(sentence, about=song.filename) for sentence in prompt.cut)
    if song.duration > longest:
        yield Notice(
            f"preprocess uses the first {longest:g} of {song.duration:.0f} s unless told otherwise",
            "info",
            about=song.filename,
        )
    parts = (
        ("caption", prompt.caption_text, len(prompt.caption_ids), MAX_CAPTION_TOKENS),
        ("lyrics", prompt.lyrics_text, len(prompt.lyrics_ids), MAX_LYRICS_TOKENS),
    )
    yield Text(
        f"{song.filename} ({song.id})\n"
        + "".join(
            f"\n──── {name}: {count} of {limit} tokens ────\n{text.rstrip()}\n"
            for name, text, count, limit in parts
        )
    )


def _measure(song: Song, file: Path) -> Iterator[Event]:
    """Find out the duration of a song that was not scanned. Raises ``AudioError``."""
    if not os.path.exists(file):
        yield Notice(
            f"its file {shown(file)} is missing; preprocess will leave the song out",
            about=song.filename,
        )
    elif song.duration == 0:
        facts = inspect_audio(file)
        song.duration = facts.duration
        if song.id.startswith("path"):
            song.id = facts.digest[:16]


def _common_folder(files: list[Path]) -> Path:
    """The folder that holds all songs, and perhaps CSV tables."""
    folders = [os.path.dirname(os.path.abspath(file)) for file in files] or [os.getcwd()]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # two drives
        return Path(folders[0])
