"""Values out of what detectors wrote, whatever is missing there."""

from typing import Any

from acestep.judging.layout import Estimate

LARGEST = 1e12


def dig(record: Any, *path: str) -> Any:
    """What lies at a path of keys; None where a step of it is missing."""
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def number(record: Any, *path: str) -> float | None:
    """A number that can be drawn at a path, else None."""
    value = dig(record, *path)
    return float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    """Whether it can be drawn: neither NaN nor beyond all measure."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def estimate(record: Any, *path: str) -> Estimate | None:
    """A value with its interval at a path: ``{"value", "low", "high"}``, or a number alone."""
    value = dig(record, *path)
    if isinstance(value, dict):
        middle = number(value, "value")
        low, high = number(value, "low"), number(value, "high")
        return None if middle is None else Estimate(value=middle, low=low, high=high)
    middle = number(record, *path)
    return None if middle is None else Estimate(value=middle)


def text(record: Any, *path: str) -> str:
    """A text at a path, else an empty one."""
    value = dig(record, *path)
    return value if isinstance(value, str) else ""


def entries(record: Any, *path: str) -> list[Any]:
    """A list at a path, else an empty one."""
    value = dig(record, *path)
    return value if isinstance(value, list) else []


def sentences(record: Any) -> list[str]:
    """What a detector says: its ``verdict`` or ``sentence``, and its ``sentences``, each once."""
    said = [text(record, "verdict"), text(record, "sentence"), *entries(record, "sentences")]
    return list(dict.fromkeys(one for one in said if isinstance(one, str) and one))


def shown_number(value: float | None, places: int = 2, signed: bool = False) -> str:
    """A number for a table, with a real minus; a dash for none."""
    if value is None:
        return "–"
    return f"{value:{'+' if signed else ''}.{places}f}".replace("-", "−")


def shown_estimate(one: Estimate | None, places: int = 2, signed: bool = False) -> str:
    """``0.42 (0.30 to 0.55)``; a dash for none."""
    if one is None or one.value is None:
        return "–"
    value = shown_number(one.value, places, signed)
    if one.low is None or one.high is None:
        return value
    low, high = (shown_number(edge, places, signed) for edge in (one.low, one.high))
    return f"{value} ({low} to {high})".replace(" ", "\N{NO-BREAK SPACE}")


def clock(seconds: float) -> str:
    """``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
