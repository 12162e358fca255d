"""``python -m acestep.mini.demo -o demo``: from eight songs to an adapter that can be heard.

Renders a folder of songs of one style (:mod:`acestep.mini.folder`), takes it through the six verbs
as the command line would, generates with the same prompt and seeds without and with the adapter,
and measures how far each lies from the folder. What it leaves in its folder::

    songs/          the songs and their sidecars
    dataset.json    what scan and label made of them
    tensors/        what preprocess made of those
    runs/cumbia/    the training run with its loss.png (a second demo's is cumbia_2)
    lora/           the exported adapter
    clips/          WAVs without and with the adapter, and the folder's for comparison
    demo.png        their spectrograms and the losses
    report.json     the numbers
"""

import argparse
import itertools
import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acestep.cli import DONE, FAILED, INTERRUPTED
from acestep.data.audio import read_audio, write_audio
from acestep.data.files import write_json
from acestep.errors import AceStepError, RunError
from acestep.events import (
    Event,
    Failed,
    Finished,
    Notice,
    Saved,
    Started,
    Stopped,
    Text,
)
from acestep.export import export
from acestep.flags import parse
from acestep.generate import generate
from acestep.label import label
from acestep.mini.compare import Row, compare, table, through_the_vae
from acestep.mini.folder import write_songs
from acestep.mini.pictures import draw_demo
from acestep.mini.songs import STYLES, Style
from acestep.mini.synth import RATE, exact_bpm
from acestep.preprocess import preprocess
from acestep.scan import scan
from acestep.terminal import duration, open_screen
from acestep.train import train
from acestep.training.run import RunFolder

STYLE = "cumbia"
TAG = "zztune"
FIRST_SEED = 100
BASE, BASE_LABELLED = "base", "base, all labels"
ADAPTER, ADAPTER_LABELLED = "adapter", "adapter, all labels"
FOLDER = "folder"
VERBS: dict[str, Callable[[Any], Iterator[Event]]] = {
    "scan": scan,
    "label": label,
    "preprocess": preprocess,
    "train": train,
    "export": export,
    "generate": generate,
}


@dataclass(frozen=True)
class Size:
    """How much the demo does, and what share of the base's distance may be left after it.

    Clips of 10.24 s are four bars of the songs. The bare tag makes the base play something so
    unlike the folder that adapters of other styles bring it nearer too, to 0.43 (techno) and 0.61
    (music box) of its distance; the folder's own adapter has to do better.
    """

    songs: int = 8
    song_seconds: float = 20.0
    epochs: int = 40
    clips: int = 4
    clip_seconds: float = 10.24
    left: float = 0.4


@dataclass(frozen=True)
class Places:
    """Where everything lies below the demo's folder."""

    root: Path
    run: Path

    @property
    def songs(self) -> Path:
        return self.root / "songs"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset.json"

    @property
    def tensors(self) -> Path:
        return self.root / "tensors"

    @property
    def adapter(self) -> Path:
        return self.root / "lora"

    @property
    def clips(self) -> Path:
        return self.root / "clips"

    @property
    def picture(self) -> Path:
        return self.root / "demo.png"

    @property
    def report(self) -> Path:
        return self.root / "report.json"


def demo(root: Path, size: Size | None = None) -> Generator[Event, None, None]:
    """Run the demo in ``root``, over an earlier one if there is one; each gets its own run folder.

    Raises ``RunError`` if the adapter does not bring the sound nearer to the folder, and whatever
    the verbs raise.
    """
    size = size or Size()
    began = time.monotonic()
    places = Places(root, _free_run(root / "runs"))
    style = STYLES[STYLE]

    yield Text(f"{size.songs} songs of one style, {size.song_seconds:g} s each: {places.songs}")
    keys = []
    for file, song in write_songs(places.songs, STYLE, size.songs, size.song_seconds):
        keys.append(song.keyscale)
        yield Saved("song", str(file))

    for arguments in _commands(places, size):
        yield _typed(arguments)
        yield from _run(arguments)

    clips = {}
    for name, prompt in _prompts(places, style, keys[0]).items():
        clips[name] = yield from _generate(places, size, name, prompt)

    clips[FOLDER] = through_the_vae(places.tensors, size.clip_seconds)
    for file, clip in zip(_files(places, FOLDER), clips[FOLDER], strict=False):
        write_audio(file, clip, RATE)
    bpm = exact_bpm(style.bpm)
    rows = {name: compare(group, clips[FOLDER], bpm) for name, group in clips.items()}
    first = {name: group[0] for name, group in clips.items()}
    draw_demo(places.picture, first, RunFolder(places.run).read_events())
    seconds = time.monotonic() - began
    numbers = {name: asdict(row) for name, row in rows.items()}
    write_json(places.report, {"style": STYLE, "sets": numbers, "seconds": round(seconds, 1)})
    yield Saved("report", str(places.report))
    yield Text(_summary(places, rows, style.bpm, seconds))
    if not _share(rows) < size.left:
        raise RunError(
            f"the adapter did not move the sound toward the folder: {_share(rows):.0%} of the "
            f"base's distance is left, under {size.left:.0%} was expected",
            hint=f"did training go well? {places.run / 'loss.png'}",
        )
    yield Finished("demo")


