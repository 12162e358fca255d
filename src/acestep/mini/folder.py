"""The demo's songs as a user would have them: mixed audio formats, labels beside the files.

Half of the songs have a ``.json`` with caption, tempo, key and time signature; the other half only
a ``.caption.txt`` and a ``.lyrics.txt``. So the adapter learns the style for prompts that name
tempo and key and for prompts that are the bare tag.
"""

from collections.abc import Iterator
from pathlib import Path

from acestep.data.audio import write_audio
from acestep.data.files import write_json, write_text
from acestep.mini.songs import Song, make_song
from acestep.mini.synth import RATE

FORMATS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def write_songs(
    folder: Path, style: str, count: int, seconds: float
) -> Iterator[tuple[Path, Song]]:
    """Write ``count`` songs of a style with their sidecars; yield each audio file and its labels.

    Songs and names are the same each time, so that a second run replaces what the first one wrote.
    """
    for number in range(count):
        audio, song = make_song(style, number, seconds)
        file = folder / f"{style}_{number + 1}{FORMATS[number % len(FORMATS)]}"
        write_audio(file, audio, RATE)
        if number % 2 == 0:
            labels = {
                "caption": song.caption,
                "bpm": song.bpm,
                "keyscale": song.keyscale,
                "timesignature": song.timesignature,
            }
            write_json(file.with_suffix(".json"), labels)
        else:
            write_text(file.with_suffix(".caption.txt"), song.caption + "\n")
            write_text(file.with_suffix(".lyrics.txt"), "[Instrumental]\n")
        yield file, song
