"""Make more of few songs: variants by repaint, and by pitch, tempo and gain.

A variant is a new file and a new song of the dataset that says which song it comes from and what
was changed. The songs themselves are never touched. What a variant becomes is decided by the song's
audio, its labels and the knobs alone, and a digest of these is part of its file name: so a second
run finds all there, and one that was stopped goes on where it was.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acestep.config import AugmentConfig
from acestep.data.audio import RATE, SILENCE, inspect_audio, read_audio, write_audio
from acestep.data.files import file_digest, shown
from acestep.data.segments import segment_lyrics
from acestep.data.song import (
    Dataset,
    Song,
    load_dataset,
    make_ids_unique,
    save_dataset,
    written_path,
)
from acestep.data.stretch import load_stretch, stretched
from acestep.data.variants import (
    VARIANT,
    Variant,
    is_same_variant,
    labels_digest,
    read_variant,
    songs_of_origin,
    transposed,
    was_edited,
)
from acestep.errors import AudioError, DatasetError, ModelError
from acestep.events import Event, Finished, Notice, Progress, Saved, Skipped, Started
from acestep.model.base import BaseModel, find_model
from acestep.model.device import choose_device, choose_dtype
from acestep.model.parts import Parts
from acestep.model.repaint import repaint, section_window
from acestep.model.scene import TaskWindow
from acestep.model.tasks import within_full_scale

CHANGES = (
    "slight variation in style",
    "a little warmer",
    "a little brighter",
    "a little calmer",
    "a little more energetic",
)
Key = tuple[str, str, int]  # of a variant: its song's id, how it is made, and its number
FORMAT = 1  # part of every digest: a way of making variants that gives others has another number


@dataclass(frozen=True)
class Plan:
    """One variant to make: the song, what is changed, and the name that follows from both."""

    song: Song
    path: Path
    how: str
    number: int
    change: "Repaint | Signal"
    made_from: str

    @property
    def key(self) -> Key:
        """What tells it from the other variants, however it is made."""
        return self.song.id, self.how, self.number

    @property
    def file_name(self) -> str:
        """The song's name, so that people find it, and enough of the digest to tell all apart."""
        stem = Path(self.song.filename).stem[:60]
        return f"{stem}_{self.how}{self.number}_{self.made_from[:10]}.flac"


@dataclass(frozen=True)
class Repaint:
    """A window in the middle of a song, as shares of the room before it, and other words."""

    place: float
    section: float
    words: str
    seed: int


@dataclass(frozen=True)
class Signal:
    """``speed`` is the new tempo over the old; ``gain`` in dB."""

    cents: float
    speed: float
    gain: float


def augment(config: AugmentConfig) -> Iterator[Event]:
    """Make the variants that are missing and add them to the dataset file.

    A song that cannot be used is reported as ``Skipped``. However the run ends, the variants that
    were made are in the dataset. Raises ``DatasetError`` for the dataset file or if no song can be
    used, ``ModelError`` for the base model, ``ConfigError`` for a package that is missing.
    """
    dataset = load_dataset(config.dataset)
    if config.signal and (config.pitch or config.tempo):
        load_stretch()
    model = find_model(config.model) if config.variants else None
    songs = [song for song in dataset.songs if read_variant(song) is None]
    facts: dict[str, Any] = {"songs": len(songs), "variants": config.variants + config.signal}
    if model is not None:
        facts["model"] = model.name
    yield Started("augment", facts)
    if model is not None and config.model is None:
        yield Notice(
            f"{model.name} makes the sections, the small model that ships: name yours with --model"
        )
    plans: list[Plan] = []
    skipped = 0
    for song in songs:
        try:
            plans += _plans(config, dataset, song, model)
        except AudioError as error:
            skipped += 1
            yield Skipped(song.audio_path, str(error), error.hint)
    if not plans:
        raise DatasetError(
            f"no song of {shown(config.dataset)} can be varied",
            hint="see the reasons above; acestep label or acestep edit adds captions",
        )
    there = _variants(dataset)
    left = [plan for plan in plans if not _is_there(dataset, there, plan)]
    made: list[Song] = []
    try:
        for event in _make_all(config, dataset, model, left, there, made):
            skipped += isinstance(event, Skipped)
            yield event
    finally:
        if made:
            _add(config.dataset, made)
    if made:
        yield Saved("dataset", str(config.dataset))
    facts = {"made": len(made), "there_before": len(plans) - len(left), "skipped": skipped}
    yield Finished("augment", str(config.dataset), facts)