def _commands(places: Places, size: Size) -> list[list[str]]:
    """The verbs up to the adapter, as they would be typed."""
    songs, dataset, tensors = str(places.songs), str(places.dataset), str(places.tensors)
    settings = {
        "--targets": "attention+mlp",
        "--rank": "16",
        "--dropout": "0",
        "--learning-rate": "1e-3",
        "--epochs": str(size.epochs),
        "--batch-size": "2",
        "--validate-every": "20",
    }
    return [
        ["scan", songs, "-o", dataset, "--tag", TAG, "--all-instrumental"],
        ["label", dataset],
        ["preprocess", dataset, "-o", tensors, "--model", "mini"],
        ["train", tensors, "-o", str(places.run), *itertools.chain(*settings.items())],
        ["export", str(places.run), "-o", str(places.adapter)],
    ]


def _prompts(places: Places, style: Style, key: str) -> dict[str, list[str]]:
    """The sets of clips: the bare tag without and with the adapter, and the songs' own labels."""
    labels = ["--bpm", str(style.bpm), "--keyscale", key, "--timesignature", "4"]
    lora = ["--lora", str(places.adapter)]
    return {
        BASE: ["--caption", TAG],
        BASE_LABELLED: ["--caption", style.caption, *labels],
        ADAPTER: [*lora, "--caption", TAG],
        ADAPTER_LABELLED: [*lora, "--caption", f"{TAG}, {style.caption}", *labels],
    }


def _run(arguments: list[str]) -> Iterator[Event]:
    """Run a command's verb."""
    command = parse(arguments[0], arguments[1:])
    return VERBS[command.name](command.config)


def _typed(arguments: list[str]) -> Text:
    """A command as it would be typed."""
    return Text(f"\n$ acestep {shlex.join(arguments)}")


def _generate(
    places: Places, size: Size, name: str, prompt: list[str]
) -> Generator[Event, None, list[np.ndarray]]:
    """Generate a set of clips, one a seed, and return them as they lie on the disk."""
    files = list(itertools.islice(_files(places, name), size.clips))
    for number, file in enumerate(files):
        length, seed = f"{size.clip_seconds:g}", str(FIRST_SEED + number)
        command = ["generate", *prompt, "--duration", length, "--seed", seed, "-o", str(file)]
        if number == 0:  # the others differ from it in seed and file
            yield _typed(command)
        for event in _run(command):
            if isinstance(event, Saved | Notice):
                yield event
    return [read_audio(file) for file in files]


def _files(places: Places, name: str) -> Iterator[Path]:
    stem = name.replace(", ", "_").replace(" ", "_")
    return (places.clips / f"{stem}_{number}.wav" for number in itertools.count(1))


def _free_run(runs: Path) -> Path:
    """A run folder that is not there yet: an earlier demo's run stays as it is."""
    names = (STYLE if number == 1 else f"{STYLE}_{number}" for number in itertools.count(1))
    return next(runs / name for name in names if not (runs / name).exists())


def _summary(places: Places, rows: dict[str, Row], bpm: int, seconds: float) -> str:
    return f"""
How far the clips lie from the folder (from its songs as the small model's VAE gives them back):

{table(rows, bpm)}

distance: mean difference of 14 statistics of the sound, in standard deviations over songs
pulse: how strongly they beat at the folder's tempo; chroma: cosine of the pitch classes

listen   {places.clips}
look     {places.picture}
losses   {places.run / "loss.png"}
adapter  {places.adapter}

The adapter's clips lie at {_share(rows):.0%} of the base's distance. All in {duration(seconds)}."""


def _share(rows: dict[str, Row]) -> float:
    """The adapter's distance from the folder as a share of the base's, for the same prompt."""
    return rows[ADAPTER].distance / rows[BASE].distance


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; exit codes are those of ``acestep``."""
    parser = argparse.ArgumentParser("python -m acestep.mini.demo", description=demo.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), help="folder to fill")
    parser.add_argument("--json", action="store_true", help="print one event a line, as JSON")
    options = parser.parse_args(argv)
    screen = open_screen(sys.stdout, json=options.json, quiet=False)
    try:
        with closing(demo(options.output)) as happening:
            for event in happening:
                if isinstance(event, Started):  # each verb has the screen to itself
                    screen.close()
                    screen = open_screen(sys.stdout, json=options.json, quiet=False)
                screen.show(event)
                if isinstance(event, Stopped):
                    return INTERRUPTED
    except AceStepError as error:
        screen.show(Failed(type(error).__name__, str(error), error.hint))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        screen.close()
    return DONE


if __name__ == "__main__":
    sys.exit(main())
