"""Settings by the size of a card, found with the memory model instead of being listed.

Speed first: the base as it is computed, and of the levels of checkpointing the first at which the
longest clip fits. Only where not even the last one does, the base lies in fewer bits, which costs
a little of what is learned. The rank stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.shape import SHAPES
from acestep.speed.levels import LEVELS, Level
from acestep.speed.memory import GIB, Fit, Load, fill, peaks, usable
from acestep.training.filling import ENOUGH_PATCHES

SIZES = (6, 8, 12, 16, 24, 40, 80)  # GB of usual cards
MODELS = {"2B": "acestep-v15-turbo", "XL": "acestep-v15-xl-turbo"}  # in the documentation
PRECISIONS = ("auto", "int8", "nf4")  # how the base may lie: as it is computed, or in fewer bits


@dataclass(frozen=True)
class Preset:
    """How the base lies, the level of checkpointing and the patches at once (``fit``), and the
    longest clip in seconds that a card takes with that base."""

    base_precision: str
    fit: Fit
    longest: float


def choose_preset(
    load: Load,
    patches: int,
    room: float,
    *,
    enough: int = ENOUGH_PATCHES,
    precisions: Sequence[str] = PRECISIONS,
    levels: Sequence[Level] = LEVELS,
) -> Preset:
    """The fastest settings with which a clip of so many ``patches`` fits into ``room`` bytes.

    ``enough`` are as many patches as are worth going together; ``precisions`` of the base and
    ``levels`` are those that come into question. Where nothing fits, the last of each.
    """
    for kept in precisions:
        load = replace(load, base_precision=kept)
        fit = fill(peaks(load, patches), patches, enough, room, levels)
        if fit.fits:
            break
    return Preset(load.base_precision, fit, seconds_of(load, longest_clip(load, room)))


def longest_clip(load: Load, room: float) -> int:
    """Patches of the longest clip that fits into ``room`` with everything computed again; 0 where
    not even the base does."""
    load = replace(load, level=LEVELS[-1])
    short, long = 1000, 2000
    each = (load.peak(long) - load.peak(short)) / (long - short)
    return max(0, int((room - load.peak(short)) / each) + short)


def patches_in(load: Load, seconds: float) -> int:
    """Patches of a clip."""
    return ceil(round(seconds * FRAMES_PER_SECOND) / load.shape.patch)


def seconds_of(load: Load, patches: int) -> float:
    """The length of a clip."""
    return patches * load.shape.patch / FRAMES_PER_SECOND


def presets_table() -> str:
    """The presets of usual cards as Markdown: rank 64 on attention, clips of 60 and of 240 s."""
    lines = [
        "| card | model | base | clips of 60 s | clips of 240 s | longest clip |",
        "|---|---|---|---|---|---|",
    ]
    for model, name in MODELS.items():
        load = Load(SHAPES[name])
        for gib in SIZES:
            room = usable(gib * GIB)
            found = [choose_preset(load, patches_in(load, seconds), room) for seconds in (60, 240)]
            ways = [
                f"{one.fit.level}, {one.fit.patches_at_once // patches_in(load, seconds)} at once"
                for one, seconds in zip(found, (60, 240), strict=True)
            ]
            kept = " / ".join(dict.fromkeys(one.base_precision for one in found))
            longest = f"{found[-1].longest / 60:.0f} min"
            cells = [f"{gib} GB", model, kept.replace("auto", "bf16"), *ways, longest]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
