"""Which base models there are, and where: packaged, in a folder, in the Hub cache, on the Hub.

A name is looked up in the folders of ``$ACESTEP_MODELS``, then in the local cache of the Hugging
Face Hub, then downloaded: configs, safetensors and ``silence_latent.pt``, never code or pickles.
Nothing here needs torch.
"""

import difflib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    HTTPError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    StrictDataclassError,
)

from acestep.errors import ModelError
from acestep.model.layout import (
    SILENCE_FILE,
    TEXT_FOLDER,
    BaseModel,
    is_model,
    layout_of,
    model_files,
    read_model,
)

MINI = "mini"
MAIN_REPO = "ACE-Step/Ace-Step1.5"  # holds the turbo checkpoint, the VAE and the text encoder
ENVIRONMENT = "ACESTEP_MODELS"

# name → variant; one row is all that a further model of the architecture needs
KNOWN = {
    "acestep-v15-turbo": "turbo",
    "acestep-v15-base": "base",
    "acestep-v15-sft": "sft",
    "acestep-v15-turbo-shift1": "turbo",
    "acestep-v15-turbo-shift3": "turbo",
    "acestep-v15-turbo-continuous": "turbo",
    "acestep-v15-xl-turbo": "turbo",
    "acestep-v15-xl-base": "base",
    "acestep-v15-xl-sft": "sft",
}

CONFIG_ERRORS = (ValueError, TypeError, KeyError, AttributeError, StrictDataclassError)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SHARED = ("vae", TEXT_FOLDER)  # what every checkpoint uses, published once
_KINDS = ("*.json", "*.safetensors", f"*{SILENCE_FILE}")
_NEVER = ["acestep-5Hz-lm-*"]  # the planner: gigabytes that no base model needs
_TEXT_KINDS = ("*.json", "*.safetensors", "*.txt", "*.jinja", "model.bin")  # CTranslate2's: no code


@dataclass(frozen=True)
class ModelRow:
    """A line of ``acestep models``. ``size`` is in bytes; ``problem`` says why it is not usable."""

    name: str
    present: bool
    path: Path | None
    size: int
    variant: str
    problem: str = ""


def find_model(name: str | None = None, *, download: bool = True) -> BaseModel:
    """The base model of that name, checked to be complete.

    ``name`` is ``mini`` (also ``None``: the small model that ships with the package), a folder in
    one of the two layouts of :mod:`acestep.model.layout`, a name of :data:`KNOWN` or of a folder in
    ``$ACESTEP_MODELS``, or a Hub id ``owner/repository``. Without ``download`` the network is left
    alone. Raises :class:`ModelError` that says which folders were tried and what to download.
    """
    wanted = name or MINI
    if Path(wanted).expanduser().is_file():
        raise ModelError(f"{wanted} is a file", hint="Name the folder that holds the model.")
    on_hub = wanted in KNOWN or (_HUB_ID.fullmatch(wanted) and not wanted.startswith("."))
    problem = ""
    try:
        found = _locate(wanted)
        if found is not None:
            return found
    except _IncompleteCache as error:  # the rest of it may be downloaded
        problem = str(error)
    if not on_hub:
        raise _unknown(wanted)
    if download:
        try:
            return _read_snapshot(wanted, local=False)
        except (OSError, HTTPError, HFValidationError) as error:
            problem = f"{problem}{'; ' if problem else ''}{_first_line(error)}"
    raise _not_here(wanted, problem)


def find_again(source: str, made: Path, *, download: bool = True) -> BaseModel:
    """The model that ``made`` was made with, by the ``source`` that it remembers."""
    try:
        return find_model(source, download=download)
    except ModelError as error:
        raise ModelError(
            f"{made} was made with a base model that is not there: {error}",
            hint=f"Say where it is now with --model. {error.hint}",
        ) from error


