"""The score that ``acestep evaluate`` gave a trial: how near it comes to the songs."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep.errors import RunError


@dataclass(frozen=True)
class Heard:
    """``score`` is what is left of the base's distance to the songs' style: 0 at the songs, 1 at
    the base. (A report's own score also counts held-out loss against the best of its run, which
    two runs do not share.)"""

    score: float
    facts: dict[str, Any]


def read_score(folder: Path) -> Heard:
    """The score of the checkpoint that a report recommends.

    Raises ``RunError`` if the report is missing or damaged, or recommends none of the checkpoints:
    all of them copy, collapse or do nothing.
    """
    path = folder / "report.json"
    try:
        choice = json.loads(path.read_text(encoding="utf-8"))["choice"]
        picked = (choice["checkpoint"], choice["strength"])
        scores = {
            (row["checkpoint"], row["strength"]): row["style_left"] for row in choice["candidates"]
        }
        reasons = [row["out"] for row in choice["candidates"] if row["out"]]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not a report that can be read: {error!r}") from error
    score = scores.get(picked)
    if not isinstance(score, int | float) or not math.isfinite(score):
        why = f": {reasons[0]}" if reasons else ""
        raise RunError(f"evaluate recommends none of its checkpoints{why}")
    facts = {"checkpoint": picked[0], "strength": picked[1]}
    return Heard(float(score), facts)
