"""Which checkpoint, at which strength: one rule, the same for every run.

1. Out of the race: sound that is silent or broken, an adapter that does nothing, clips that are all
   the same, one that listeners find farther from the songs than the base. So is one most of whose
   clips clearly copy a song; if that holds for all, all stay.
2. Of the rest the one with the lowest score leads. The score is what is left of the base's style
   distance (0 at the songs, 1 at the base) plus what is missing of the best gain in held-out loss
   (0 at the best, 1 at the base) plus half the share of clips that clearly copy, beyond the base's.
   The first alone falls when songs are learnt by heart, the second alone does not hear what is
   made. Copies count by their share, since in a style that repeats itself a song that was never
   trained on is now and then taken for a copy; and by half, since half of the prompts are the
   songs' own.
3. A candidate ties with the leader if its score is higher by no more than ``MARGIN``. Of those that
   tie, the earlier checkpoint is recommended, and of two strengths of it the one nearer to 1.
4. How sure: the same rule over bootstrap draws of songs and prompts; the share that picks the same.

Both parts are draws ``[1 + n]``: the estimate and then n bootstrap values, each of which resamples
the same songs and prompts for all candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MARGIN = 0.02
MOSTLY = 0.5  # of the clips
COPIES = 0.5  # what their share weighs
INTERVAL = (5.0, 95.0)  # percentiles


@dataclass(frozen=True, eq=False)
class Candidate:
    """One checkpoint at one strength. ``place`` orders checkpoints; ``left`` is of the style
    distance, ``missing`` of the gain in held-out loss (None where nothing was held out); ``copied``
    is the share of clips that clearly copy, beyond the base's; ``out`` says why it is not
    recommended."""

    checkpoint: str
    place: int
    left: np.ndarray = field(repr=False)
    missing: np.ndarray | None = field(default=None, repr=False)
    strength: float = 1.0
    copied: float = 0.0
    out: str = ""

    @property
    def scores(self) -> np.ndarray:
        """The lower the better."""
        missing = 0 if self.missing is None else self.missing
        return self.left + missing + COPIES * self.copied

    @property
    def label(self) -> str:
        """For people."""
        return self.checkpoint if self.strength == 1 else f"{self.checkpoint} at {self.strength:g}"


@dataclass(frozen=True)
class Choice:
    """The recommended candidate, or None if all are out.

    ``shares`` are the parts of the bootstrap draws that pick each candidate, ``outs`` why each is
    not in the race (empty where it is); ``tied`` could as well be taken.
    """

    candidates: tuple[Candidate, ...]
    outs: tuple[str, ...]
    shares: tuple[float, ...]
    picked: Candidate | None = None
    leader: Candidate | None = None
    tied: tuple[Candidate, ...] = ()

    @property
    def confidence(self) -> float:
        """The share of the draws that picks the same candidate; 0 if there is none."""
        if self.picked is None:
            return 0.0
        return self.shares[self.candidates.index(self.picked)]

    @property
    def sentence(self) -> str:
        """The recommendation, and how sure it is."""
        if self.picked is None:
            return "None is recommended: every candidate is out of the race."
        sure = f"{100 * self.confidence:.0f} % of the draws of songs and prompts choose it"
        others = [c.label for c in self.tied if c is not self.picked]
        if not others:
            return f"{self.picked.label} is recommended: {sure}."
        named = ", ".join(others[:4]) + (" …" if len(others) > 4 else "")
        return f"{self.picked.label} is recommended: {sure}. About as near: {named}."

    def reasons(self) -> list[str]:
        """Why this one, a sentence each."""
        found = []
        if self.picked is not None and self.leader is not None:
            found.append(f"Of {self.picked.label} {_parts(self.picked)}.")
            if self.picked is not self.leader:
                found.append(
                    f"Of {self.leader.label} {_parts(self.leader)}: hardly a difference. Of such "
                    "the earlier is taken, and the strength nearer to 1."
                )
        pairs = zip(self.candidates, self.outs, strict=True)
        return found + [f"{c.label} is out: {out}." for c, out in pairs if out]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "checkpoint": None if self.picked is None else self.picked.checkpoint,
            "strength": 1.0 if self.picked is None else self.picked.strength,
            "confidence": round(self.confidence, 3),
            "sentence": self.sentence,
            "reasons": self.reasons(),
            "rule": RULE,
            "candidates": [
                {
                    "checkpoint": c.checkpoint,
                    "strength": c.strength,
                    "share": round(share, 3),
                    "out": out or None,
                    **_range(c.scores),
                    "style_left": _range(c.left)["score"],
                    "gain_missing": None if c.missing is None else _range(c.missing)["score"],
                }
                for c, out, share in zip(self.candidates, self.outs, self.shares, strict=True)
            ],
        }


RULE = (
    "The lowest score leads: what is left of the base's style distance, plus what is missing of "
    "the best gain in held-out loss, plus half the share of clips that clearly copy a song. Out of "
    "the race: mostly copies, collapse, broken sound, adapters that do nothing and those that "
    "listeners liked less than the base. Scores within "
    f"{MARGIN:g} of the leader's tie with it: the earliest such checkpoint is taken, at the "
    "strength nearest to 1."
)


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Apply the rule. Without candidates, or with all of them out, nothing is picked."""
    outs = tuple(_outs(candidates))
    racing = [c for c, out in zip(candidates, outs, strict=True) if not out]
    if not racing:
        return Choice(tuple(candidates), outs, tuple(0.0 for _ in candidates))
    scores = np.stack([c.scores for c in racing])
    picks = [_first(racing, draw) for draw in scores[:, 1:].T if np.isfinite(draw).all()]
    shares = tuple(sum(pick is c for pick in picks) / max(1, len(picks)) for c in candidates)
    tied = tuple(_tied(racing, scores[:, 0]))
    leader = racing[int(np.argmin(scores[:, 0]))]
    return Choice(tuple(candidates), outs, shares, _first(racing, scores[:, 0]), leader, tied)