def _plans(
    config: AugmentConfig, dataset: Dataset, song: Song, model: BaseModel | None
) -> list[Plan]:
    """What is to be there of one song. Raises ``AudioError`` for a song that cannot be used."""
    if not song.labelled:
        raise AudioError(
            "it has no caption", hint=f"acestep edit {config.dataset} {song.id} --caption …"
        )
    path = dataset.resolve(song)
    try:
        digest = file_digest(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(
            f"{shown(path)} cannot be read: {reason}",
            hint="is the drive there? acestep scan finds moved songs",
        ) from error
    changes: list[tuple[str, int, Repaint | Signal]] = []
    for number in range(1, config.variants + 1):
        draw = random.Random(f"{config.seed} {digest} repaint {number}")
        words = config.change or CHANGES
        place, seed = draw.uniform(0.25, 0.75), draw.getrandbits(62)
        chosen = words[(number - 1) % len(words)].strip(" ,")
        changes.append(("repaint", number, Repaint(place, config.section, chosen, seed)))
    for number in range(1, config.signal + 1):
        draw = random.Random(f"{config.seed} {digest} signal {number}")
        changes.append(("signal", number, _draw_signal(config, draw)))
    plans = []
    for how, number, change in changes:
        decided: list[Any] = [FORMAT, digest, labels_digest(song), vars(change)]
        if isinstance(change, Repaint) and model is not None:
            decided += [model.fingerprint, config.max_seconds]
        made_from = sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]
        plans.append(Plan(song, path, how, number, change, made_from))
    return plans


def _draw_signal(config: AugmentConfig, draw: random.Random) -> Signal:
    """Pitch and tempo by a third of the largest change at least, so that it is one; either way."""

    def around(largest: float) -> float:
        return draw.choice((-1, 1)) * draw.uniform(largest / 3, largest)

    cents = round(around(config.pitch), 1)
    speed = round(1 + around(config.tempo) / 100, 4)
    return Signal(cents, speed, round(draw.uniform(-config.gain, config.gain), 1))


def _variants(dataset: Dataset) -> dict[Key, Song]:
    """The variants of the dataset, however each was made; of two with one key the first."""
    origins = songs_of_origin(dataset.songs)
    found: dict[Key, Song] = {}
    for song in dataset.songs:
        variant, origin = read_variant(song), origins.get(song.id)
        if variant is not None and origin is not None:
            found.setdefault((origin, variant.how, variant.number), song)
    return found


def _is_there(dataset: Dataset, there: dict[Key, Song], plan: Plan) -> bool:
    """Whether the dataset has this variant, with its file, as it would be made now."""
    found = there.get(plan.key)
    if found is None or not os.path.exists(dataset.resolve(found)):
        return False
    variant = read_variant(found)
    return variant is not None and variant.made_from == plan.made_from


def _make_all(
    config: AugmentConfig,
    dataset: Dataset,
    model: BaseModel | None,
    plans: list[Plan],
    there: dict[Key, Song],
    made: list[Song],
) -> Iterator[Event]:
    """Make the variants one after the other; each that is done is added to ``made``."""
    folder = config.output or dataset.folder / "variants"
    parts = None
    if model is not None:
        device = choose_device(config.device)
        dtype = choose_dtype(device, config.precision)
        parts = Parts(model, device, dtype, offload=config.offload)
    for done, plan in enumerate(plans):
        yield Progress("augment", done, len(plans), f"{plan.song.filename}: {plan.how}")
        before = there.get(plan.key)
        if before is not None and was_edited(before):
            yield Notice(
                "its song or the knobs have changed since it was made; its labels were edited by "
                "hand, so it stays as it is (remove it from the dataset to have it made anew)",
                about=before.filename,
            )
            continue
        file = folder / plan.file_name
        try:
            song = _make(config, dataset, parts, plan, file)
        except AudioError as error:
            yield Skipped(f"{plan.song.filename}: {plan.how}", str(error), error.hint)
            continue
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"out of memory on the device: {str(error).splitlines()[0]}",
                hint="lower --max-seconds, or use --offload; what is done is kept",
            ) from error
        made.append(song)
        yield Saved("audio", str(file))
        yield Notice(song.extra[VARIANT]["changed"], "info", about=file.name)
    if plans:
        yield Progress("augment", len(plans), len(plans))


