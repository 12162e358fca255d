"""Whether the activation tag is the switch: four cells of clips at the same prompts and seeds.

The adapter on and off, the tag in the caption and out of it. Each clip has a position between the
base (0) and the songs (1); what the tag does, and what the adapter does without it, are differences
of cells, clip by clip, with 90 % intervals from resampling the prompts. The two add up to the whole
way from the plain base to the tagged adapter, so their shares can be told.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DRAWS = 2000
INTERVAL = (5.0, 95.0)  # percentiles
FEWEST = 8  # clips in a cell for a verdict
SMALL_SHARE, LARGE_SHARE = 1 / 3, 2 / 3  # of the way that is gone without the tag


@dataclass(frozen=True)
class Estimate:
    """A mean with its 90 % interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval lies on one side of zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Cells:
    """Positions ``[m]`` of the clips of each cell; the same place is the same prompt and seed."""

    on_tag: np.ndarray
    on_plain: np.ndarray
    off_tag: np.ndarray
    off_plain: np.ndarray


@dataclass(frozen=True)
class Tag:
    """What the tag does. ``word`` is the verdict: ``switches``, ``partly``, ``leaks``,
    ``nothing to switch`` or ``cannot be told``.

    ``switch`` is the tag's effect with the adapter on, ``leak`` the adapter's without the tag,
    ``gain`` both together; ``alone`` is the tag's effect on the base. ``share`` is leak / gain,
    None where there is no gain to share.
    """

    cells: dict[str, Estimate]
    clips: int
    switch: Estimate
    leak: Estimate
    gain: Estimate
    alone: Estimate
    share: Estimate | None
    word: str
    sentence: str
    advice: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["share_without_tag"] = values.pop("share")
        values["cells"] = {
            name: {"position": cell["value"], "low": cell["low"], "high": cell["high"],
                   "clips": self.clips}
            for name, cell in values["cells"].items()
        }  # fmt: skip
        return values


def judge_tag(cells: Cells, tag: str, seed: int = 0) -> Tag:
    """Estimate each effect and put it into words; ``tag`` is named in them.

    A place that is not finite in some cell (a silent clip) is left out of all.
    """
    rows = np.stack([cells.on_tag, cells.on_plain, cells.off_tag, cells.off_plain]).astype(float)
    rows = rows[:, np.isfinite(rows).all(0)]
    count = rows.shape[1]
    if count == 0:
        rows, count = np.zeros((4, 1)), 0
    places = np.random.default_rng(seed).integers(0, rows.shape[1], (DRAWS, rows.shape[1]))
    drawn = rows[:, places].mean(2)
    on_tag, on_plain, off_tag, off_plain = np.concatenate([rows.mean(1)[:, None], drawn], axis=1)
    switch, leak, gain, alone = map(
        _estimate,
        (on_tag - on_plain, on_plain - off_plain, on_tag - off_plain, off_tag - off_plain),
    )
    share = None
    if gain.sign > 0:
        share = _estimate((on_plain - off_plain) / np.maximum(on_tag - off_plain, 1e-9))
    names = ("on_tag", "on_plain", "off_tag", "off_plain")
    word = _word(count, switch, leak, gain, share)
    return Tag(
        dict(zip(names, map(_estimate, (on_tag, on_plain, off_tag, off_plain)), strict=True)),
        count,
        switch,
        leak,
        gain,
        alone,
        share,
        word,
        _sentence(word, tag, count, switch, leak, share, alone),
        _advice(word, tag),
    )


def _estimate(draws: np.ndarray) -> Estimate:
    """The first number is the estimate, the others are its bootstrap draws."""
    low, high = np.percentile(draws[1:], INTERVAL)
    return Estimate(float(draws[0]), float(low), float(high))


def _word(
    count: int, switch: Estimate, leak: Estimate, gain: Estimate, share: Estimate | None
) -> str:
    if count < FEWEST:
        return "cannot be told"
    if share is None:
        return "leaks" if leak.sign > 0 else "nothing to switch"
    if switch.sign > 0:
        return "switches" if leak.sign <= 0 or share.value < SMALL_SHARE else "partly"
    if leak.sign > 0 and share.value > LARGE_SHARE:
        return "leaks"
    return "cannot be told"


def _sentence(
    word: str,
    tag: str,
    count: int,
    switch: Estimate,
    leak: Estimate,
    share: Estimate | None,
    alone: Estimate,
) -> str:
    numbers = (
        f"The tag moves the adapter's clips by {_shown(switch)} of the way from the base to your "
        f"songs; without it the adapter moves them by {_shown(leak)}"
    )
    told = {
        "switches": f"“{tag}” switches the style.",
        "partly": f"“{tag}” switches part of the style, and part of it is there without the tag.",
        "leaks": f"The style leaks: it is there whether “{tag}” is in the caption or not.",
        "nothing to switch": f"With or without “{tag}” the adapter does not come nearer to your "
        "songs, so there is nothing to switch.",
        "cannot be told": f"Whether “{tag}” switches the style cannot be told from {count} clips.",
    }[word]
    part = "" if share is None else f" ({100 * share.value:.0f} % of the whole)"
    base = f" The base itself follows the tag, by {_shown(alone)}." if alone.sign > 0 else ""
    return f"{told} {numbers}{part}.{base}"


def _advice(word: str, tag: str) -> str:
    return {
        "switches": f"Put “{tag}” into the caption for the style, and leave it out for other "
        "music; the adapter can stay on.",
        "partly": "For other music lower the adapter's strength or take it off. To leave less of "
        "the style where the tag is not, train again with --keep-untagged 2, or more of it.",
        "leaks": "Use the adapter for this style only, and take it off for other music. To make "
        "the tag a switch, train again with --keep-untagged 2: then prompts without the tag have "
        "to stay as the base plays them. Songs of other kinds among yours, without the tag and "
        "with captions that say what they are, teach the difference as well.",
        "nothing to switch": "Train longer, or at a higher learning rate or rank, before judging "
        "the tag.",
        "cannot be told": "Evaluate again with more clips (--clips 32).",
    }[word]


def _shown(estimate: Estimate) -> str:
    low, high = (f"{100 * value:.0f}" for value in (estimate.low, estimate.high))
    return f"{100 * estimate.value:.0f} % [{low} to {high}]"