def _outs(candidates: Sequence[Candidate]) -> list[str]:
    """Why each is out; copying is no reason if nothing else is left."""
    outs = [
        c.out or ("" if np.isfinite(c.scores[0]) else "its style cannot be told")
        for c in candidates
    ]
    left = [c.copied for c, out in zip(candidates, outs, strict=True) if not out]
    if min(left, default=0) > MOSTLY:
        return outs
    return [
        out or (f"{_share(c.copied)} copy a song" if c.copied > MOSTLY else "")
        for c, out in zip(candidates, outs, strict=True)
    ]


def _tied(racing: Sequence[Candidate], scores: np.ndarray) -> list[Candidate]:
    best = scores.min()
    return [c for c, score in zip(racing, scores, strict=True) if score <= best + MARGIN]


def _first(racing: Sequence[Candidate], scores: np.ndarray) -> Candidate:
    return min(_tied(racing, scores), key=lambda c: (c.place, abs(c.strength - 1), c.strength))


def _range(scores: np.ndarray) -> dict[str, float | None]:
    """Estimate and interval; None where there is no number."""
    draws = scores[1:][np.isfinite(scores[1:])]
    low, high = np.percentile(draws, INTERVAL) if len(draws) else (np.nan, np.nan)
    numbers = {"score": scores[0], "low": low, "high": high}
    return {key: round(float(n), 4) if np.isfinite(n) else None for key, n in numbers.items()}


def _parts(candidate: Candidate) -> str:
    values = _range(candidate.left)
    low, high = (f"{100 * (values[key] or 0):.0f}" for key in ("low", "high"))
    said = f"{100 * (values['score'] or 0):.0f} % [{low} to {high}] of the base's distance is left"
    if candidate.missing is not None:
        missing = _range(candidate.missing)["score"] or 0
        said += f", {100 * missing:.0f} % of the best gain in held-out loss is missing"
    return f"{said}, {_share(candidate.copied)} copy a song" if candidate.copied else said


def _share(copied: float) -> str:
    return f"{100 * copied:.0f} % of its clips clearly"
