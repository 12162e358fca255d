"""Tensor files: what preprocess writes and training reads.

A folder holds one ``sample_<id>.pt`` a song (or a segment of one) and ``manifest.json``. A sample
is a plain dictionary that ``torch.load(weights_only=True)`` reads::

    format                  1
    target_latents          [T, C] float32, the encoded audio at 25 frames a second
    encoder_hidden_states   [L, H], text, lyrics and timbre as cross-attention sees them
    context_latents         [T, 2C], source latents (silence) and chunk mask
    metadata                the labels, the exact texts, where the audio lies, which part of it
    fingerprints            {"audio": …, "text": …}: what the tensors were made from

A sample whose audio pass is done and whose text pass is not lacks the middle two. The manifest is
written last: it names the base model and every complete sample.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from acestep.data.files import (
    TORCH_FILE_ERRORS,
    alone_in,
    atomic,
    file_digest,
    remove_leftovers,
    write_json,
)
from acestep.data.packed import find_packed, is_packed, read_packed
from acestep.errors import TensorError

FORMAT = 1
MANIFEST = "manifest.json"
RESIDENT_SHARE = 0.5  # of the free memory that samples may take
TENSORS = ("target_latents", "encoder_hidden_states", "context_latents")


@dataclass(frozen=True)
class Sample:
    """One training sample: ``latents`` [T, C], ``condition`` [L, H], ``context`` [T, 2C].

    ``origin`` is the song that its song is a variant of, if it is one, ``speed`` its tempo over
    that song's; ``start`` is where in its song it begins, in seconds. The tensors of a ``mapped``
    one stay on disk: whoever uses them reads them, and sees whether they are finite.
    """

    name: str
    song: str
    latents: Tensor
    condition: Tensor
    context: Tensor
    metadata: dict[str, Any]
    origin: str = ""
    speed: float = 1.0
    start: float = 0.0
    mapped: bool = False


@dataclass(frozen=True)
class Manifest:
    """What lies in a tensor folder, which model made it, and with which ``settings``.

    Folders that were made before settings were kept have none.
    """

    model: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    fingerprint: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    foreign: bool = False


def save_record(path: Path, record: dict[str, Any]) -> None:
    """Write a sample dictionary atomically."""
    with atomic(path) as temporary:
        save_torch(temporary, {"format": FORMAT, **record})


def save_torch(path: Path, value: Any) -> None:
    """``torch.save`` that raises ``OSError`` with the reason where the disk is full."""
    with path.open("wb") as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:  # the zip writer's complaint hides why it could not write
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


@contextmanager
def tensor_folder(folder: Path, *, together: bool = False) -> Iterator[None]:
    """Make a folder ready for samples and hold it against other processes, but for those that
    write there ``together``.

    Raises ``TensorError`` if it is a file, if another process writes there, or if its manifest is
    one that we did not write: that would be lost.
    """
    if folder.exists() and not folder.is_dir():
        raise TensorError(f"{folder} is a file", hint="name a folder with -o")
    if _is_strange(folder / MANIFEST):
        raise TensorError(
            f"{folder} holds a {MANIFEST} that this program did not write; it would be lost",
            hint="choose another folder with -o",
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with alone_in(folder, together=together):
            if not together:
                remove_leftovers(folder)
            yield
    except BlockingIOError as error:
        raise TensorError(
            f"another process is writing to {folder}",
            hint="wait until it is done, or choose another folder with -o",
        ) from error


def load_record(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read a sample dictionary; nothing in it is executed.

    ``mapped`` leaves the tensors on disk until they are used. Raises ``TensorError`` if the file is
    missing, damaged, of a newer version, or holds anything but plain tensors and values.

    In a packed folder the sample is read from its shard, unless the file itself is there too.
    """
    place = None if path.exists() else find_packed(path)
    record = read_packed(path, place, mapped=mapped) if place else _load_file(path, mapped)
    if not isinstance(record, dict) or not isinstance(record.get("target_latents"), Tensor):
        raise TensorError(f"{path} holds no target_latents", hint="run acestep preprocess again")
    if "format" in record and record["format"] != FORMAT:
        raise TensorError(
            f"{path} has format {record['format']!r}; this version reads {FORMAT}",
            hint="update acestep-studio, or run acestep preprocess again",
        )
    return record


