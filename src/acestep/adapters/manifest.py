"""``manifest.json``: what an adapter was made of, so that it can be made again.

It holds hashes, settings and versions, never a path, a file's name or a word of a caption::

    format       1
    base         {"name", "variant", "fingerprint"} of the base model
    dataset      {"name", "tag", "tag_position", "songs", "seconds"}
    songs        [{"song", "seconds", "fingerprints": {"audio", "text"}, …}], one a tensor file
    tensors      the fingerprint of all of them
    preprocess   the settings that decide the tensors, with their seed
    train        the settings of the run, with their seed
    machine      {"device", "precision", "processes", "threads", "processor"}
    packages     {"torch": "2.13.0", …}
    adapter      {"checkpoint", "epoch", "step", "weights": digest of the tensors}

A run keeps all but the last in its own ``manifest.json``; export adds it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep.adapters.adapter import Adapter
from acestep.adapters.locate import find_files, is_run
from acestep.errors import AdapterError

MANIFEST = "manifest.json"
FORMAT = 1
_KINDS: dict[str, type] = {
    "base": dict,
    "dataset": dict,
    "songs": list,
    "tensors": str,
    "preprocess": dict,
    "train": dict,
    "machine": dict,
    "packages": dict,
}


def weights_digest(adapter: Adapter) -> str:
    """A hash of names, shapes and values; the file that they lie in does not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(adapter.weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def manifest_beside(source: Path) -> Path | None:
    """The manifest that belongs to a run, a checkpoint, an adapter's folder or a file in one."""
    folder = source if source.is_dir() else source.parent
    places = [folder]
    if folder.parent.name == "checkpoints" and is_run(folder.parent.parent):
        places = [folder.parent.parent]
    elif folder.name == "checkpoints" and is_run(folder.parent):
        places = [folder.parent]
    found = [place / MANIFEST for place in places if (place / MANIFEST).is_file()]
    return found[0] if found else None


def read_manifest(file: Path) -> dict[str, Any]:
    """Read and check a manifest. Raises ``AdapterError`` if it is not one of this format."""
    hint = "export the adapter again from its run"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AdapterError(f"{file} cannot be read: {error}", hint=hint) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise AdapterError(f"{file} is not a manifest of format {FORMAT}", hint=hint)
    wrong = [key for key, kind in _KINDS.items() if not isinstance(values.get(key), kind)]
    if wrong:
        raise AdapterError(f"{file} lacks {', '.join(wrong)}", hint=hint)
    return values


def with_adapter(manifest: Mapping[str, Any], adapter: Adapter) -> dict[str, Any]:
    """A run's manifest with the adapter that is taken from it.

    An adapter that was exported before keeps the name of its checkpoint.
    """
    before = manifest.get("adapter")
    name = before.get("checkpoint") if isinstance(before, dict) else None
    epoch, step = adapter.card.get("epoch"), adapter.card.get("step")
    facts = {
        "checkpoint": name or _checkpoint(adapter.source) or f"epoch_{epoch}",
        "epoch": epoch,
        "step": step,
        "weights": weights_digest(adapter),
    }
    return {**manifest, "adapter": facts}


def _checkpoint(source: Path) -> str:
    folder = find_files(source).weights.parent
    return folder.name if folder.parent.name == "checkpoints" else ""
