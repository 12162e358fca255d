"""A dataset against the guide's table as traffic lights: below the minimum, below what is
recommended, or as recommended; grey where it is not known."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acestep.checking.labels import FEW_MINUTES, FEW_SONGS, GOOD_MINUTES, GOOD_SONGS, LONG, SHORT
from acestep.checking.labels import TOO_SHORT as BRIEF
from acestep.checking.signal import GOOD_RATE, LEAST_BITS, LEAST_RATE
from acestep.checking.sound import BITS, mono, spectra
from acestep.checking.timbre import SPREAD, Timbre, hear
from acestep.data.decode import decode
from acestep.data.song import Dataset
from acestep.data.tensors import load_record, read_manifest
from acestep.data.variants import read_variant
from acestep.errors import AudioError

Colour = Literal["red", "amber", "green", "grey"]
BEST_SONGS, BEST_MINUTES, BEST_BITS = 20, 60, 24
LISTENED = 60.0  # seconds of a song from which its timbre is taken
# How much the songs' timbres vary, over music at large (acestep.checking.timbre.SPREAD)
ONE_STYLE, MIXED = 0.7, 1.1


@dataclass(frozen=True)
class Light:
    """One row of the guide's table: what was ``found``, the three marks, and words for people."""

    item: str
    colour: Colour
    found: str
    minimum: str
    recommended: str
    best: str
    words: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class SongFacts:
    """One song: its length in seconds (0: not known) and, where its file is there, the rate in Hz,
    the bits of a sample (None: lossy) and the timbre."""

    seconds: float
    rate: int = 0
    bits: int | None = None
    timbre: Timbre | None = None


def dataset_lights(dataset: Dataset) -> tuple[Light, ...]:
    """The lights of a dataset; a minute of each song is listened to. Variants are no songs here."""
    songs = [song for song in dataset.songs if read_variant(song) is None] or dataset.songs
    return lights([listen(dataset.resolve(song), song.duration) for song in songs])


def tensor_lights(folder: Path) -> tuple[Light, ...]:
    """The lights of preprocessed songs; those whose files are no longer there are grey in part.

    Raises ``TensorError`` for a folder or sample that cannot be read.
    """
    found: dict[str, SongFacts] = {}
    for entry in read_manifest(folder).samples:
        if "variant" in entry:
            continue
        record = load_record(folder / entry["file"], mapped=True)
        metadata = record.get("metadata") or {}
        song = str(metadata.get("song") or entry["file"])
        seconds = metadata.get("song_seconds") or record["target_latents"].shape[0] / 25
        if song not in found:
            found[song] = listen(Path(str(metadata.get("audio_path", ""))), float(seconds))
    return lights(list(found.values()))


def listen(path: Path, seconds: float) -> SongFacts:
    """What a song's file shows in its first minute; only the length where it cannot be read."""
    try:
        with decode(path) as source:
            blocks, left = [], round(LISTENED * source.rate)
            for block in source.blocks:
                blocks.append(block[:left])
                left -= len(block)
                if left <= 0:
                    break
            audio = np.concatenate(blocks).T if blocks else np.zeros((1, 1), np.float32)
            timbre = hear(spectra(mono(audio), source.rate))
            return SongFacts(
                seconds or source.declared or 0.0, source.rate, BITS.get(source.coding), timbre
            )
    except AudioError:
        return SongFacts(seconds)


def lights(songs: Sequence[SongFacts]) -> tuple[Light, ...]:
    """Every row of the guide's table for these songs."""
    return (_songs(songs), _total(songs), _rate(songs), _depth(songs), _length(songs), _one(songs))


def variety(timbres: Iterable[Timbre]) -> float | None:
    """How much timbres differ: their deviation over that of music at large, root mean square over
    the ten numbers; None with fewer than three."""
    points = np.array([astuple(timbre) for timbre in timbres])
    if len(points) < 3:
        return None
    return float(np.sqrt(np.square(points.std(0, ddof=1) / SPREAD).mean()))