def _load_file(path: Path, mapped: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise TensorError(f"{path} is missing", hint="run acestep preprocess again") from error
    except pickle.UnpicklingError as error:  # torch's own words advise to trust the file
        raise TensorError(
            f"{path} is damaged or holds more than plain tensors; nothing in it was executed",
            hint="delete it and run acestep preprocess again",
        ) from error
    except TORCH_FILE_ERRORS as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise TensorError(
            f"{path} is not a tensor file that can be read safely: {reason}",
            hint="delete it and run acestep preprocess again",
        ) from error


def read_fingerprints(path: Path) -> dict[str, str]:
    """What a sample was made from, ``audio`` and ``text``; only ``audio`` while its text pass is
    missing, nothing if the file is not there or cannot be read."""
    try:
        record = load_record(path, mapped=True)
    except TensorError:
        return {}
    prints = dict(record.get("fingerprints", {}))
    if not all(key in record for key in TENSORS):
        prints.pop("text", None)
    return prints


def known_seconds(folder: Path, song: str, digest: str) -> float | None:
    """A song's length, if a sample of the very file with this digest is already there."""
    for file in (folder / f"sample_{song}.pt", folder / f"sample_{song}_0.pt"):
        try:
            metadata = load_record(file, mapped=True).get("metadata", {})
        except TensorError:
            continue
        if metadata.get("file_digest") == digest:
            return metadata.get("song_seconds")
    return None


def remembered_model(folder: Path) -> str | None:
    """The base model that a folder's samples were made with, also where they are not complete."""
    try:
        return read_manifest(folder).model.get("source")
    except TensorError:
        pass
    for file in sorted(folder.glob("sample_*.pt")):
        try:
            return load_record(file, mapped=True)["metadata"]["model"]
        except (TensorError, KeyError, TypeError):
            continue
    return None


def fingerprint(value: Any) -> str:
    """A hash of plain values; equal values give equal hashes on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def list_samples(
    folder: Path, names: Iterable[str], variants: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """A manifest's entries for complete samples; ``variants`` are what
    :func:`acestep.data.variants.variant_marks` gives."""
    entries = []
    for name in names:
        record = load_record(folder / name, mapped=True)
        metadata = record["metadata"]
        entries.append(
            {
                "file": name,
                "song": metadata["song"],
                "audio": metadata["filename"],
                "seconds": metadata["duration"],
                "fingerprints": record["fingerprints"],
                **variants.get(metadata["song"], {}),
            }
        )
    return entries


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically."""
    values = {key: value for key, value in asdict(manifest).items() if key != "foreign"}
    write_json(folder / MANIFEST, {"format": FORMAT, **values})


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest; one of the original program gives ``foreign=True``.

    Raises ``TensorError`` if the folder or its manifest is missing, malformed or newer than us.
    """
    if not folder.is_dir():
        raise TensorError(
            f"{folder} is not a folder of tensors",
            hint="acestep preprocess dataset.json -o " + str(folder),
        )
    path = folder / MANIFEST
    if not path.exists():
        files = sorted(file for file in folder.glob("*.pt") if not file.name.startswith("."))
        verb = "pack" if is_packed(folder) else "preprocess"
        if not files or any(file.name.startswith("sample_") for file in files):
            raise TensorError(
                f"{folder} has no {MANIFEST}: acestep {verb} has not finished there",
                hint=f"run acestep {verb} again; it goes on where it was",
            )
        return _foreign_manifest(folder, [file.name for file in files])
    values = _read_json(path)
    if "format" not in values:
        return _foreign_manifest(folder, _foreign_files(folder, values, path))
    if values["format"] != FORMAT:
        raise TensorError(
            f"{path} has format {values['format']!r}; this version reads {FORMAT}",
            hint="update acestep-studio, or run acestep preprocess again",
        )
    wrong = _malformed(values)
    if wrong:
        raise TensorError(f"{path} lacks {wrong}", hint="run acestep preprocess again")
    known = ("model", "dataset", "samples", "fingerprint", "settings")
    return Manifest(**{key: values[key] for key in known if key in values})


def load_samples(folder: Path, manifest: Manifest, *, mapped: bool | None = None) -> list[Sample]:
    """Load every sample the manifest names, in its order. Raises ``TensorError``.

    ``mapped`` leaves the tensors on disk; not said, that is done where they would take more than
    half of the free memory (:func:`larger_than_memory`).
    """
    if not manifest.samples:
        raise TensorError(
            f"{folder / MANIFEST} names no samples", hint="run acestep preprocess again"
        )
    if mapped is None:
        mapped = larger_than_memory(folder, manifest)
    return [load_sample(folder, entry, mapped=mapped) for entry in manifest.samples]


def larger_than_memory(folder: Path, manifest: Manifest) -> bool:
    """Whether the samples of all processes on this machine would fill half of its free memory."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    size = sum(sample_bytes(folder / entry["file"]) for entry in manifest.samples)
    return processes * size > RESIDENT_SHARE * psutil.virtual_memory().available


def sample_bytes(path: Path) -> int:
    """How much a sample takes on disk, packed or not; 0 if it is not there."""
    if path.exists():
        return path.stat().st_size
    place = find_packed(path)
    return place.length if place else 0


def load_sample(folder: Path, entry: dict[str, Any], *, mapped: bool = False) -> Sample:
    """Load one sample that a manifest has an entry for. Raises ``TensorError`` if it is not what it
    was when the manifest was written, or its tensors do not belong together or are not finite."""
    path = folder / entry["file"]
    if path.parent != folder:
        raise TensorError(f"{folder / MANIFEST} names a file outside its folder: {entry['file']!r}")
    record = load_record(path, mapped=mapped)
    missing = [key for key in TENSORS if not isinstance(record.get(key), Tensor)]
    if missing:
        raise TensorError(f"{path} lacks {', '.join(missing)}", hint="run acestep preprocess again")
    if entry.get("fingerprints", record.get("fingerprints")) != record.get("fingerprints"):
        raise TensorError(
            f"{path} changed since {MANIFEST} was written",
            hint="run acestep preprocess again; it finishes what is half done",
        )
    latents, condition, context = (record[key] for key in TENSORS)
    fits = latents.ndim == condition.ndim == context.ndim == 2
    if not fits or context.shape != (latents.shape[0], 2 * latents.shape[1]):
        shapes = [tuple(record[key].shape) for key in TENSORS]
        raise TensorError(
            f"{path}: shapes {shapes} do not belong together", hint="run acestep preprocess again"
        )
    if not mapped and not all(bool(torch.isfinite(record[key]).all()) for key in TENSORS):
        raise TensorError(
            f"{path} holds NaN or Inf", hint="delete it and run acestep preprocess again"
        )
    metadata = record.get("metadata") or {}
    song = str(metadata.get("song") or metadata.get("audio_path") or path.stem)
    tensors = (latents.float(), condition, context)
    start = metadata.get("start", 0.0)
    variant = entry.get("variant", {"of": "", "speed": 1.0})
    parent = (variant["of"], variant["speed"])
    return Sample(path.stem, song, *tensors, metadata, *parent, start, mapped)


def _malformed(values: dict[str, Any]) -> str:
    """What one of our manifests lacks, or nothing."""
    for key, kind in (("model", dict), ("dataset", dict), ("samples", list), ("fingerprint", str)):
        if not isinstance(values.get(key), kind):
            return f"a {key!r} that can be read"
    if not isinstance(values.get("settings", {}), dict):
        return "'settings' that can be read"
    for key in ("name", "source", "variant", "fingerprint"):
        if not isinstance(values["model"].get(key), str):
            return f"the model's {key}"
    for entry in values["samples"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            return "the file of a sample"
        variant = entry.get("variant", {"of": "", "speed": 1.0})
        kinds = {"of": str, "speed": float}
        if not isinstance(variant, dict) or not all(
            isinstance(variant.get(key), kind) for key, kind in kinds.items()
        ):
            return "the song that a variant comes from"
    return ""


def _is_strange(path: Path) -> bool:
    """Whether a file is sound JSON that :func:`write_manifest` did not write."""
    try:
        return "format" not in _read_json(path)
    except TensorError:
        return False


def _foreign_manifest(folder: Path, files: list[str]) -> Manifest:
    """A manifest for files that have none of ours; they are known by what they hold."""
    try:
        digests = [[name, file_digest(folder / name)] for name in files]
    except OSError as error:
        raise TensorError(f"{folder}: a tensor file cannot be read: {error}") from error
    samples = [{"file": name} for name in files]
    return Manifest(samples=samples, fingerprint=fingerprint(digests), foreign=True)


def _foreign_files(folder: Path, values: dict[str, Any], path: Path) -> list[str]:
    """The original's manifest holds paths relative to wherever it ran; the files lie beside it."""
    named = values.get("samples")
    if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
        raise TensorError(f"{path} is not a manifest", hint="run acestep preprocess again")
    files = [Path(item.replace("\\", "/")).name for item in named]
    lost = [file for file in files if not (folder / file).is_file()]
    if lost:
        raise TensorError(f"{path} names files that are not in {folder}: {', '.join(lost[:5])}")
    return files


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TensorError(
            f"{path} cannot be read: {error}", hint="run acestep preprocess again"
        ) from error
    if not isinstance(values, dict):
        raise TensorError(f"{path} is not a manifest", hint="run acestep preprocess again")
    return values
