"""What an evaluation measured of an adapter, as far as its card repeats it.

Made from ``report.json`` of ``acestep evaluate``: the answers in words, the recommended strength,
a prompt to begin with, and the controls beside which the numbers stand.
"""

from collections.abc import Mapping
from typing import Any

_ANSWERS = ("question", "answer", "sentence")
_CONTROLS = ("name", "expected", "found")


def measured(report: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    """The part of a report that concerns a checkpoint; empty if it was not evaluated."""
    if checkpoint not in [judged.get("name") for judged in _dicts(report.get("checkpoints"))]:
        return {}
    choice, verdict = _dict(report.get("choice")), _dict(report.get("verdict"))
    about = _dict(report.get("about"))
    chosen = choice.get("checkpoint")
    return {
        "headline": str(verdict.get("headline", "")),
        "chosen": str(chosen or ""),
        "strength": choice.get("strength") if chosen == checkpoint else None,
        "prompt": _prompt(_dicts(report.get("prompts"))),
        "clips": about.get("clips"),
        "answers": [
            {key: str(row.get(key, "")) for key in _ANSWERS}
            for row in _dicts(verdict.get("questions"))
        ],
        "controls": [
            {key: str(row.get(key, "")) for key in _CONTROLS}
            for row in _dicts(_dict(report.get("controls")).get("rows"))
        ],
    }


def _prompt(prompts: list[dict[str, Any]]) -> str:
    """A caption that belongs to no song, if there is one: cards are shared, captions are not."""
    new = [prompt for prompt in prompts if prompt.get("kind") == "new"]
    return str(new[0].get("caption", "")) if new else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