def _songs(songs: Sequence[SongFacts]) -> Light:
    count = len(songs)
    colour = _graded(count, FEW_SONGS, GOOD_SONGS)
    words = _worded(colour, count >= BEST_SONGS, f"add {max(0, GOOD_SONGS - count)} or more")
    marks = (f"{FEW_SONGS}", f"{GOOD_SONGS}+", f"{BEST_SONGS}+")
    return Light("songs", colour, str(count), *marks, words)


def _total(songs: Sequence[SongFacts]) -> Light:
    minutes = sum(song.seconds for song in songs) / 60
    colour = _graded(minutes, FEW_MINUTES, GOOD_MINUTES)
    missing = f"{max(0.0, GOOD_MINUTES - minutes):.0f} minutes are missing"
    words = _worded(colour, minutes >= BEST_MINUTES, missing)
    marks = (f"{FEW_MINUTES} min", f"{GOOD_MINUTES} min+", f"{BEST_MINUTES} min+")
    return Light("total length", colour, f"{minutes:.1f} min", *marks, words)


def _rate(songs: Sequence[SongFacts]) -> Light:
    marks = ("44.1 kHz", "48 kHz", "48 kHz")
    rates = [song.rate for song in songs if song.rate]
    if not rates:
        return Light("sample rate", "grey", "not known", *marks, "the files are not there")
    colour = _graded(min(rates), LEAST_RATE, GOOD_RATE)
    low = sum(rate < GOOD_RATE for rate in rates)
    words = _worded(colour, False, f"{low} of {len(rates)} have less")
    return Light("sample rate", colour, f"{min(rates) / 1000:g} kHz", *marks, words)


def _depth(songs: Sequence[SongFacts]) -> Light:
    marks = ("16 bit", "16 bit", "24 bit")
    known = [song for song in songs if song.rate]
    if not known:
        return Light("bit depth", "grey", "not known", *marks, "the files are not there")
    bits = [song.bits for song in known if song.bits is not None]
    lossy = len(known) - len(bits)
    found = f"{min(bits)} bit" if bits else ""
    if lossy:
        found = ", ".join(filter(None, [found, f"{lossy} of {len(known)} lossy"]))
    if bits and min(bits) < LEAST_BITS:
        return Light("bit depth", "red", found, *marks, "below the minimum: use better files")
    words = "lossless files would be best" if lossy else "as recommended"
    best = bool(bits) and min(bits) >= BEST_BITS and not lossy
    return Light("bit depth", "green", found, *marks, "the best there is" if best else words)


def _length(songs: Sequence[SongFacts]) -> Light:
    marks = ("1 min", "2–5 min", "varied")
    known = [song.seconds for song in songs if song.seconds > 0]
    if not known:
        return Light("song length", "grey", "not known", *marks, "scan finds the lengths")
    brief = sum(seconds < BRIEF for seconds in known)
    odd = sum(not SHORT <= seconds <= LONG for seconds in known)
    found = f"{_clock(min(known))}–{_clock(max(known))}"
    if 2 * brief > len(known):
        words = f"{brief} of {len(known)} are under a minute: too short for the form of a song"
        return Light("song length", "red", found, *marks, words)
    words = f"{odd} of {len(known)} are outside" if odd else "as recommended"
    return Light("song length", "amber" if odd else "green", found, *marks, words)


def _one(songs: Sequence[SongFacts]) -> Light:
    marks = ("–", "high", "one style")
    spread = variety(song.timbre for song in songs if song.timbre is not None)
    if spread is None:
        words = "three songs or more tell it, if their files are there"
        return Light("consistency", "grey", "not known", *marks, words)
    found = f"{spread:.0%} of the variety of all music"
    if spread > MIXED:
        words = "the songs sound like several styles: leave out what does not belong"
        return Light("consistency", "red", found, *marks, words)
    if spread > ONE_STYLE:
        return Light("consistency", "amber", found, *marks, "the songs sound rather different")
    return Light("consistency", "green", found, *marks, "the songs sound alike, as one style does")


def _graded(value: float, minimum: float, recommended: float) -> Colour:
    if value < minimum:
        return "red"
    return "amber" if value < recommended else "green"


def _worded(colour: Colour, best: bool, missing: str) -> str:
    match colour:
        case "red":
            return f"below the minimum: {missing}"
        case "amber":
            return f"enough to begin with: {missing}"
    return "the best there is" if best else "as recommended"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
