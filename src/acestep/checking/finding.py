"""One thing that a check found, and how findings are told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from acestep.events import Notice

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")  # the gravest first
_NAMED = 3  # songs that a notice about many names


@dataclass(frozen=True)
class Finding:
    """What is wrong, with which song (None: with the dataset), and what to do about it.

    ``code`` is short and stays the same between versions ("clipped", "no-caption"). ``message`` is
    about "it" where a song is named. ``value`` is what was measured, in the unit that the message
    gives; None where nothing was.
    """

    code: str
    level: Level
    song: str | None
    message: str
    advice: str = ""
    value: float | str | None = None


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, infos; within each, in the order in which they came."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def few(songs: list[str]) -> str:
    """The first of them by name, and how many more there are."""
    more = f" and {len(songs) - _NAMED} more" if len(songs) > _NAMED else ""
    return ", ".join(songs[:_NAMED]) + more


def notices(findings: Iterable[Finding]) -> Iterator[Notice]:
    """Findings for the events of another verb; what is true of several songs is said once."""
    alike: dict[tuple[Level, str, str], list[str]] = {}
    for finding in gravest_first(findings):
        advice = f" ({finding.advice})" if finding.advice else ""
        about = alike.setdefault((finding.level, finding.message + advice, finding.code), [])
        if finding.song is not None:
            about.append(finding.song)
    for (level, message, _), songs in alike.items():
        # A verb that goes on makes no error of it; what it cannot use it says itself.
        spoken = "info" if level == "info" else "warning"
        yield Notice(message, spoken, few(songs))
