"""From a page's values to a job: paths stay within the roots, the verb judges the rest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep.config import COMMANDS
from acestep.data.song import load_dataset
from acestep.errors import ConfigError, DatasetError
from acestep.flags import parse
from acestep.knobs import Knob, knobs
from acestep.web.controls import command, knob_of
from acestep.web.job_files import Job
from acestep.web.service import read_service
from acestep.web.workspace import Workspace


def order(
    workspace: Workspace, verb: str, values: Mapping[str, Any], title: str = "", page: str = ""
) -> Job:
    """Put a verb into the queue with values by knob; empty ones are the default.

    Raises ``ConfigError`` that lists everything that is wrong, paths outside the roots included.
    """
    return workspace.jobs.submit(words_for(workspace, verb, values), title, page)


def words_for(workspace: Workspace, verb: str, values: Mapping[str, Any]) -> list[str]:
    """The command line of an order, with every path whole; raises what ``order`` raises."""
    whole = dict(values)
    if verb == "preprocess":
        chosen = read_service(workspace).preprocessing()
        whole |= {name: value for name, value in chosen.items() if _is_default(verb, name, whole)}
    problems = []
    for knob in knobs(COMMANDS[verb]):
        try:
            if knob.name in whole:
                whole[knob.name] = _within(workspace, knob, whole[knob.name])
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems, hint="start the studio with --root FOLDER for other folders")
    return command(verb, whole)


def config_for(workspace: Workspace, verb: str, values: Mapping[str, Any]) -> Any:
    """The config of an order, for what is answered at once; raises what ``order`` raises."""
    return parse(verb, words_for(workspace, verb, values)[1:]).config


def _is_default(verb: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether a page leaves a knob as it is."""
    return values.get(name) in (None, "", knob_of(verb, name).default)


def _within(workspace: Workspace, knob: Knob, value: Any) -> Any:
    """A value whose paths lie below a root; a default that is left as it is begins at the first."""
    if knob.name == "model" and value and _is_path(workspace, str(value)):
        return str(workspace.path(str(value)))
    if knob.kind != "path":
        return value
    if knob.count == 1:
        text = str(value or "").strip() or (str(knob.default) if knob.default else "")
        path = workspace.path(text) if text else None
        if path is not None and knob.name == "dataset":
            _songs_within(workspace, path)
        return str(path or "")
    lines = value.splitlines() if isinstance(value, str) else value or []
    return [str(workspace.path(str(line))) for line in lines if str(line).strip()]


def _is_path(workspace: Workspace, model: str) -> bool:
    """Whether a model is given by its folder, not by a name or by an id of the Hub."""
    steps = Path(model).parts
    return model[:1] in "/.~" or ".." in steps or (workspace.home / model).exists()


def _songs_within(workspace: Workspace, file: Path) -> None:
    """Raise ``ConfigError`` if a dataset leads to songs elsewhere; one that is none the verb says.

    A dataset may come from anywhere, and the paths in it may be anything.
    """
    try:
        dataset = load_dataset(file)
    except DatasetError:
        return
    outside = []
    for song in dataset.songs:
        try:
            workspace.path(str(dataset.resolve(song)))
        except ConfigError:
            outside.append(song.audio_path)
    if outside:
        first = ", ".join(outside[:3]) + (" …" if len(outside) > 3 else "")
        raise ConfigError(
            [f"{file.name}: {len(outside)} songs lie outside of what the studio may touch: {first}"]
        )
