"""Where the text models' files are: a folder that is named, ``$ACESTEP_MODELS``, the Hub cache."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from acestep.errors import ModelError
from acestep.model.find import CONFIG_ERRORS, ENVIRONMENT, find_folder, model_roots
from acestep.model.layout import read_header, weight_files

# What the libraries raise over a folder whose files are damaged or do not belong together
AGAIN = "Download the model again."
READ_ERRORS = (OSError, RuntimeError, SafetensorError, *CONFIG_ERRORS)


@dataclass(frozen=True)
class Published:
    """A model as its authors publish it.

    ``name`` is the folder it is looked for in, ``repo`` its Hub repository and ``inside`` the
    folder there ("" for its top); ``download`` and ``memory`` are in GB, about.
    """

    name: str
    repo: str
    download: float
    memory: float
    inside: str = ""


def find_text_model(
    wanted: str | None, published: Sequence[Published], *, what: str, needs: Sequence[str]
) -> Path:
    """The folder of a text model, which holds each of the files in ``needs``.

    ``wanted`` is a folder, a name in ``$ACESTEP_MODELS`` or of ``published`` (None: the first of
    those that is there), or a Hub id, for which alone the network is used. Raises
    :class:`ModelError`: what to download, how big it is, where to put it.
    """
    if wanted is None:
        for one in published:
            folder = find_folder(one.name, one.repo, one.inside, needs)
            if folder is not None:
                return _complete(folder, needs, what)
        raise _not_here(published[0].name, published, what)
    known = [one for one in published if wanted in (one.name, one.repo) and one.name]
    repo, inside = (known[0].repo, known[0].inside) if known else ("", "")
    folder = find_folder(wanted, repo, inside, needs)
    if folder is None:
        raise _not_here(wanted, known or published, what)
    return _complete(folder, needs, what)


@contextmanager
def without_bars() -> Iterator[None]:
    """The library's own progress bars are off inside: what is shown is the caller's business."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_network(kind: Any, folder: Path, dtype: Any) -> Any:
    """A network of transformers' class ``kind``, on the CPU, from safetensors alone.

    Raises :class:`ModelError` where a weight is missing; what the library raises is in
    :data:`READ_ERRORS`. How it generates is left to who asks it.
    """
    from transformers import GenerationConfig

    for file in weight_files(folder, "model"):
        read_header(file)
    with without_bars():
        network, report = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder}: tensor {missing[0]!r} is missing ({len(missing)} in all)", hint=AGAIN
        )
    network.generation_config = GenerationConfig()
    return network.eval().requires_grad_(False)


def _complete(folder: Path, needs: Sequence[str], what: str) -> Path:
    for name in needs:
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder} is no folder of {what}: {name} is missing",
                hint="Download it whole, or name the folder that holds config.json.",
            )
    return folder


def _not_here(wanted: str, published: Sequence[Published], what: str) -> ModelError:
    """What was looked for where, and what can be downloaded."""
    tried = [str(Path(wanted).absolute()), *(str(root / wanted) for root in model_roots())]
    if not model_roots():
        tried.append(f"${ENVIRONMENT} (not set)")
    offers = "; or ".join(
        f"huggingface.co/{one.repo}{f', its folder {one.inside}/' if one.inside else ''} "
        f"as {one.name}/ (about {one.download:g} GB, {one.memory:g} GB of memory to run)"
        for one in published
    )
    return ModelError(
        f"{what} {wanted!r} is not on this machine; tried {', '.join(tried)} and the Hub cache",
        hint=f"Download {offers}; put it into a folder and set {ENVIRONMENT} to that, "
        f"or give the path of {published[0].name}/. "
        f"Given the Hub id {published[0].repo} instead of a path, it is downloaded.",
    )
