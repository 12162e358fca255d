"""Advice on what has to do with memory: the presets of a card, and what to do where it is short."""

import math
from dataclasses import replace

from acestep.speed.levels import LEVELS
from acestep.speed.memory import CONTEXT, GIB, SLACK, Load
from acestep.training.advised import PLAIN, Advice, Given, config_of
from acestep.training.cost import KEPT, room
from acestep.training.filling import ENOUGH_PATCHES
from acestep.training.foreseen import expected_precision, load_of, patches_of
from acestep.training.presets import PRECISIONS, Preset, choose_preset, longest_clip, seconds_of
from acestep.training.situation import Situation

SMALL_CARD = 12.5  # GiB
SEGMENTS = (120.0, 60.0, 30.0)  # seconds to cut songs into


def base_precision(s: Situation, plan: Given) -> Advice | None:
    """In fewer bits only where a clip does not fit otherwise, however much is computed again."""
    preset = _preset(s, plan)
    if preset.base_precision == "auto" or not preset.fit.fits:
        return None
    whole = seconds_of(_load(s, plan), longest_clip(_load(s, plan), _room(s, plan)))
    reason = f"with the base as it is computed, {whole:.0f} s of music fit, and {s.longest:.0f} are"
    if whole == 0:
        reason = "the base as it is computed does not fit"
    return Advice("base_precision", preset.base_precision, f"{card_of(s)}: {reason}")


def checkpointing(s: Situation, plan: Given) -> Advice:
    """What is computed again; where the card is here, a run measures it."""
    fit = _preset(s, plan).fit
    peak = f"a peak of {fit.peak / GIB:.1f} GiB is predicted"
    if fit.level == "none":
        return Advice("gradient_checkpointing", "auto", f"predicted to fit as it is: {peak}")
    reason = f"{KEPT[fit.level]}: {peak}, and with more kept it does not fit into {card_of(s)}"
    if s.machine.here:
        return Advice("gradient_checkpointing", "auto", f"a run measures what fits; {reason}")
    return Advice("gradient_checkpointing", fit.level, reason)


def patches_at_once(s: Situation, plan: Given) -> Advice | None:
    """Fewer patches together than are worth it, where no more fit."""
    fit = _preset(s, plan).fit
    samples = plan["batch_size"] * plan["gradient_accumulation"]
    enough = fit.patches_at_once >= min(ENOUGH_PATCHES, samples * patches_of(s, s.longest))
    if s.machine.here or s.machine.kind != "cuda" or samples == 1 or enough or not fit.fits:
        return None
    return Advice("patches_at_once", fit.patches_at_once, f"as many as fit into {card_of(s)}")


def offload(s: Situation, plan: Given) -> Advice | None:
    """Whether preprocess lets its models take turns."""
    if s.machine.kind != "cuda" or s.machine.gib > 16.5 or s.scale < 1:
        return None
    reason = f"{s.machine.gib:.0f} GB: the guide offloads what is not at work"
    return Advice("offload", True, reason, "preprocess")


def tiles(s: Situation, plan: Given) -> Advice | None:
    """How much audio preprocess encodes at a time."""
    if s.machine.kind != "cuda" or s.machine.gib > SMALL_CARD or s.scale < 1:
        return None
    return Advice("tile_seconds", 10.0, "less audio at a time in the VAE", "preprocess")


def segments(s: Situation, plan: Given) -> Advice | None:
    """Shorter clips, or what else helps, where nothing fits."""
    preset = _preset(s, plan)
    if preset.fit.fits:
        return None
    for seconds in SEGMENTS:
        if seconds < s.longest and seconds <= preset.longest:
            reason = f"clips of {s.longest:.0f} s do not fit, not even with everything recomputed"
            return Advice("segment_seconds", seconds, reason, "preprocess")
    least = replace(_load(s, plan), rank=8, targets="attention", base_precision=PRECISIONS[-1])
    short = patches_of(s, min(SEGMENTS[-1], s.longest))
    if longest_clip(least, _room(s, plan)) >= short:
        return Advice("rank", "a lower --rank, or shorter segments", "nothing else fits", PLAIN)
    needed = replace(_load(s, plan), level=LEVELS[-1], base_precision="auto")
    total = (needed.peak(short) * SLACK + CONTEXT) / GIB
    what = f"a card with {math.ceil(total)} GiB or more, or a smaller base"
    return Advice("gpu", what, f"{s.base.name} does not fit into {s.machine.gib:.0f} GiB", PLAIN)


def cures(s: Situation, plan: Given) -> list[Advice]:
    """What to do where memory is short for the knobs of a ``plan``: a base in fewer bits, shorter
    clips, or another card."""
    free = {**plan, "base_precision": "auto", "gradient_checkpointing": "auto"}
    found = [rule(s, free) for rule in (base_precision, segments)]
    return [advice for advice in found if advice is not None]


def _preset(s: Situation, plan: Given) -> Preset:
    """What fits the machine beside the knobs that are settled."""
    given = plan.get("base_precision", "auto")
    precisions = PRECISIONS if given == "auto" and s.machine.kind == "cuda" else (given,)
    level = plan.get("gradient_checkpointing", "auto")
    return choose_preset(
        _load(s, plan),
        patches_of(s, s.longest),
        _room(s, plan),
        precisions=precisions,
        levels=LEVELS if level == "auto" else (level,),
    )


def _load(s: Situation, plan: Given) -> Load:
    config = config_of(plan)
    return load_of(s, config, expected_precision(s, config))


def _room(s: Situation, plan: Given) -> float:
    return room(s.machine, plan.get("memory_limit"))


def card_of(s: Situation) -> str:
    """The memory in words."""
    if s.machine.kind != "cuda":
        return "the least memory (there is no card here to fill)"
    return f"{s.machine.gib:.0f} GB"
