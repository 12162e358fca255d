"""Numbers that took long to measure, kept in a folder: the same question is answered at once."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from acestep.data.files import atomic

_DAMAGED = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


class Kept:
    """Arrays by what they were measured of, one ``.npz`` each; a damaged one is measured again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(
        self, question: Any, measure: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """What is kept of a question (plain JSON values), else what ``measure`` says.

        Raises ``OSError`` where the folder cannot be written.
        """
        path = self.folder / f"{digest(question)}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except _DAMAGED:
            pass
        answer: dict[str, Any] = dict(measure())
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **answer)
        return answer


def digest(question: Any) -> str:
    """Sixteen hexadecimal digits for a plain JSON value; equal values give equal ones."""
    text = json.dumps(question, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def array_digest(array: np.ndarray) -> str:
    """Sixteen hexadecimal digits for the values of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
