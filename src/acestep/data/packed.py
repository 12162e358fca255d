"""Packed samples: many of them in files of about a gigabyte, for network and object storage.

A packed folder holds the ``manifest.json`` of the tensor folder it was made from, and ::

    index.json                which samples lie where
    shard_00000.safetensors   samples one after another, each in one piece

A sample's piece of a shard is its tensors (``<file>/target_latents`` …), then its plain values as
JSON (``<file>/record``, bytes), so that one sequential read brings all of it, and every program
that reads safetensors reads the shard. Pieces begin at multiples of 64 bytes. The index says for
each sample in which shard it lies, from which byte on, how many bytes, and their SHA-256::

    {"format": 1, "fingerprint": the manifest's, "shards": ["shard_00000.safetensors"],
     "samples": {"sample_x.pt": {"shard": 0, "start": …, "length": …, "sha256": …}}}
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from acestep.data.files import atomic, write_json
from acestep.errors import TensorError

FORMAT = 1
INDEX = "index.json"
ALIGNMENT = 64  # bytes; where processors like vectors to begin
MADE_FROM = "made_from"  # in a shard's header: a hash of what it was packed from
_RECORD = "record"
_HERE = "tensor of this name"  # stands in the plain values for what is no plain value
_AGAIN = "copy it again, or run acestep pack again"
_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a sample lies: ``length`` bytes of ``shard`` from ``start`` on, and their hash."""

    shard: str
    start: int
    length: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """What lies in a packed folder whose manifest has this fingerprint: samples by file name."""

    fingerprint: str
    places: Mapping[str, Place]

    @property
    def shards(self) -> list[str]:
        """The shards' names, in order."""
        return sorted({place.shard for place in self.places.values()})


