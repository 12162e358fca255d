"""Which samples of a tensor folder are out of date, and why.

A sample is known by two fingerprints: of what its audio part was made from (the file's bytes, the
part of it, the seed, the base model), and of what its text part was (labels, settings, model).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from acestep.config import PreprocessConfig
from acestep.data.audio import RATE
from acestep.data.files import file_digest
from acestep.data.readahead import ReadAhead
from acestep.data.segments import cut_song, segment_lyrics
from acestep.data.song import Dataset, PromptLabels, Song
from acestep.data.tensors import (
    FORMAT,
    fingerprint,
    known_seconds,
    load_record,
    read_fingerprints,
)
from acestep.errors import AudioError
from acestep.events import Event, Notice, Skipped
from acestep.model.base import BaseModel
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.processes import Processes

LABELS = ("caption", "lyrics", "bpm", "keyscale", "timesignature", "language")


@dataclass(frozen=True)
class Job:
    """One sample to make: a song or a segment of it."""

    song: Song
    path: Path
    file_digest: str
    song_seconds: float
    start: float
    length: float
    file: Path

    @property
    def name(self) -> str:
        """For messages: the file, and the segment's start where there is one."""
        part = f" from {self.start:g} s" if self.length < self.song_seconds else ""
        return self.path.name + part


@dataclass(frozen=True)
class Work:
    """Where and with what a run of preprocess works."""

    config: PreprocessConfig
    dataset: Dataset
    model: BaseModel
    processes: Processes
    dtype: torch.dtype

    @property
    def parts(self) -> int:
        """Over how many launches the songs are spread."""
        return self.config.place[1]

    @property
    def songs_here(self) -> list[Song]:
        """What this process encodes: the same songs whenever it is started in the same place."""
        part, parts = self.config.place
        world = self.processes.world
        return self.dataset.songs[part * world + self.processes.rank :: parts * world]


@dataclass(frozen=True)
class _Found:
    """A song's file; ``seconds`` is 0 where nothing knows its length yet."""

    song: Song
    path: Path
    digest: str
    seconds: float


def plan(work: Work, songs: list[Song], readers: ReadAhead, jobs: list[Job]) -> Iterator[Event]:
    """Add the songs' samples to the jobs, or say of a song why there are none."""
    found: list[_Found] = []
    for song in songs:
        yield from _find(work, song, found)
    facts = readers.facts([each.path for each in found if not each.seconds])
    for each in found:
        look = None if each.seconds else next(facts)
        if isinstance(look, AudioError):
            yield Skipped(each.song.audio_path, str(look), look.hint)
            continue
        yield from _cut(work, each, look.seconds if look else each.seconds, jobs)


def _find(work: Work, song: Song, found: list[_Found]) -> Iterator[Event]:
    """Look for a song's file, unless it has no words."""
    config = work.config
    if not work.dataset.prompt_labels(song).caption.strip():
        yield Skipped(
            song.audio_path,
            "it has no caption and the dataset has no tag",
            f"acestep edit {config.dataset} {song.id} --caption …",
        )
        return
    path = work.dataset.resolve(song)
    try:
        digest = _digest(path)
    except AudioError as error:
        yield Skipped(song.audio_path, str(error), error.hint)
        return
    seconds = known_seconds(config.output, song.id, digest) or 0.0
    found.append(_Found(song, path, digest, seconds))


def _cut(work: Work, found: _Found, seconds: float, jobs: list[Job]) -> Iterator[Event]:
    """Add the samples of a song that lasts so long."""
    config, song, path = work.config, found.song, found.path
    if seconds > config.max_seconds:
        yield Notice(
            f"the first {config.max_seconds:g} s of {seconds:.0f} s are used (--max-seconds)",
            about=path.name,
        )
    parts = cut_song(seconds, config.max_seconds, config.segment_seconds)
    for number, (start, length) in enumerate(parts):
        suffix = f"_{number}" if len(parts) > 1 else ""
        file = config.output / f"sample_{song.id}{suffix}.pt"
        jobs.append(Job(song, path, found.digest, seconds, start, length, file))


def stale_audio(work: Work, job: Job) -> str:
    """Why a sample's audio must be encoded (again); empty if it is up to date."""
    known = read_fingerprints(job.file)
    if known.get("audio") == audio_fingerprint(work, job):
        return ""
    if not known:
        return "it is new"
    before = load_record(job.file, mapped=True).get("metadata", {})
    if before.get("file_digest") != job.file_digest:
        return "its audio changed"
    if before.get("model") != work.model.source:
        return f"it was made with the model {before.get('model')}"
    return "the settings or the model changed"


def stale_text(work: Work, job: Job) -> str:
    """Why a sample's text must be encoded (again), where its audio is there; else empty."""
    labels = labels_of(work, job, frames_of(job.file))
    if read_fingerprints(job.file).get("text") == text_fingerprint(work, labels):
        return ""
    before = load_record(job.file, mapped=True).get("metadata", {})
    if "caption_text" not in before:
        return "its text is not encoded yet"
    now = asdict(labels)
    changed = [name for name in LABELS if before.get(name) != now[name]]
    return f"{', '.join(changed)} changed" if changed else "the settings or the model changed"


def labels_of(work: Work, job: Job, frames: int) -> PromptLabels:
    """What the prompt is made of: the duration is that of the frames that are really there."""
    labels = work.dataset.prompt_labels(job.song, seconds=frames / FRAMES_PER_SECOND)
    lyrics = segment_lyrics(labels.lyrics, job.start, job.length, job.song_seconds)
    return replace(labels, lyrics=lyrics)


def audio_fingerprint(work: Work, job: Job) -> str:
    """What a sample's audio part is made from, as a hash."""
    made_from = [job.file_digest, job.start, job.length, work.config.seed, RATE]
    if work.config.audio_precision != "float32":
        made_from.append(work.config.audio_precision)
    return fingerprint([FORMAT, work.model.fingerprint, *made_from])


def text_fingerprint(work: Work, labels: PromptLabels) -> str:
    """What a sample's text part is made from, as a hash."""
    made_from = [asdict(labels), work.config.chunk_mask, str(work.dtype)]
    return fingerprint([FORMAT, work.model.fingerprint, *made_from])


def frames_of(file: Path) -> int:
    """How many latent frames a sample has."""
    return load_record(file, mapped=True)["target_latents"].shape[0]


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise AudioError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="is the drive there? acestep scan finds moved songs",
        ) from error
