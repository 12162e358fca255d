"""From a folder of one style to an adapter: the lesson that demo and benchmark share.

Songs of a style the base never heard are written down (:mod:`acestep.mini.folder`) and taken
through the verbs as the command line would, with the settings that suit the small model.
"""

import itertools
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep.events import Event, Saved, Text
from acestep.export import export
from acestep.flags import parse
from acestep.generate import generate
from acestep.label import label
from acestep.mini.folder import write_songs
from acestep.preprocess import preprocess
from acestep.scan import scan
from acestep.train import train

# Made of words that the small base hears: one that it passes over cannot become a switch
TAG = "fluteorgan"
SETTINGS = {
    "--targets": "attention+mlp",
    "--rank": "16",
    "--dropout": "0",
    "--learning-rate": "1.5e-3",
    "--teach-guidance": "2.5",
    "--keep-untagged": "1",
    "--batch-size": "2",
    "--patches-at-once": "600",  # both songs of a step: the model is so small that calls cost most
    "--validate-every": "20",
}
VERBS: dict[str, Callable[[Any], Iterator[Event]]] = {
    "scan": scan,
    "label": label,
    "preprocess": preprocess,
    "train": train,
    "export": export,
    "generate": generate,
}


@dataclass(frozen=True)
class Lesson:
    """What is taught to which model: ``songs`` of a held-out ``style``, ``seconds`` each."""

    style: str = "cumbia"
    songs: int = 8
    seconds: float = 12.0
    epochs: int = 80
    model: str = "mini"


@dataclass(frozen=True)
class Places:
    """Where everything of a lesson lies, below one folder."""

    root: Path
    run: Path

    @classmethod
    def below(cls, root: Path, name: str) -> "Places":
        """Places with a run folder that is not there yet: earlier runs stay as they are."""
        names = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
        runs = (root / "runs" / each for each in names)
        return cls(root, next(run for run in runs if not run.exists()))

    @property
    def songs(self) -> Path:
        """The songs and their sidecars."""
        return self.root / "songs"

    @property
    def dataset(self) -> Path:
        """What scan and label made of them."""
        return self.root / "dataset.json"

    @property
    def tensors(self) -> Path:
        """What preprocess made of those."""
        return self.root / "tensors"

    @property
    def adapter(self) -> Path:
        """The exported adapter."""
        return self.root / "lora"


def teach(places: Places, lesson: Lesson) -> Iterator[Event]:
    """Write the songs and make an adapter of them; raises what the verbs raise."""
    yield Text(f"{lesson.songs} songs of one style, {lesson.seconds:g} s each: {places.songs}")
    for file in write_songs(places.songs, lesson.style, lesson.songs, lesson.seconds):
        yield Saved("song", str(file))
    for arguments in commands(places, lesson):
        yield Text(f"\n$ {typed(arguments)}")
        yield from perform(arguments)


def commands(places: Places, lesson: Lesson) -> list[list[str]]:
    """The verbs up to the adapter, each as the words of a command line."""
    songs, dataset, tensors = str(places.songs), str(places.dataset), str(places.tensors)
    settings = {"--epochs": str(lesson.epochs), **SETTINGS}
    return [
        ["scan", songs, "-o", dataset, "--tag", TAG, "--all-instrumental"],
        ["label", dataset],
        ["preprocess", dataset, "-o", tensors, "--model", lesson.model],
        ["train", tensors, "-o", str(places.run), *itertools.chain(*settings.items())],
        ["export", str(places.run), "-o", str(places.adapter)],
    ]


def perform(arguments: list[str]) -> Iterator[Event]:
    """Run the verb of a command line."""
    command = parse(arguments[0], arguments[1:])
    return VERBS[command.name](command.config)


def typed(arguments: Sequence[str]) -> str:
    """A command line as it would be typed."""
    return f"acestep {shlex.join(arguments)}"
