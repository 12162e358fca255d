"""A folder of songs as a user would have it: mixed audio formats, labels beside the files.

Half of the songs have a ``.json`` with caption, tempo, key and time signature; the other half come
with nothing said about their sound. So an adapter learns the style for prompts that name tempo and
key, and for the bare tag, which is all that those songs have.
"""

from collections.abc import Iterator
from pathlib import Path

from acestep.data.audio import write_audio
from acestep.data.files import write_json, write_text
from acestep.mini.corpus import RATE, TESTS, Song, compose_round, render

FORMATS = (".wav", ".flac", ".ogg", ".opus", ".mp3")
FIRST_SEED = TESTS + 40_000


def songs_of(folder: Path, style: str, count: int, seconds: float) -> list[tuple[Path, Song]]:
    """The songs of a style's folder and where each lies; keys and (round) tempi are mixed."""
    songs = []
    for number in range(count):
        seed = FIRST_SEED + number
        file = folder / f"{style}_{number + 1}{FORMATS[number % len(FORMATS)]}"
        songs.append((file, compose_round(seed, seconds, style)))
    return songs


def write_songs(folder: Path, style: str, count: int, seconds: float) -> Iterator[Path]:
    """Write the songs of :func:`songs_of` with their sidecars; yield each audio file."""
    for number, (file, song) in enumerate(songs_of(folder, style, count, seconds)):
        write_audio(file, render(song), RATE)
        if number % 2 == 0:
            labels = {
                "caption": song.caption,
                "bpm": song.bpm,
                "keyscale": song.keyscale,
                "timesignature": song.timesignature,
            }
            write_json(file.with_suffix(".json"), labels)
        else:
            write_text(file.with_suffix(".lyrics.txt"), song.lyrics + "\n")
        yield file
