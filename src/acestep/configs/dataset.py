"""What can be set of the verbs that make a dataset and look after it."""

from pathlib import Path
from typing import Literal

from acestep.configs.base import TWO_LYRICS, Config, TagPosition, knob, output
from acestep.knobs import Positional


class ScanConfig(Config):
    """Find songs and their sidecars in a folder and write a dataset file."""

    songs: Positional[Path] = knob(..., "Folder with songs (searched with its sub-folders).")
    output: Path = output(
        Path("dataset.json"), "Dataset file to write; labels already in it are kept."
    )
    name: str | None = knob(None, "Dataset name (default: the folder's name).")
    tag: str | None = knob(
        None, "Activation tag: short, lower case, no ordinary word (myjazz, xmas24)."
    )
    tag_position: TagPosition | None = knob(
        None,
        "Where the tag goes: before the caption, behind it, or instead of it (default: prepend).",
    )
    all_instrumental: bool = knob(False, "Songs without lyrics are instrumental.")


class LabelConfig(Config):
    """Fill in what is missing from sidecar files and embedded tags, or show a song's exact text."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    show: str | None = knob(
        None, "Print exactly what the encoder sees for this song (number, id or file name)."
    )
    model: str | None = knob(None, "Base model whose tokenizer --show uses (default: mini).")
    skip_metas: bool = knob(False, "Leave tempo, key and time signature alone (N/A).")
    only_unlabelled: bool = knob(False, "Only songs that have no caption yet.")
    overwrite: bool = knob(False, "Also replace labels that a person wrote.")


class EditConfig(Config):
    """Change one song's labels by hand, or the dataset's settings when no song is named."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    song: Positional[str] = knob("", "The song: its number (from 1), id or file name.")
    caption: str | None = knob(None, "Style, instruments, mood; without the tag.")
    genre: str | None = knob(None, "Genre.")
    lyrics: str | None = knob(None, 'Lyrics; "[Instrumental]" for none.')
    lyrics_file: Path | None = knob(None, "Text file with the lyrics.")
    bpm: int | None = knob(None, "Beats per minute.", ge=1, le=999, recommended=(30, 300))
    keyscale: str | None = knob(None, 'Key, for example "Bb Major" or "Am".')
    timesignature: str | None = knob(None, "Time signature: 4, 3/4, 6/8 …")
    language: str | None = knob(None, 'Vocal language code (en, ko, …) or "unknown".')
    instrumental: bool | None = knob(None, "Whether the song has no vocals.")
    name: str | None = knob(None, "Dataset name.")
    tag: str | None = knob(None, 'Activation tag; "" removes it.')
    tag_position: TagPosition | None = knob(None, "Where the tag goes.")
    save_as: Path | None = knob(None, "Write to this file instead.")
    format: Literal["guide", "original", "list"] | None = knob(
        None,
        "Layout of the saved file: the guide's or one of the original's (default: as it was).",
    )

    def disagreements(self) -> list[str]:
        """Lyrics come from one place."""
        twice = self.lyrics is not None and self.lyrics_file is not None
        return [TWO_LYRICS] if twice else []