def find_folder(wanted: str, repo: str, inside: str, needs: Sequence[str]) -> Path | None:
    """The folder of a model that is no base model, or None where it is not on this machine.

    ``wanted`` is a folder, a name in ``$ACESTEP_MODELS``, or a name that is published as the folder
    ``inside`` ("" for the top) of the Hub's ``repo``, which is then looked for in the Hub cache
    only. Where ``wanted`` is a Hub id and the cache lacks one of the files in ``needs``, the model
    is downloaded; :class:`ModelError` where that fails.
    """
    path = Path(wanted).expanduser()
    if path.is_file():
        raise ModelError(f"{wanted} is a file", hint="Name the folder that holds the model.")
    for place in (path, *(root / wanted for root in model_roots())):
        if place.is_dir():
            return place.absolute()
    on_hub = _HUB_ID.fullmatch(wanted) is not None and not wanted.startswith(".")
    repo = repo or (wanted if on_hub else "")
    if not repo:
        return None
    wants = [f"{inside}/{kind}" if inside else kind for kind in _TEXT_KINDS]
    with suppress(IncompleteSnapshotError, LocalEntryNotFoundError, HFValidationError):
        folder = Path(snapshot_download(repo, allow_patterns=wants, local_files_only=True)) / inside
        if all((folder / name).is_file() for name in needs):
            return folder
    if not on_hub:
        return None
    try:
        return Path(snapshot_download(repo, allow_patterns=wants)) / inside
    except (OSError, HTTPError, HFValidationError) as error:
        raise ModelError(
            f"{wanted} could not be downloaded: {_first_line(error)}",
            hint="Try again, or download it by hand and give the folder's path.",
        ) from error


def packaged_folder() -> Path:
    """The folder of the small model that ships with the package."""
    return Path(str(files("acestep.mini").joinpath("weights")))


def model_roots() -> list[Path]:
    """The folders that ``$ACESTEP_MODELS`` names (separated as in ``PATH``)."""
    named = os.environ.get(ENVIRONMENT, "")
    return [Path(part).expanduser().absolute() for part in named.split(os.pathsep) if part.strip()]


def list_models() -> list[ModelRow]:
    """Every known model, and every other one in ``$ACESTEP_MODELS`` or the Hub cache.

    An incomplete model is a row with its problem, not an error; the network is left alone.
    """
    names = dict.fromkeys([MINI, *KNOWN])
    for root in model_roots():
        names.update(dict.fromkeys(folder.name for folder in _folders(root) if is_model(folder)))
    names.update(dict.fromkeys(_cached_pipelines()))
    return [_row(name) for name in names]


def _row(name: str) -> ModelRow:
    variant = KNOWN.get(name, "")
    try:
        model = _locate(name)
    except ModelError as error:
        return ModelRow(name, False, None, 0, variant, problem=_first_line(error))
    if model is None:
        return ModelRow(name, False, None, 0, variant)
    size = sum(file.stat().st_size for file in model_files(model))
    return ModelRow(name, True, model.path, size, model.variant)


class _IncompleteCache(ModelError):
    """A snapshot in the Hub cache lacks files."""


def _locate(wanted: str) -> BaseModel | None:
    """A model that is on this machine, or nothing; :class:`ModelError` where it is incomplete."""
    if wanted == MINI:
        return read_model(packaged_folder(), name=MINI, source=MINI)
    path = Path(wanted).expanduser()
    if path.is_dir():
        folder = path.absolute()
        if folder.samefile(packaged_folder()):
            return read_model(folder, name=MINI, source=MINI)
        return read_model(folder, name=folder.name, source=str(folder))
    roots = model_roots()
    for root in roots:
        if (root / wanted).is_dir():
            return read_model(root / wanted, name=wanted, source=wanted, companions=roots)
    if wanted not in KNOWN and not _HUB_ID.fullmatch(wanted):
        return None
    try:
        return _read_snapshot(wanted, local=True)
    except IncompleteSnapshotError as error:
        raise _IncompleteCache(_first_line(error)) from error
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _read_snapshot(wanted: str, *, local: bool) -> BaseModel:
    """A model from the Hub cache, which is filled from the Hub first unless ``local``."""
    repo, short = _repo_of(wanted)
    try:
        if repo == MAIN_REPO:
            wants = [f"{part}/{kind}" for part in (short, *_SHARED) for kind in _KINDS]
            snapshot = _snapshot(repo, wants, local)
        else:
            if not local:  # its kind first: nobody wants the weights of something else
                kind = ["model_index.json", "config.json", f"{short}/config.json"]
                layout_of(_checkpoint(_snapshot(repo, kind, local), short))
            snapshot = _snapshot(repo, list(_KINDS), local)
        folder = _checkpoint(snapshot, short)
        companions = [snapshot]
        alone = not all((snapshot / part).is_dir() for part in _SHARED)
        if layout_of(folder) == "original" and alone:
            wants = [f"{part}/{kind}" for part in _SHARED for kind in _KINDS]
            companions.append(_snapshot(MAIN_REPO, wants, local))
        return read_model(folder, name=wanted, source=wanted, companions=companions)
    except ModelError as error:
        if local:
            raise _IncompleteCache(str(error), hint=error.hint) from error
        raise


