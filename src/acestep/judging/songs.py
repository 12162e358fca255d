"""The songs that an adapter was taught, as judges hear them: their labels, sound and latents.

Generated clips have gone through the decoder, so they are held against songs that have too: what
the decoder makes of the songs' latents. Copies are looked for in the songs as they are, if the
files are still there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from acestep.data.audio import read_audio
from acestep.data.tensors import Sample
from acestep.errors import AudioError
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.parts import Parts
from acestep.model.vae import decode_audio

MOST_SECONDS = 640.0  # of excerpts of all songs together: more would cost time and say little
APART = 10.0  # seconds of song for one excerpt: neighbours tell the same


@dataclass(frozen=True)
class TaughtSong:
    """One song without its variants: ``samples`` are its parts in the order of time.

    ``path`` is its file, if that is still there and the same length as far as one can tell.
    """

    id: str
    name: str
    samples: tuple[Sample, ...] = field(repr=False)
    path: Path | None = None

    @property
    def labels(self) -> dict[str, Any]:
        """What its first part says about it."""
        return self.samples[0].metadata

    @property
    def seconds(self) -> float:
        """How much of it was trained on."""
        frames = sum(sample.latents.shape[0] for sample in self.samples)
        return frames / FRAMES_PER_SECOND


@dataclass(frozen=True)
class Excerpt:
    """A piece of a song, in latents ``[T, C]``; it starts at ``start`` s."""

    song: str
    start: float
    latents: Tensor = field(repr=False)

    def audio(self, parts: Parts) -> np.ndarray:
        """How the model's decoder plays it: float32 ``[2, n]`` at 48 kHz."""
        return decode_audio(parts.vae(), self.latents[None])


def taught_songs(samples: Sequence[Sample]) -> list[TaughtSong]:
    """Samples by song, in the order of their names; variants of a song are left out.

    A song that is there in variants only is represented by the first of them.
    """
    roots: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        versions = roots.setdefault(sample.origin or sample.song, {})
        versions.setdefault(sample.song, []).append(sample)
    songs = []
    for root, versions in roots.items():
        parts = sorted(versions.get(root) or next(iter(versions.values())), key=lambda s: s.start)
        labels = parts[0].metadata
        name = labels.get("filename") or Path(str(labels.get("audio_path") or root)).name
        songs.append(TaughtSong(root, str(name), tuple(parts), _file(labels)))
    return sorted(songs, key=lambda song: (song.name, song.id))


def cut_excerpts(songs: Sequence[TaughtSong], seconds: float) -> list[Excerpt]:
    """Excerpts of ``seconds``, spread evenly over each song.

    Each song gives the same number if it is long enough, one at least; a song shorter than
    ``seconds`` gives all of itself.
    """
    each = max(1, int(MOST_SECONDS / seconds / max(1, len(songs))))
    return [
        Excerpt(song.id, sample.start + first / FRAMES_PER_SECOND, sample.latents[first:last])
        for song in songs
        for sample, first, last in _places(song, seconds, each)
    ]


def song_audio(parts: Parts, song: TaughtSong) -> np.ndarray:
    """The whole song ``[2, n]`` at 48 kHz: its file, or what its latents decode to."""
    if song.path is not None:
        try:
            return read_audio(song.path)
        except AudioError:
            pass
    decoded = [decode_audio(parts.vae(), sample.latents[None]) for sample in song.samples]
    return np.concatenate(decoded, axis=1)


def common_length(songs: Sequence[TaughtSong], shortest: float, longest: float) -> float:
    """The songs' median length in whole seconds, within the two limits."""
    middle = float(np.median([song.seconds for song in songs]))
    return float(np.clip(np.floor(middle), shortest, longest))


def _file(labels: dict[str, Any]) -> Path | None:
    path = labels.get("audio_path")
    if not isinstance(path, str) or not path:
        return None
    return Path(path) if Path(path).is_file() else None


def _places(song: TaughtSong, seconds: float, count: int) -> list[tuple[Sample, int, int]]:
    """(sample, first frame, frame after the last) of the excerpts of one song."""
    wanted = round(seconds * FRAMES_PER_SECOND)
    room = [max(0, sample.latents.shape[0] - wanted) for sample in song.samples]
    apart = round(APART * FRAMES_PER_SECOND)
    starts = [
        (sample, start)
        for sample, last in zip(song.samples, room, strict=True)
        for start in range(0, last + 1, max(apart, wanted))
    ]
    if len(song.samples) == 1:  # the middle of what is left over, not its beginning
        spare = room[0] - starts[-1][1]
        starts = [(sample, start + spare // 2) for sample, start in starts]
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(count, len(starts))).round().astype(int))
    return [(sample, start, start + wanted) for sample, start in (starts[at] for at in chosen)]
