"""``python -m acestep.mini.demo -o demo``: from eight songs to an adapter that can be heard.

Teaches the small model a style it never heard (:mod:`acestep.mini.teach`), generates with the same
prompt and seeds without and with the adapter, and measures how far each lies from the songs. What
it leaves in its folder::

    index.html      a page with all there is to hear and see
    songs/          the songs and their sidecars
    dataset.json    what scan and label made of them
    tensors/        what preprocess made of those
    runs/cumbia/    the training run with its loss.png (a second demo's is cumbia_2)
    lora/           the exported adapter
    clips/          WAVs without and with the adapter, and the folder's for comparison; spectrograms
    report.json     the numbers
"""

import argparse
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from acestep.cli import DONE, FAILED, INTERRUPTED
from acestep.data.audio import RATE, read_audio, write_audio
from acestep.data.files import write_json
from acestep.errors import AceStepError, RunError
from acestep.events import Event, Failed, Finished, Notice, Saved, Started, Stopped, Text
from acestep.mini.compare import Row, compare, through_the_vae
from acestep.mini.corpus import Song
from acestep.mini.demo_page import (
    ADAPTER,
    ADAPTER_LABELLED,
    BASE,
    BASE_LABELLED,
    FOLDER,
    UNTAGGED,
    Findings,
    make_page,
    number_table,
    share,
)
from acestep.mini.folder import songs_of
from acestep.mini.page import write_page
from acestep.mini.teach import TAG, Lesson, Places, commands, perform, teach, typed
from acestep.pictures import draw_spectrogram
from acestep.terminal import duration, open_screen

FIRST_SEED = 100
PROMPTED = (BASE, ADAPTER, BASE_LABELLED, ADAPTER_LABELLED, UNTAGGED)


@dataclass(frozen=True)
class Size:
    """How much the demo does, and what share of the base's distance may be left after it.

    The demo tells a training that went wrong; how near an adapter should come is the benchmark's to
    ask (under 60 %).
    """

    lesson: Lesson = field(default_factory=Lesson)
    clips: int = 4
    clip_seconds: float = 10.24
    left: float = 0.9


def demo(root: Path, size: Size | None = None) -> Generator[Event, None, None]:
    """Run the demo in ``root``, over an earlier one if there is one; each gets its own run folder.

    Raises ``RunError`` if the adapter does not bring the sound nearer to the folder, and whatever
    the verbs raise.
    """
    size = size or Size()
    lesson = size.lesson
    began = time.monotonic()
    places = Places.below(root, lesson.style)
    yield from teach(places, lesson)

    songs = songs_of(places.songs, lesson.style, lesson.songs, lesson.seconds)
    wanted = [song for _, song in songs[: size.clips]]
    orders = {name: _orders(name, places, size, wanted) for name in PROMPTED}
    clips = {}
    for name in PROMPTED:
        clips[name] = yield from _generate(orders[name], warned=name != UNTAGGED)
    clips[FOLDER] = through_the_vae(places.tensors, size.clip_seconds)
    files = {name: _files(root, name, len(group)) for name, group in clips.items()}
    for file, clip in zip(files[FOLDER], clips[FOLDER], strict=True):
        write_audio(file, clip, RATE)
    rows = _measure(clips, [song for _, song in songs])
    for name, group in clips.items():
        for file, clip in zip(files[name], group, strict=True):
            draw_spectrogram(file.with_suffix(".png"), clip)

    seconds = time.monotonic() - began
    numbers = {name: asdict(row) for name, row in rows.items()}
    report = {"style": lesson.style, "sets": numbers, "seconds": round(seconds, 1)}
    write_json(root / "report.json", report)
    lines = [*commands(places, lesson), *(given[0] for given in orders.values())]
    page = root / "index.html"
    write_page(page, make_page(Findings(places, lesson, songs, rows, files, lines, seconds)))
    yield Saved("page", str(page))
    yield Text(_summary(page, places, rows, seconds))
    judge(rows, size.left, places.run)
    yield Finished("demo")


def _orders(name: str, places: Places, size: Size, songs: Sequence[Song]) -> list[list[str]]:
    """The commands that generate a set of clips: the tag, tempo and key, or caption as well."""
    lora = [] if name in (BASE, BASE_LABELLED) else ["--lora", str(places.adapter)]
    orders = []
    files = _files(places.root, name, len(songs))
    for number, (song, file) in enumerate(zip(songs, files, strict=True)):
        labelled = f"{TAG}, {song.caption}"
        words = {BASE: TAG, ADAPTER: TAG, UNTAGGED: song.caption}.get(name, labelled)
        prompt = ["--caption", words, "--bpm", str(song.bpm)]
        prompt += ["--keyscale", song.keyscale, "--timesignature", song.timesignature]
        length = ["--duration", f"{size.clip_seconds:g}", "--seed", str(FIRST_SEED + number)]
        model = ["--model", size.lesson.model]
        orders.append(["generate", *model, *lora, *prompt, *length, "-o", str(file)])
    return orders


def _generate(
    orders: Sequence[list[str]], warned: bool
) -> Generator[Event, None, list[np.ndarray]]:
    """Carry out generating commands, the first of them shown; return clips as they lie on disk.

    Not ``warned`` where the tag is missing because it is meant to be.
    """
    yield Text(f"\n$ {typed(orders[0])}")
    clips = []
    for order in orders:
        for event in perform(order):
            if isinstance(event, Saved) or (warned and isinstance(event, Notice)):
                yield event
        clips.append(read_audio(Path(order[-1])))
    return clips


def _measure(clips: Mapping[str, list[np.ndarray]], songs: Sequence[Song]) -> dict[str, Row]:
    """Each set beside the folder."""
    rows = {}
    for name, group in clips.items():
        tempi = [[song.bpm] for song in songs[: len(group)]]
        rows[name] = compare(group, clips[FOLDER], tempi)
    return rows


def _files(root: Path, name: str, count: int) -> list[Path]:
    stem = name.replace(", ", "_").replace(" ", "_")
    return [root / "clips" / f"{stem}_{number}.wav" for number in range(1, count + 1)]


def judge(rows: Mapping[str, Row], left: float, run: Path) -> None:
    """Raise ``RunError`` if more than a share ``left`` of the base's distance is left."""
    if not share(rows) < left:
        raise RunError(
            f"the adapter did not move the sound toward the folder: {share(rows):.0%} of the "
            f"base's distance is left, under {left:.0%} was expected",
            hint=f"did training go well? {run / 'loss.png'}",
        )


def _summary(page: Path, places: Places, rows: Mapping[str, Row], seconds: float) -> str:
    return f"""
How far the clips lie from the folder (from its songs as the small model's VAE gives them back):

{number_table(rows).text()}

distance: mean difference of 14 statistics of the sound, in standard deviations over songs
pulse: how strongly they beat at their tempo; scale: share of what is pitched on one scale

page     {page}
adapter  {places.adapter}

Style distance {rows[BASE].distance:.2f} before, {rows[ADAPTER].distance:.2f} after: \
{share(rows):.0%} is left. All in {duration(seconds)}."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; exit codes are those of ``acestep``."""
    parser = argparse.ArgumentParser("python -m acestep.mini.demo", description=demo.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), help="folder to fill")
    parser.add_argument("--model", default="mini", help="base model: name or folder")
    parser.add_argument("--json", action="store_true", help="print one event a line, as JSON")
    options = parser.parse_args(argv)
    size = Size(Lesson(model=options.model))
    screen = open_screen(sys.stdout, json=options.json, quiet=False)
    try:
        with closing(demo(options.output, size)) as happening:
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
