"""What came out of a sweep: rows for people, for spreadsheets, for programs."""

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acestep.knobs import number
from acestep.sweeping.study import Row
from acestep.sweeping.trial import flags_of

HEAD = ("trial", "state", "score", "epoch", "minutes")


def ordered(rows: Sequence[Row]) -> list[Row]:
    """The best first; then those without a score, in their order."""
    return sorted(rows, key=lambda row: (row.score is None, row.score or 0.0, row.number))


def best_row(rows: Sequence[Row]) -> Row | None:
    """The trial with the lowest score, if any is done."""
    return next((row for row in ordered(rows) if row.score is not None), None)


def cells(row: Row, knobs: Sequence[str]) -> list[str]:
    """One trial under :data:`HEAD`, then its settings, then why it failed."""
    seconds, epoch = row.facts.get("seconds"), row.facts.get("epoch")
    return [
        str(row.number),
        row.state,
        "" if row.score is None else f"{row.score:+.4f}",
        "" if epoch is None else str(epoch),
        "" if seconds is None else f"{seconds / 60:.1f}",
        *(text(row.settings.get(name, "")) for name in knobs),
        str(row.facts.get("reason", "")),
    ]


def as_text(rows: Sequence[Row], knobs: Sequence[str]) -> str:
    """The table for a terminal."""
    table = [[*HEAD, *knobs, ""], *(cells(row, knobs) for row in ordered(rows))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
    return "\n".join(lines)


def as_markdown(rows: Sequence[Row], knobs: Sequence[str], intro: str) -> str:
    """The table as a page in Markdown."""
    head = [*HEAD, *knobs, "reason"]
    lines = [intro, "", _markdown(head), "|" + "---|" * len(head)]
    lines += [_markdown(cells(row, knobs)) for row in ordered(rows)]
    return "\n".join(lines) + "\n"


def as_csv(rows: Sequence[Row], knobs: Sequence[str]) -> str:
    """The table for a spreadsheet, numbers in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*HEAD[:-1], "seconds", *knobs, "reason"])
    for row in ordered(rows):
        settings = [row.settings.get(name, "") for name in knobs]
        facts = [row.facts.get(name, "") for name in ("epoch", "seconds")]
        score = "" if row.score is None else row.score
        reason = row.facts.get("reason", "")
        writer.writerow([row.number, row.state, score, *facts, *settings, reason])
    return out.getvalue()


def as_json(row: Row, run: Path) -> dict[str, Any]:
    """One trial as plain values."""
    return {
        "trial": row.number,
        "state": row.state,
        "score": row.score,
        "settings": row.settings,
        "run": str(run),
        "held_out": {str(epoch): score for epoch, score in sorted(row.reports.items())},
        **row.facts,
    }


def command(tensors: Path, output: Path, settings: dict[str, Any]) -> str:
    """A command line that trains with these settings."""
    flags = [word for flag in flags_of(settings) for word in flag.split("=", 1)]
    return shlex.join(["acestep", "train", str(tensors), "-o", str(output), *flags])


def _markdown(values: Sequence[str]) -> str:
    plain = (value.replace("|", "\\|").replace("\n", " ") for value in values)
    return "| " + " | ".join(plain) + " |"


def text(value: Any) -> str:
    """A setting for people."""
    return number(value) if isinstance(value, float) else str(value)
