"""Files that were dropped on the page: looked into, then put beside each other in a folder."""

import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path

from acestep.data.files import atomic, file_digest
from acestep.errors import AceStepError, ConfigError
from acestep.web.safety import check_upload, problem_html
from acestep.web.words import say
from acestep.web.workspace import Workspace


def take_uploads(workspace: Workspace, files: Sequence[str], folder: str, language: str) -> str:
    """Copy uploads into a folder below a root, and say how many, or which are refused and why.

    None is taken unless all are what they should be; a file of the same name with other content is
    never replaced.
    """
    problems = []
    for file in map(Path, files):
        try:
            check_upload(file)
        except ConfigError as error:
            problems += error.problems
    if problems:
        return problem_html(ConfigError(problems, hint="take these out and drop the rest again"))
    try:
        target = workspace.path(folder or "songs")
        for file in map(Path, files):
            place(file, target)
    except AceStepError as error:
        return problem_html(error)
    words = say(language, "dataset.uploaded", count=len(files), folder=workspace.shown(target))
    return f'<div class="good">{escape(words)}</div>'


def place(file: Path, folder: Path) -> Path:
    """Copy a file into a folder under its own name, or with a number if that is another file's.

    Raises ``ConfigError`` where the folder cannot be written.
    """
    name = Path(file.name).name
    target, number = folder / name, 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while target.exists():
            if file_digest(target) == file_digest(file):
                return target
            number += 1
            target = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        with atomic(target) as temporary:
            shutil.copyfile(file, temporary)
    except OSError as error:
        raise ConfigError(
            [f"cannot write to {folder}: {error.strerror or error}"],
            hint="free some space or choose another folder",
        ) from error
    return target
