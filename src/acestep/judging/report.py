"""``report.json``: written with its pages, and read by whoever needs its findings."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from acestep.data.files import reported, shown, write_json
from acestep.errors import RunError
from acestep.judging.layout import FORMAT, Report

NAME = "report.json"


def write_report(folder: Path, report: dict[str, Any]) -> Path:
    """Write ``report.json``, and the pages that show it; returns the report's page.

    Raises ``RunError`` for a report that is not laid out as it should be, ``DatasetError`` for a
    folder that cannot be written.
    """
    # Imported here: the pages read reports
    from acestep.judging.ab import write_ab_page
    from acestep.judging.page import write_page

    laid_out(report, folder / NAME)
    with reported(folder / NAME):
        write_json(folder / NAME, report)
    write_ab_page(folder)
    return write_page(folder)


def read_report(folder: Path) -> dict[str, Any]:
    """``report.json`` of an evaluation's folder, as plain JSON that was checked.

    Raises ``RunError`` where there is none, or it is damaged, from a newer version, or not laid
    out as :class:`~acestep.judging.layout.Report`.
    """
    path = folder / NAME
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{shown(path)} cannot be read: {error.strerror}",
            hint="acestep evaluate makes it; pass the folder that holds it",
        ) from error
    except ValueError as error:
        raise RunError(f"{shown(path)} is damaged: {error}", hint="run acestep evaluate") from error
    laid_out(report, path)
    return report


def laid_out(report: Any, path: Path) -> Report:
    """The records of a report that was read from, or goes to, ``path``. Raises ``RunError``."""
    if not isinstance(report, dict):
        raise RunError(f"{shown(path)} is not a report", hint="run acestep evaluate")
    version = report.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise RunError(
            f"{shown(path)} has format {version}, this version reads up to {FORMAT}",
            hint="update acestep, or evaluate again with this version",
        )
    try:
        return Report.model_validate(report)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        ]
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise RunError(
            f"{shown(path)} is not a report: {'; '.join(problems[:3])}{more}",
            hint="evaluate again with this version of acestep",
        ) from error
