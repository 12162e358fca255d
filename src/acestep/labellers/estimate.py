"""What a labeller says of one label, and how sure it is."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A value, how sure its source is of it, and what it would have said otherwise.

    ``confidence`` is from 0 (a guess) to 1; ``runner_up`` is None where there is no other
    candidate. ``source`` names who says so: "analysis", "beat-this", "music-lm" and so on.
    """

    value: Any
    confidence: float
    runner_up: Any = None
    source: str = "analysis"

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"a confidence is from 0 to 1, not {self.confidence}")

    def as_dict(self) -> dict[str, Any]:
        """What a dataset file keeps of it."""
        return {**asdict(self), "confidence": round(self.confidence, 3)}
