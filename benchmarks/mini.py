"""How good and how fast the small base model is, beside the corpus, chance and another model.

    python benchmarks/mini.py
    python benchmarks/mini.py --only generate --clips 12
    python benchmarks/mini.py --against another/folder --json marks.json

Every row is a measure on songs that nothing was trained on (:mod:`acestep.mini.trial`). *corpus* is
what the songs themselves reach as rendered, *VAE* what they reach once encoded and decoded,
*chance* what the labels of another song, or the VAE's sound for white latents, come to. A row with
a bound says whether it was met. Times are CPU seconds, so that other work on the machine counts
little.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from machine import hardware

from acestep.events import Step
from acestep.mini.corpus import compose, render
from acestep.mini.soundfont import has_fluidsynth, render_soundfont
from acestep.mini.teach import Lesson, Places, teach
from acestep.mini.trial import (
    FIRST_SEED,
    SECONDS,
    Mark,
    Trial,
    cover_marks,
    generate_marks,
    repaint_marks,
    sound_marks,
    vae_marks,
)
from acestep.mini.trial_lora import lora_marks
from acestep.model.vae import decode_audio

TASKS = ("vae", "soundfont", "generate", "repaint", "cover", "lora", "speed")
SOURCES = 72  # songs that are repainted and covered, at most


def measure(task: str, trial: Trial, folder: Path) -> list[Mark]:
    """The marks of a task; what it has to write goes into ``folder``."""
    match task:
        case "vae":
            return vae_marks(trial)
        case "soundfont":
            return soundfont_marks(trial)
        case "generate":
            return generate_marks(trial)
        case "repaint":
            return repaint_marks(trial, SOURCES)
        case "cover":
            return cover_marks(trial, SOURCES)
        case "lora":
            return lora_marks(trial, folder)
    return speed_marks(trial, folder)


def soundfont_marks(trial: Trial) -> list[Mark]:
    """What the VAE keeps of the same songs played by sampled instruments."""
    if not has_fluidsynth():
        print("soundfont: FluidSynth or its sound font is not installed")
        return []
    songs = [example.song for example in trial.examples[::2]]
    sources = [(render_soundfont(song), float(song.bpm)) for song in songs]
    return sound_marks("soundfont", trial, sources, highest_error=1.0)


def speed_marks(trial: Trial, folder: Path) -> list[Mark]:
    """CPU time of what a user waits for."""
    example, seeds = trial.examples[0], itertools.count(FIRST_SEED + 2_000)
    latents = trial.encode(example.audio)
    seconds = {
        "make": cpu_seconds(lambda: trial.make(example.caption, 0, example.song)),
        "encode": cpu_seconds(lambda: trial.encode(example.audio)),
        "decode": cpu_seconds(lambda: decode_audio(trial.vae, latents)),
        "write": cpu_seconds(lambda: render(compose(next(seeds), 3 * SECONDS)), rounds=24),
    }
    lesson = Lesson(songs=4, epochs=8, model=trial.model)
    ends = []
    for event in teach(Places.below(folder / "speed", "speed"), lesson):
        if isinstance(event, Step):
            ends.append(time.process_time())
    steps = [after - before for before, after in zip(ends[:-1], ends[1:], strict=True)]
    return [
        Mark("speed", "music made, s a CPU s", SECONDS / seconds["make"]),
        Mark("speed", "encode, CPU s a s", seconds["encode"] / SECONDS, high=0.1),
        Mark("speed", "decode, CPU s a s", seconds["decode"] / SECONDS, high=0.1),
        Mark("speed", "training step, CPU s", statistics.median(steps)),
        Mark("speed", "corpus, s a CPU s", 3 * SECONDS / seconds["write"], low=20.0),
    ]


def cpu_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """The median of a few runs, after one to warm up."""
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def table(marks: list[Mark], others: list[Mark]) -> str:
    """The marks as text, beside those of another model if there are any."""
    rivals = {(mark.task, mark.measure): mark.value for mark in others}
    head = ["", "", "model", *(["against"] if others else []), "corpus", "VAE", "chance", "bound"]
    rows = [head]
    for mark in marks:
        bound = f"≥ {mark.low:g}" if mark.low is not None else ""
        bound = f"≤ {mark.high:g}" if mark.high is not None else bound
        verdict = {None: "", True: "met", False: "missed"}[mark.passed]
        rival = [_number(rivals.get((mark.task, mark.measure)))] if others else []
        numbers = [_number(value) for value in (mark.corpus, mark.vae, mark.chance)]
        rows.append(
            [mark.task, mark.measure, _number(mark.value), *rival, *numbers, f"{bound} {verdict}"]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 or column == len(head) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """Measure what was asked for, print a table a task, and the marks as JSON if wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini", help="name or folder of the base model")
    parser.add_argument("--against", help="another base model, for a column of its own")
    parser.add_argument("--only", default=",".join(TASKS), help=f"of {','.join(TASKS)}")
    parser.add_argument("--clips", type=int, default=36, help="songs; the styles take turns")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the marks")
    options = parser.parse_args()
    tasks = options.only.split(",")
    if unknown := set(tasks) - set(TASKS):
        parser.error(f"--only {','.join(sorted(unknown))}: of {','.join(TASKS)}")
    torch.set_num_threads(options.threads)
    models = [options.model, *([options.against] if options.against else [])]
    trials = [Trial(model, options.clips) for model in models]
    print(f"{hardware(torch.device('cpu'))}, torch {torch.__version__}")
    print(f"{' against '.join(models)}: {options.clips} songs of {SECONDS:g} s each")
    found: dict[str, list[Mark]] = {model: [] for model in models}
    for task in tasks:
        start = time.process_time()
        both = []
        for trial in trials:
            with tempfile.TemporaryDirectory() as folder:
                both.append(measure(task, trial, Path(folder)))
            found[trial.model] += both[-1]
        print(table(both[0], both[1] if len(both) > 1 else []))
        print(f"({task}: {time.process_time() - start:.0f} CPU s)\n", flush=True)
    if options.json:
        marks = {model: [asdict(mark) for mark in group] for model, group in found.items()}
        options.json.write_text(json.dumps(marks, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