def _checkpoint(snapshot: Path, short: str) -> Path:
    """A repository's checkpoint: in a folder of that name, or at its top."""
    return snapshot / short if (snapshot / short).is_dir() else snapshot


def _snapshot(repo: str, patterns: list[str], local: bool) -> Path:
    folder = snapshot_download(
        repo, allow_patterns=patterns, ignore_patterns=_NEVER, local_files_only=local
    )
    return Path(folder)


def _repo_of(wanted: str) -> tuple[str, str]:
    """The Hub repository of a name or id, and the checkpoint folder to look for in it."""
    if wanted in ("acestep-v15-turbo", MAIN_REPO):
        return MAIN_REPO, "acestep-v15-turbo"
    if wanted in KNOWN:
        return f"ACE-Step/{wanted}", wanted
    return wanted, wanted.split("/")[1]


def _cached_pipelines() -> list[str]:
    """Ids of the ACE-Step pipelines in the Hub cache."""
    found = []
    cache = Path(constants.HF_HUB_CACHE)
    for index in sorted(cache.glob("models--*/snapshots/*/model_index.json")):
        if is_model(index.parent):
            found.append(index.parts[-4].removeprefix("models--").replace("--", "/", 1))
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if child.is_dir()) if root.is_dir() else []


def _unknown(wanted: str) -> ModelError:
    names = [MINI, *KNOWN]
    close = difflib.get_close_matches(wanted, names, n=3)
    places = [str(Path(wanted).absolute()), *(str(root / wanted) for root in model_roots())]
    return ModelError(
        f"there is no base model {wanted!r} (looked for {', '.join(dict.fromkeys(places))})",
        hint=f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(names)}.",
    )


def _not_here(wanted: str, problem: str) -> ModelError:
    """What was tried, and what to download by hand."""
    repo, short = _repo_of(wanted)
    repos = dict.fromkeys([repo, MAIN_REPO] if wanted in KNOWN else [repo])
    cache = Path(constants.HF_HUB_CACHE)
    tried = [
        str(Path(wanted).absolute()),
        *(str(root / wanted) for root in model_roots()),
        *(str(cache / f"models--{one.replace('/', '--')}") for one in repos),
    ]
    if not model_roots():
        tried.insert(1, f"${ENVIRONMENT} (not set)")
    shared = f"its folders vae/ and {TEXT_FOLDER}/"
    if repo == MAIN_REPO:
        what = f"{short}/, vae/ and {TEXT_FOLDER}/ of huggingface.co/{MAIN_REPO}"
    elif wanted in KNOWN:
        what = f"huggingface.co/{repo} as {short}/, and of huggingface.co/{MAIN_REPO} {shared}"
    else:
        what = f"huggingface.co/{repo} as {short}/"
    return ModelError(
        f"base model {wanted!r} is not on this machine"
        f"{f' and could not be downloaded ({problem})' if problem else ''}; "
        f"tried {', '.join(tried)}",
        hint=f"Download {what} into one folder, then set {ENVIRONMENT} to that folder or give the "
        f"path of {short}/ as the model. Without a download, the model {MINI!r} is always there.",
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
