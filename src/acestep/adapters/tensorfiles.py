"""Tensor files with text in their header: read without running anything, written reproducibly."""

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from acestep.data.files import atomic
from acestep.errors import AdapterError

SUFFIXES = (".safetensors", ".bin", ".pt")
_AGAIN = "download or export it again"


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a ``.safetensors``, ``.bin`` or ``.pt`` file, and its header's text entries.

    Pickled files are read as plain tensors only: nothing in them is executed. Raises
    ``AdapterError`` for anything else, with the file's name.
    """
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    if file.suffix not in SUFFIXES:
        raise AdapterError(
            f"{file} is no adapter file", hint=f"files that are read end in {', '.join(SUFFIXES)}"
        )
    try:
        value = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AdapterError(
            f"{file} holds more than plain tensors; nothing in it was executed",
            hint="ask its author for a .safetensors file",
        ) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        struct.error,
    ) as error:
        raise AdapterError(f"{file} cannot be read: {error}", hint=_AGAIN) from error
    if not isinstance(value, dict) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items()
    ):
        raise AdapterError(f"{file} is no table of tensors", hint=_AGAIN)
    return value, {}


def read_header(file: Path) -> dict[str, str]:
    """The text entries in a safetensors file's header; none if there is no such file."""
    try:
        with safe_open(file, framework="pt") as stored:
            return stored.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def write_safetensors(file: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write atomically; the same tensors and text give the same bytes.

    The library writes the header's text entries in an order that differs from run to run.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(plain, dict(header))
    length = struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8 : 8 + length])
    table["__metadata__"] = dict(sorted(table["__metadata__"].items()))
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic(file) as temporary, temporary.open("wb") as out:
        out.write(struct.pack("<Q", len(text)))
        out.write(text)
        out.write(memoryview(content)[8 + length :])


def parse_json(text: str, where: Path) -> Any:
    """JSON from a file or header. Raises ``AdapterError`` naming ``where``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{where} is not valid JSON: {error}", hint=_AGAIN) from error


def read_json(file: Path) -> Any:
    """A JSON file. Raises ``AdapterError``."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AdapterError(f"{file} cannot be read: {error}", hint=_AGAIN) from error
    return parse_json(text, file)


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(file, framework="pt") as stored:
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            return tensors, stored.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{file} cannot be read: {error}", hint=_AGAIN) from error
