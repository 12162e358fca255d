"""A small dataset of real files, and the verbs on it as tests ask for them."""

import json
from pathlib import Path

from sound_files import make_song

from acestep import events
from acestep.config import EditConfig, LabelConfig, ScanConfig
from acestep.edit import edit
from acestep.label import label
from acestep.scan import scan


def scanned_dataset(folder: Path) -> Path:
    """The file of a dataset of three short songs, scanned before any sidecar was there."""
    for number, name in enumerate(("a.wav", "b.flac", "sub/c.mp3")):
        make_song(folder / "songs" / name, 0.5, pitch=220 + 110 * number)
    list(scan(ScanConfig(songs=folder / "songs", output=folder / "d.json", tag="myjazz")))
    return folder / "d.json"


def samples(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["samples"]


def labelled(path: Path, **knobs) -> list[events.Event]:
    """From sidecars and tags alone, unless told otherwise."""
    knobs = {"analysis": False, "captioner": "none"} | knobs
    return list(label(LabelConfig(dataset=path, **knobs)))


def edited(path: Path, song: str = "", **knobs) -> list[events.Event]:
    return list(edit(EditConfig(dataset=path, song=song, **knobs)))


def notices(said: list[events.Event]) -> str:
    return "\n".join(f"{n.about}: {n.message}" for n in said if isinstance(n, events.Notice))
