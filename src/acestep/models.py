"""List the base models: those that are known by name, and those that are here."""

import os
from collections.abc import Iterator
from typing import Any

from acestep.config import ModelsConfig
from acestep.data.files import shown, size_text
from acestep.events import Event, Finished, Text
from acestep.model.find import ENVIRONMENT, ModelRow, list_models, model_roots


def models(config: ModelsConfig) -> Iterator[Event]:
    """Yield a table of the base models as text, and the same as facts of ``Finished``.

    Nothing is downloaded. A model that is incomplete is listed with what it lacks.
    """
    rows = list_models()
    yield Text(models_table(rows))
    yield Finished("models", facts={"models": [_record(row) for row in rows]})


def models_table(rows: list[ModelRow]) -> str:
    """Name, variant, size and place of each model, in columns; then how to get the others."""
    cells = [("name", "variant", "size", "where")]
    for row in rows:
        where = shown(row.path) if row.path else "not here"
        if row.problem:
            where = row.problem
        cells.append((row.name, row.variant, size_text(row.size) if row.present else "", where))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in cells
    ]
    roots = os.pathsep.join(shown(root) for root in model_roots())
    place = f"${ENVIRONMENT} ({roots})" if roots else f"${ENVIRONMENT} (not set)"
    lines += [
        "",
        f"A name is looked up in {place}, then in the Hub's cache;",
        "then it is downloaded when it is used. --model also takes a folder or a Hub id.",
    ]
    return "\n".join(lines)


def _record(row: ModelRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "variant": row.variant,
        "present": row.present,
        "path": shown(row.path) if row.path else "",
        "size": row.size,
        "problem": row.problem,
    }
