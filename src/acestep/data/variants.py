"""Songs that were made from other songs of the dataset: what they were made from, and how.

A variant is a song like any other, with one more key in the dataset file::

    "variant": {"of": "3f9a…", "of_path": "night.wav", "how": "repaint", "number": 1, "speed": 1.0,
                "changed": "1.2 to 2.4 s made anew as …", "made_from": "…", "labels": "…"}

``made_from`` is a digest of all that decided what it became, ``labels`` one of the labels it was
given. What lies between a variant and its song matters in training: a variant of a held-out song
would tell what is held out.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from acestep.data.labels import TONICS, normalize_key
from acestep.data.song import Song

VARIANT = "variant"
_LABELS = (
    "caption", "genre", "lyrics", "bpm", "keyscale", "timesignature", "language", "instrumental",
)  # fmt: skip
_SIGNS = {"": 0, "#": 1, "b": -1}


@dataclass(frozen=True)
class Variant:
    """How a song was made from another; ``speed`` is its tempo over that of its song."""

    of: str
    of_path: str = ""
    how: str = ""
    number: int = 0
    speed: float = 1.0
    changed: str = ""
    made_from: str = ""
    labels: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What a dataset file keeps of it."""
        return asdict(self)


def read_variant(song: Song) -> Variant | None:
    """What a song was made from; None for a song that stands for itself.

    Values that a person spoilt in the file count as missing, as long as ``of`` is there.
    """
    raw = song.extra.get(VARIANT)
    if not isinstance(raw, dict) or not isinstance(raw.get("of"), str):
        return None
    plain = Variant(raw["of"])
    kept = {
        name: raw[name]
        for name, default in plain.as_dict().items()
        if name in raw and isinstance(raw[name], type(default)) and type(raw[name]) is not bool
    }
    speed = raw.get("speed")
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.1 <= speed <= 10:
        speed = 1.0
    return Variant(**{**kept, "speed": float(speed)})


def songs_of_origin(songs: Iterable[Song]) -> dict[str, str]:
    """For the id of each variant the id of the song it comes from.

    The song is known by its id, else by its path. Of one that is no longer there the id it had is
    kept, so that its variants still belong together.
    """
    songs = list(songs)
    by_id = {song.id: song for song in songs}
    by_path = {song.audio_path: song.id for song in songs if read_variant(song) is None}
    roots = {song.id: _root(song.id, by_id, by_path) for song in songs}
    return {song: root for song, root in roots.items() if root != song}


def variant_marks(songs: Iterable[Song]) -> dict[str, dict[str, Any]]:
    """What a tensor folder's manifest says of each variant, by its id.

    That is ``{"variant": {"of": …, "speed": …}}``. It stands there and not in the samples: what a
    song was made from is no reason to encode anything again.
    """
    songs = list(songs)
    read = {song.id: read_variant(song) for song in songs}
    return {
        song: {"variant": {"of": origin, "speed": variant.speed}}
        for song, origin in songs_of_origin(songs).items()
        if (variant := read[song]) is not None
    }


def labels_digest(song: Song) -> str:
    """Sixteen digits that change with any label of a song."""
    values = [vars(song)[name] for name in _LABELS]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def was_edited(song: Song) -> bool:
    """Whether the labels of a variant are no longer those it was given."""
    variant = read_variant(song)
    return variant is not None and variant.labels not in ("", labels_digest(song))


def is_same_variant(old: Song, new: Song) -> bool:
    """Whether two songs are the same variant of the same song, however each was made."""
    before, after = read_variant(old), read_variant(new)
    if before is None or after is None:
        return False
    same_song = before.of == after.of or before.of_path == after.of_path
    return same_song and (before.how, before.number) == (after.how, after.number)


def transposed(key: str | None, cents: float) -> str | None:
    """A key, moved by the nearest number of semitones; one that is not understood stays."""
    steps = round(cents / 100)
    known = normalize_key(key)
    if known is None or steps == 0:
        return key
    note, _, scale = known.partition(" ")
    place = TONICS.index(note[0]) + _SIGNS[note[1:]] + steps
    return f"{TONICS[place % 12]} {scale}"


def _root(song: str, by_id: dict[str, Song], by_path: dict[str, str]) -> str:
    """The song at the beginning; of variants that name each other, by hand, the first by name."""
    chain = [song]
    while chain[-1] in by_id and (variant := read_variant(by_id[chain[-1]])) is not None:
        of = variant.of if variant.of in by_id else by_path.get(variant.of_path, variant.of)
        if of in chain:
            return min(chain[chain.index(of) :])
        chain.append(of)
    return chain[-1]
