"""Votes of a blind test: read, held against the key, and counted.

The page says a result of its own; what counts is the key that lies beside the page. A file whose
result is not what the key makes of its votes was changed, and is refused.
"""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from acestep.data.files import shown
from acestep.errors import RunError
from acestep.judging.ab import read_key
from acestep.judging.ab_page import Test

FORMAT = 1
LEVEL = 0.05  # of p: below, a preference is more than chance does
FEWEST = 6  # decided pairs that can reach it: 2 / 2^6 < 0.05 < 2 / 2^5


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class _Vote(_Strict):
    pair: str
    choice: Literal["a", "b", "same"]


class _Result(_Strict):
    adapter: int
    base: int
    same: int


class _Exported(_Strict):
    """What the page saves."""

    format: int
    test: str
    votes: list[_Vote]
    result: _Result | None = None


def count_votes(path: Path, folder: Path) -> dict[str, Any]:
    """What the votes in a file say of the adapter, as ``report.json`` keeps it under ``votes``.

    ``folder`` is the evaluation's. ``p`` is of the exact two-sided binomial test of one half, over
    the pairs in which one side was preferred. Raises ``RunError`` for a file that is missing,
    damaged, changed, or of a test whose key is not in the folder.
    """
    exported = _read(path)
    tests = read_key(folder)
    if exported.test not in tests:
        raise RunError(
            f"{shown(path)} holds votes of another test: {shown(folder)} has no key for "
            f"{exported.test!r}",
            hint="pass the folder whose ab.html was voted on",
        )
    test = tests[exported.test]
    sides = {pair.pair: pair.adapter for pair in test.pairs}
    _hold(path, exported, sides)
    decided = [sides[vote.pair] == vote.choice for vote in exported.votes if vote.choice != "same"]
    adapter, base = sum(decided), len(decided) - sum(decided)
    same = len(exported.votes) - len(decided)
    if exported.result and exported.result != _Result(adapter=adapter, base=base, same=same):
        raise _changed(path, "its result is not what its votes make")
    p = sign_test(adapter, len(decided))
    return {
        "file": shown(path),
        "test": test.digest,
        "checkpoint": test.checkpoint,
        "strength": test.strength,
        "pairs": len(exported.votes),
        "adapter": adapter,
        "base": base,
        "same": same,
        "p": p,
        "sentence": sentence(test, adapter, base, p),
        "used": True,
    }


def sign_test(hits: int, total: int) -> float:
    """The exact two-sided p of ``hits`` of ``total`` against one half; 1 for no votes at all."""
    tail = sum(math.comb(total, k) for k in range(min(hits, total - hits) + 1))
    return min(1.0, 2 * tail / 2**total)


def sentence(test: Test, adapter: int, base: int, p: float) -> str:
    """The result in words."""
    decided = adapter + base
    if decided == 0:
        return "In the blind test neither was preferred in any pair: it says nothing."
    value = "p < 0.001" if p < 0.001 else f"p = {p:.3g}"
    found = (
        f"In the blind test {test.checkpoint} at strength {test.strength:g} was preferred to the "
        f"base in {adapter} of {decided} decided pairs ({value}, exact two-sided binomial test)"
    )
    if p < LEVEL:
        nearer = "nearer to the songs than" if adapter > base else "farther from the songs than"
        return f"{found}: to the listener it is {nearer} the base."
    if decided < FEWEST:
        return f"{found}. So few pairs cannot show a difference."
    return f"{found}: that can be chance."


def _read(path: Path) -> _Exported:
    try:
        exported = _Exported.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(
            f"{shown(path)} cannot be read: {error.strerror}",
            hint="ab.html saves it at the end of the blind test",
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RunError(
            f"{shown(path)} holds no votes: {place + ': ' if place else ''}{problem['msg']}",
            hint="ab.html saves such a file at the end of the blind test",
        ) from error
    if exported.format > FORMAT:
        raise RunError(
            f"{shown(path)} has format {exported.format}, this version reads up to {FORMAT}",
            hint="update acestep",
        )
    return exported


def _hold(path: Path, exported: _Exported, sides: dict[str, str]) -> None:
    """Each vote is for a pair of the test, and no pair has two."""
    pairs = [vote.pair for vote in exported.votes]
    foreign = [pair for pair in pairs if pair not in sides]
    if foreign:
        raise _changed(path, f"the test has no pair {foreign[0]!r}")
    if len(set(pairs)) < len(pairs):
        raise _changed(path, "a pair has two votes")


def _changed(path: Path, what: str) -> RunError:
    return RunError(
        f"{shown(path)} was changed: {what}", hint="export the votes again, from the page"
    )
