"""What can be set of the verbs that make a dataset and look after it."""

import re
from pathlib import Path
from typing import Literal

from acestep.configs.base import TWO_LYRICS, Config, Device, TagPosition, knob, output
from acestep.knobs import Positional

LABELS = ("caption", "genre", "lyrics", "bpm", "keyscale", "timesignature", "language")


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
    """Fill in what is missing: from sidecars and tags, from the sound, from models you name."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    show: str | None = knob(
        None, "Print exactly what the encoder sees for this song (number, id or file name)."
    )
    model: str | None = knob(
        None, "Base model: whose tokenizer --show uses, whose codes music-lm reads (default: mini)."
    )
    only_unlabelled: bool = knob(False, "Only songs that have no caption yet, or a draft.")
    overwrite: list[str] = knob(
        [], "Replace this label even where a person wrote it: caption, bpm, … or all."
    )
    analysis: bool = knob(True, "Tempo, key and time signature from the sound.")
    skip_metas: bool = knob(False, "Leave tempo, key and time signature alone (N/A).")
    bpm_range: str | None = knob(None, "Tempi to choose from, for example 60-120: settles octaves.")
    beats: Literal["signal", "beat-this"] = knob(
        "signal", "Who finds the beats: our own analysis, or the network beat_this."
    )
    beats_checkpoint: Path | None = knob(None, "Checkpoint of beat_this.")
    captioner: Literal["draft", "none", "music-lm", "omni"] = knob(
        "draft",
        "Who writes captions: a draft from measurements, nobody, or a model.",
    )
    captioner_model: Path | None = knob(None, "Folder of the captioner's model.")
    lyrics: Literal["none", "music-lm", "transcriber", "whisper"] = knob(
        "none", "Who writes lyrics down: nobody, or a model."
    )
    lyrics_model: Path | None = knob(None, "Folder of the model for lyrics.")
    write_sidecars: bool = knob(
        False, "Also write the labels beside the songs (.caption.txt, .lyrics.txt, .json)."
    )
    device: Device | None = knob(None, "Where models compute (default: the best there is).")
    seed: int = knob(42, "Seed of what models say.", ge=0, lt=2**63)

    def disagreements(self) -> list[str]:
        """A range is two numbers, overwritten labels are labels, a network has its weights."""
        wrong = []
        if self.bpm_range is not None and self.tempi() is None:
            wrong.append(f"--bpm-range {self.bpm_range}: two tempi from 20 to 400, such as 60-120")
        unknown = sorted(self.overwritten() - set(LABELS))
        if unknown:
            wrong.append(f"--overwrite {', '.join(unknown)}: one of {', '.join(LABELS)}, all")
        if (self.beats == "beat-this") != (self.beats_checkpoint is not None):
            wrong.append("--beats beat-this and --beats-checkpoint FILE belong together")
        if not self.analysis and (self.bpm_range or self.beats != "signal"):
            wrong.append("--no-analysis: then --bpm-range and --beats have nothing to settle")
        if self.captioner_model is not None and self.captioner in ("draft", "none"):
            wrong.append("--captioner-model: say with --captioner whose model it is")
        if self.lyrics_model is not None and self.lyrics == "none":
            wrong.append("--lyrics-model: say with --lyrics whose model it is")
        return wrong

    def tempi(self) -> tuple[float, float] | None:
        """The range of tempi; None for none."""
        match = re.fullmatch(r"\s*(\d{2,3})\s*[-–:]\s*(\d{2,3})\s*", self.bpm_range or "")
        if match is None:
            return None
        low, high = float(match[1]), float(match[2])
        return (low, high) if 20 <= low < high <= 400 else None

    def overwritten(self) -> frozenset[str]:
        """The labels that are replaced whoever gave them."""
        names = {name.strip() for given in self.overwrite for name in given.split(",")}
        return frozenset(LABELS) if "all" in names else frozenset(names - {""})


class EditConfig(Config):
    """Change labels by hand, of one song or of many; undo; save as a table or another layout."""

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
    where: str | None = knob(
        None, "Only songs of which this is true: 'bpm<60', 'caption~jazz and language==unknown'."
    )
    set: list[str] = knob([], "Change a label of all those songs: bpm*=2, language=ko.")
    prepend: str | None = knob(None, "Put words in front of their captions, once.")
    append: str | None = knob(None, "Put words behind their captions, once.")
    strip: str | None = knob(None, "Take words out of their captions, where commas set them apart.")
    replace: tuple[str, str] | None = knob(None, "In their captions, the second for the first.")
    undo: int | None = knob(None, "Go back to the version from so many saves ago.", ge=1, bare=1)
    redo: int | None = knob(None, "Take back so many undos.", ge=1, bare=1)
    history: bool = knob(False, "List the versions that --undo and --redo lead to.")
    save_as: Path | None = knob(None, "Write to this file (audiofolder: this folder) instead.")
    format: Literal["guide", "original", "list", "csv", "audiofolder"] | None = knob(
        None,
        "Layout of what is saved: the guide's, one of the original's, a table, or the folder with "
        "audio that Hugging Face's datasets read (default: as it was).",
    )
    link: bool = knob(False, "Let an audiofolder link to the audio instead of copying it.")

    def disagreements(self) -> list[str]:
        """Lyrics come from one place; a step in the history is the only change."""
        wrong = [TWO_LYRICS] if self.lyrics is not None and self.lyrics_file is not None else []
        steps = [name for name in ("undo", "redo", "history") if vars(self)[name]]
        beside = self.model_fields_set - {"dataset", *steps}
        if steps and (len(steps) > 1 or any(vars(self)[name] for name in beside)):
            wrong.append(f"--{steps[0]}: it is given alone")
        if self.replace is not None and not self.replace[0]:
            wrong.append("--replace: of nothing")
        ending = (self.save_as or self.dataset).suffix.lower()
        if self.format == "audiofolder" and self.save_as is None:
            wrong.append("--format audiofolder: say where with --save-as FOLDER")
        if self.format == "csv" and ending != ".csv":
            wrong.append("--format csv: --save-as has to end in .csv, so that it is read as such")
        if self.format in ("guide", "original", "list") and ending in (".csv", ".jsonl"):
            wrong.append(f"--format {self.format}: a file ending in {ending} is read as a table")
        if self.link and self.format != "audiofolder":
            wrong.append("--link: it is for --format audiofolder")
        if self.song and self.where is not None:
            wrong.append("--where: a song is named already")
        return wrong