@dataclass(frozen=True)
class Piece:
    """One sample on its way into a shard; ``text`` is its plain values, filled up with blanks."""

    name: str
    tensors: Mapping[str, Tensor]
    text: bytes

    @property
    def length(self) -> int:
        """Bytes that it takes."""
        return sum(tensor.nbytes for tensor in self.tensors.values()) + len(self.text)

    def parts(self) -> Iterator[bytes | memoryview]:
        """Its bytes, a tensor at a time."""
        for tensor in self.tensors.values():
            yield tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
        yield self.text

    def entries(self, start: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """What a shard's header says about it if it lies at ``start``."""
        for key, tensor in self.tensors.items():
            end = start + tensor.nbytes
            shape = list(tensor.shape)
            entry = {"dtype": _NAMES[tensor.dtype], "shape": shape, "data_offsets": [start, end]}
            yield f"{self.name}/{key}", entry
            start = end
        end = start + len(self.text)
        entry = {"dtype": "U8", "shape": [len(self.text)], "data_offsets": [start, end]}
        yield f"{self.name}/{_RECORD}", entry


def shard_name(number: int) -> str:
    """``shard_00000.safetensors``."""
    return f"shard_{number:05}.safetensors"


def is_packed(folder: Path) -> bool:
    """Whether a folder has an index of packed samples."""
    return (folder / INDEX).is_file()


def find_packed(path: Path) -> Place | None:
    """Where the sample lies that would be the file ``path`` if it were not packed."""
    return read_index(path.parent).places.get(path.name) if is_packed(path.parent) else None


def read_index(folder: Path) -> Index:
    """Read a packed folder's index. Raises ``TensorError`` if it is missing or malformed."""
    path = folder / INDEX
    try:
        state = path.stat()
        return _index(path, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TensorError(f"{path} is no index of packed tensors: {error}", hint=_AGAIN) from error


def write_index(folder: Path, index: Index) -> None:
    """Write ``index.json`` atomically."""
    shards = index.shards
    numbers = {name: number for number, name in enumerate(shards)}
    samples = {
        name: {**vars(place), "shard": numbers[place.shard]} for name, place in index.places.items()
    }
    values = {"format": FORMAT, "fingerprint": index.fingerprint, "shards": shards}
    write_json(folder / INDEX, {**values, "samples": samples})


def make_piece(name: str, record: Mapping[str, Any]) -> Piece:
    """A sample dictionary made ready for a shard. Raises ``TensorError`` if it holds what would not
    come back as it is: only tensors, text, numbers, lists and dictionaries do."""
    tensors = {key: value for key, value in record.items() if isinstance(value, Tensor)}
    plain = {key: _HERE if key in tensors else value for key, value in record.items()}
    try:
        text = json.dumps(plain).encode("ascii")
    except (TypeError, ValueError) as error:
        raise TensorError(f"{name} holds values that cannot be packed: {error}") from error
    strange = [key for key, tensor in tensors.items() if tensor.dtype not in _NAMES]
    if strange or json.loads(text) != plain:
        what = ", ".join(strange) or "its labels are more than text and numbers"
        raise TensorError(f"{name} holds values that cannot be packed: {what}")
    # Wide numbers first: each tensor then begins at a multiple of its element's size
    ordered = dict(sorted(tensors.items(), key=lambda item: -item[1].element_size()))
    filling = -(len(text) + sum(tensor.nbytes for tensor in ordered.values())) % ALIGNMENT
    return Piece(name, ordered, text + b" " * filling)


def write_shard(path: Path, pieces: Sequence[Piece], made_from: str) -> dict[str, Place]:
    """Write a shard atomically, a tensor at a time, and say where each sample lies.

    What lies there afterwards is read back; raises ``TensorError`` if it is not what was written.
    """
    header = _header(pieces, made_from)
    places = {}
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            file.write(header)
            for piece in pieces:
                start, digest = file.tell(), hashlib.sha256()
                for part in piece.parts():
                    file.write(part)
                    digest.update(part)
                places[piece.name] = Place(path.name, start, piece.length, digest.hexdigest())
        for place in places.values():
            if _digest(temporary, place) != place.sha256:
                raise TensorError(f"{path} does not hold what was written", hint="check the disk")
    return places


def origin_of(path: Path) -> str:
    """What a shard says that it was packed from. Raises ``TensorError`` if it is none of ours."""
    made_from = (_open(path).metadata() or {}).get(MADE_FROM)
    if made_from is None:
        raise TensorError(f"{path} is no shard that acestep pack wrote", hint="move it away")
    return str(made_from)


def read_shard(path: Path) -> dict[str, Place]:
    """Where the samples of a whole shard lie; their hashes are taken anew.

    Raises ``TensorError`` if it cannot be read.
    """
    _open(path)
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(size))
    spans: dict[str, list[int]] = {}
    for key, entry in entries.items():
        if key != "__metadata__":
            spans.setdefault(key.rpartition("/")[0], []).extend(entry["data_offsets"])
    places = {}
    for name, ends in spans.items():
        start, length = 8 + size + min(ends), max(ends) - min(ends)
        digest = _digest(path, Place(path.name, start, length, ""))
        places[name] = Place(path.name, start, length, digest)
    return places


def read_packed(path: Path, place: Place, *, mapped: bool = False) -> dict[str, Any]:
    """The sample dictionary that was packed from the file ``path``.

    ``mapped`` leaves the tensors on disk until they are used, and does not look at the hash. Raises
    ``TensorError`` if the shard is missing or damaged.
    """
    file = path.parent / place.shard
    if not mapped and _digest(file, place) != place.sha256:
        raise TensorError(f"{file} is damaged: {path.name} is not what was packed", hint=_AGAIN)
    shard = _open(file)
    try:
        record = json.loads(bytes(shard.get_tensor(f"{path.name}/{_RECORD}").numpy()))
        keys = [key for key, value in record.items() if value == _HERE]
        tensors = {key: shard.get_tensor(f"{path.name}/{key}") for key in keys}
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise TensorError(f"{file} holds no {path.name}: {error}", hint=_AGAIN) from error
    # A copy begins where fast kernels like it; what stays on disk is copied when it is used
    return {**record, **(tensors if mapped else {key: t.clone() for key, t in tensors.items()})}


def _header(pieces: Sequence[Piece], made_from: str) -> bytes:
    """The first bytes of a shard: the header's length, and the header filled up with blanks."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt", MADE_FROM: made_from}}
    start = 0
    for piece in pieces:
        entries.update(piece.entries(start))
        start += piece.length
    text = json.dumps(entries).encode("ascii")
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _digest(file: Path, place: Place) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(place.start)
            return hashlib.sha256(stream.read(place.length)).hexdigest()
    except OSError as error:
        raise TensorError(f"{file} cannot be read: {error.strerror}", hint=_AGAIN) from error


def _open(file: Path) -> Any:
    """A shard, mapped into memory; it stays open for the next sample."""
    try:
        state = file.stat()
        return _opened(file, state.st_mtime_ns, state.st_size)
    except (OSError, SafetensorError) as error:
        raise TensorError(f"{file} cannot be read: {error}", hint=_AGAIN) from error


@lru_cache(maxsize=1024)
def _opened(file: Path, changed: int, size: int) -> Any:
    return safe_open(file, framework="pt")


@lru_cache(maxsize=8)
def _index(path: Path, changed: int, size: int) -> Index:
    values = json.loads(path.read_text(encoding="utf-8"))
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']!r}; this version reads {FORMAT}")
    shards = [str(name) for name in values["shards"]]
    outside = [name for name in shards if Path(name).name != name]
    if outside:
        raise ValueError(f"it names a file outside its folder: {outside[0]!r}")
    places = {
        name: Place(shards[at["shard"]], int(at["start"]), int(at["length"]), str(at["sha256"]))
        for name, at in values["samples"].items()
    }
    if any(place.start < 0 or place.length < 0 for place in places.values()):
        raise ValueError("it names bytes before the beginning of a file")
    return Index(str(values["fingerprint"]), places)
