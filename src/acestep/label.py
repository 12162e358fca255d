"""Fill in what is missing, and show what the encoder sees."""

import os
from collections.abc import Iterator
from pathlib import Path

from acestep.config import LabelConfig, PreprocessConfig
from acestep.data.audio import inspect_audio
from acestep.data.files import shown
from acestep.data.labels import (
    LANGUAGES,
    has_words,
    tag_advice,
)
from acestep.data.sidecars import METAS, Sidecars, fill
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.errors import AudioError
from acestep.events import Event, Finished, Notice, Progress, Saved, Skipped, Started, Text


def label(config: LabelConfig) -> Iterator[Event]:
    """Fill in missing labels from sidecar files and embedded tags; with ``show``, print a prompt.

    A person's labels stay, unless ``overwrite``. Says for each song that still has no caption what
    to do. Raises ``DatasetError`` for the dataset file.
    """
    dataset = load_dataset(config.dataset)
    if config.show is not None:
        yield from _show(config, dataset, dataset.find(config.show))
        return
    yield Started("label", {"songs": len(dataset.songs)})
    files = [dataset.resolve(song) for song in dataset.songs]
    folders = {_common_folder(files), Path(os.path.abspath(dataset.folder))}
    sidecars = Sidecars(sorted(folders), files, ignore=config.dataset)
    yield from sidecars.read_tables()
    changed = 0
    for done, (song, file) in enumerate(zip(dataset.songs, files, strict=True)):
        yield Progress("label", done, len(files), song.filename)
        if config.only_unlabelled and song.caption.strip():
            continue
        before = (song.duration, song.id)
        found, notices = sidecars.labels(file)
        yield from notices
        if config.skip_metas:
            found = {name: label for name, label in found.items() if name not in METAS}
        filled = fill(song, found, config.overwritten())
        yield from _measure(song, file)
        changed += bool(filled) or (song.duration, song.id) != before
    yield Progress("label", len(files), len(files))
    for number, song in enumerate(dataset.songs, 1):
        yield from _missing(config.dataset, number, song)
    yield from _tag_notices(dataset)
    if changed:
        save_dataset(dataset, config.dataset)
        yield Saved("dataset", str(config.dataset))
    unlabelled = sum(not song.caption.strip() for song in dataset.songs)
    facts = {"songs": len(dataset.songs), "changed": changed, "without_caption": unlabelled}
    yield Finished("label", str(config.dataset), facts)


def _show(config: LabelConfig, dataset: Dataset, song: Song) -> Iterator[Event]:
    """The two texts that the encoder is given for a song, whole, and what was cut."""
    from acestep.model.base import find_model, load_tokenizer
    from acestep.model.prompt import MAX_CAPTION_TOKENS, MAX_LYRICS_TOKENS, build_prompt

    file = dataset.resolve(song)
    yield from _measure(song, file)
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
    """Find out the duration of a song that was not scanned."""
    if not os.path.exists(file):
        yield Notice(
            f"its file {shown(file)} is missing; preprocess will leave the song out",
            about=song.filename,
        )
    elif song.duration == 0:
        try:
            facts = inspect_audio(file)
        except AudioError as error:
            yield Skipped(song.filename, str(error), error.hint)
            return
        song.duration = facts.duration
        if song.id.startswith("path"):
            song.id = facts.digest[:16]


def _missing(dataset: Path, number: int, song: Song) -> Iterator[Notice]:
    """What a song still lacks, and what to do about it."""
    if not song.caption.strip():
        yield Notice(
            f'it has no caption: acestep edit {dataset} {number} --caption "…", or write '
            f"{Path(song.filename).stem}.caption.txt beside it",
            about=song.filename,
        )
    unknown = song.language not in LANGUAGES or song.language == "unknown"
    if has_words(song.lyrics) and not song.instrumental and unknown:
        yield Notice(
            f"its lyrics have no language: acestep edit {dataset} {number} --language en",
            "info",
            about=song.filename,
        )


def _tag_notices(dataset: Dataset) -> Iterator[Notice]:
    advice = "a good tag is short, lower case and no word of a language: myjazz, xmas24"
    for problem in tag_advice(dataset.tag):
        yield Notice(f"{problem}; {advice}")
    if not dataset.tag:
        way = f"acestep edit {dataset.path} --tag …"
        yield Notice(f"the dataset has no activation tag ({way}); {advice}", "info")


def _common_folder(files: list[Path]) -> Path:
    """The folder that holds all songs, and perhaps CSV tables."""
    folders = [os.path.dirname(os.path.abspath(file)) for file in files] or [os.getcwd()]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # two drives
        return Path(folders[0])
