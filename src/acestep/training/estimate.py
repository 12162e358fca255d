"""What a run with these knobs will take: memory, time and disk, a step's size, every switch.

Arithmetic over a situation; nothing is loaded. The machine may be this one or a card that was
named. What is predicted for a card is good to ±30 % in time; steps that were timed here
(:mod:`acestep.training.probe`) take the prediction's place where they can be had.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from acestep.config import TrainConfig
from acestep.render import DEFAULT_SECONDS
from acestep.speed.levels import LEVELS
from acestep.speed.pace import Choice
from acestep.speed.precision import STORED
from acestep.speed.roofline import Way
from acestep.training.clips import FEW_SONGS
from acestep.training.cost import Memory, predict_memory
from acestep.training.disk import Disk, count_previews, predict_disk
from acestep.training.foreseen import (
    expected_compiling,
    expected_filling,
    expected_graphs,
    expected_kernel,
    expected_precision,
    load_of,
    patches_of,
)
from acestep.training.pacing import how_it_lies
from acestep.training.settings import count_steps
from acestep.training.situation import Situation
from acestep.training.timing import Time, Work, predict_time

TIMES = 8  # at which a clip is evaluated
PASSES = {"turbo": 8}  # of a preview; other models take as many steps as below, guided
GUIDED_PASSES = 100


@dataclass(frozen=True)
class Parts:
    """How many clips are ``trained`` on, and how many go through an evaluation."""

    trained: int
    measured: int


@dataclass(frozen=True)
class Estimate:
    """What a run will take; ``switches`` are those of :class:`acestep.speed.pace.Pace` by name, as
    far as they can be foreseen."""

    memory: Memory
    time: Time
    disk: Disk
    samples_per_step: int
    switches: dict[str, Choice]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "memory": self.memory.as_dict(),
            "time": {**vars(self.time), "seconds": self.time.seconds},
            "disk": {**vars(self.disk), "total": self.disk.total, "fits": self.disk.fits},
            "effective_batch": self.samples_per_step,
            "total_steps": self.time.steps,
            "switches": {name: vars(choice) for name, choice in self.switches.items()},
        }


def estimate(
    s: Situation, config: TrainConfig, processes: int = 1, parts: Parts | None = None
) -> Estimate:
    """What a run takes. ``parts`` of the clips are as for the situation where they are not known;
    ``processes`` train together, each on a machine of its own."""
    parts = parts or expected_parts(s, config)
    per_step, _, steps = count_steps(config, parts.trained, processes)
    samples = -(-per_step // processes)
    precision = expected_precision(s, config)
    load = load_of(s, config, precision)
    level, at_once = expected_filling(s, config, load, samples)
    load = replace(load, level=LEVELS[LEVELS.index(str(level.value))])
    kernel = expected_kernel(s, precision)
    graphs = expected_graphs(s, config, kernel, level)
    mean, patches = patches_of(s, s.clip_seconds), patches_of(s, s.longest)
    clips = max(1, min(int(at_once.value) // mean, samples))
    compiled = expected_compiling(s, config, steps * ceil(samples / clips), mean * clips)
    together = max(patches, min(int(at_once.value), samples * patches))
    work = Work(
        steps,
        samples,
        mean,
        int(at_once.value),
        taught=config.teach_guidance > 1,
        kept=config.keep_untagged > 0,
        unlearned=unlearned(s, config, parts),
    )
    trained = load.adapter_parameters
    return Estimate(
        predict_memory(load, s.machine, together, ceil(together / patches), config.memory_limit),
        predict_time(s.base.shape, s.machine, trained, _way(config, level, compiled, graphs), work),
        predict_disk(config, trained, steps, here=s.machine.here),
        per_step,
        {
            "precision": precision,
            "base_precision": how_it_lies(config, precision),
            "attention": kernel,
            "checkpointing": level,
            "patches_at_once": at_once,
            "compiled": compiled,
            "graphs": graphs,
        },
    )


def _way(config: TrainConfig, level: Choice, compiled: Choice, graphs: Choice) -> Way:
    return Way(
        str(level.value),
        compiled=bool(compiled.value),
        graphs=bool(graphs.value),
        stored=config.base_precision in STORED,
        dora=config.adapter == "dora",
        dropout=config.dropout > 0,
    )


def expected_parts(s: Situation, config: TrainConfig) -> Parts:
    """How :func:`acestep.training.clips.split_clips` will divide as many clips, each song as long
    as the others."""
    if config.validation == 0:
        return Parts(s.clips, 0)
    clips_of_song = s.clips / s.songs
    own = s.clips / (1 + s.variants / s.songs)
    if s.songs < FEW_SONGS:
        return Parts(s.clips, round(own))
    held_out = min(s.songs - 1, max(1, round(config.validation * s.songs)))
    trained = max(1, round(s.clips - held_out * clips_of_song))
    return Parts(trained, round(2 * held_out * own / s.songs))


def unlearned(s: Situation, config: TrainConfig, parts: Parts) -> float:
    """Clips that go forward only, in evaluations and to make previews."""
    evaluations = (1 + ceil(config.epochs / config.validate_every)) if parts.measured else 0
    share = (config.preview_seconds or DEFAULT_SECONDS) / s.clip_seconds
    played = count_previews(config) * PASSES.get(s.base.variant, GUIDED_PASSES) * share
    return evaluations * TIMES * parts.measured + played