def _make(
    config: AugmentConfig, dataset: Dataset, parts: Parts | None, plan: Plan, file: Path
) -> Song:
    """Write one variant, unless its file is there already, and describe it as a song."""
    audio = read_audio(plan.path)
    if float(np.abs(audio).max(initial=0.0)) < SILENCE:
        raise AudioError(f"{shown(plan.path)} is silent")
    if isinstance(plan.change, Repaint):
        assert parts is not None  # without a model there are no such plans
        song, changed = _repaint(config, dataset, parts, plan, audio, file)
        speed = 1.0
    else:
        song, changed = _move_signal(plan, audio, file)
        speed = plan.change.speed
    facts = inspect_audio(file)
    variant = Variant(
        plan.song.id,
        plan.song.audio_path,
        plan.how,
        plan.number,
        speed,
        changed,
        plan.made_from,
        labels_digest(song),
    )
    kept = {name: found for name, found in song.evidence.items() if _is_same(name, song, plan.song)}
    return replace(
        song,
        audio_path=written_path(file, dataset.folder),
        id=facts.digest[:16],
        duration=facts.duration,
        sources=dict(song.sources),
        evidence=kept,
        extra={VARIANT: variant.as_dict()},
        origin=None,
    )


def _is_same(label: str, song: Song, other: Song) -> bool:
    return label in vars(song) and vars(song)[label] == vars(other)[label]


def _repaint(
    config: AugmentConfig,
    dataset: Dataset,
    parts: Parts,
    plan: Plan,
    audio: np.ndarray,
    file: Path,
) -> tuple[Song, str]:
    """Make a section of a song anew under a caption that says a little more."""
    change = plan.change
    assert isinstance(change, Repaint)
    words = (plan.song.caption.strip() or plan.song.genre.strip()).rstrip(" ,.")
    song = replace(plan.song, caption=f"{words}, {change.words}" if change.words else words)
    used = min(audio.shape[1], round(config.max_seconds * RATE))
    window = section_window(used / RATE, change.place, change.section)
    if not file.exists():
        # The base model does not know the tag, and hears the part that training will use
        plain = replace(song, tag="", prompt_override=None)
        labels = dataset.prompt_labels(plain, used / RATE)
        lyrics = segment_lyrics(labels.lyrics, 0.0, used / RATE, audio.shape[1] / RATE)
        made = repaint(
            parts, audio[:, :used], replace(labels, lyrics=lyrics), TaskWindow(*window), change.seed
        )
        write_audio(file, np.concatenate([made, audio[:, used:]], axis=1), RATE)
    changed = f"{window[0]:.2f} to {window[1]:.2f} s made anew as: {song.caption}"
    return song, changed


def _move_signal(plan: Plan, audio: np.ndarray, file: Path) -> tuple[Song, str]:
    """Move pitch, tempo and level; tempo and key follow in the labels where they change.

    A gain that would take the song beyond full scale turns it down instead.
    """
    change = plan.change
    assert isinstance(change, Signal)
    peak = float(np.abs(audio).max())
    gain = -change.gain if peak * 10 ** (change.gain / 20) > max(1.0, peak) else change.gain
    if not file.exists():
        moved = stretched(audio, change.cents, change.speed) * np.float32(10 ** (gain / 20))
        write_audio(file, within_full_scale(moved), RATE)
    song = replace(plan.song, keyscale=transposed(plan.song.keyscale, change.cents))
    said = []
    if change.cents:
        said.append(f"{change.cents:+g} cents")
    if song.keyscale != plan.song.keyscale:
        said.append(f"{plan.song.keyscale} is {song.keyscale}")
    if change.speed != 1:
        said.append(f"{100 * (change.speed - 1):+.2f} % tempo")
    if song.bpm is not None:
        song.bpm = max(1, round(song.bpm * change.speed))
    if song.bpm != plan.song.bpm:
        said.append(f"{plan.song.bpm} BPM are {song.bpm}")
    if gain:
        said.append(f"{gain:+g} dB")
    return song, ", ".join(said) or "nothing"


def _add(path: Path, made: list[Song]) -> None:
    """Put variants into the dataset file as it is now: it may have been edited in the meantime.

    One that was made before in another way gives its place to the new one, and its file goes.
    """
    dataset = load_dataset(path)
    for song in made:
        place = next((i for i, old in enumerate(dataset.songs) if is_same_variant(old, song)), None)
        if place is None:
            dataset.songs.append(song)
            continue
        old = dataset.songs[place]
        dataset.songs[place] = song
        file, variant = dataset.resolve(old), read_variant(old)
        if old.audio_path != song.audio_path and variant and variant.made_from[:10] in file.name:
            file.unlink(missing_ok=True)
    # Of two songs with the same audio the one that was there first keeps its id
    make_ids_unique(sorted(dataset.songs, key=lambda song: any(song is new for new in made)))
    save_dataset(dataset, path)
