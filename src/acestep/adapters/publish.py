"""Files put into a folder that may hold others': ours are replaced, nobody else's are touched.

What an export wrote is known again by its header (a safetensors file with our card in it), or by
``card.json`` in the folder, which lists the files of the last export with a digest of each.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acestep.adapters.card import HEADER_KEY, check_card
from acestep.adapters.locate import CONFIG
from acestep.adapters.tensorfiles import read_header
from acestep.data.files import atomic_folder, sync_file, sync_folder, write_json
from acestep.errors import AdapterError

CARD_FILE = "card.json"
FORMAT = 1
_END = 1 << 20  # bytes at each end of a file that its digest covers


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; what was written there then appears in ``folder``.

    A folder that does not exist appears whole. In one that does, each file is replaced whole, and
    files of an earlier export that are not written again go away. Raises ``AdapterError``, with
    nothing changed, if a file of the same name is there that no export wrote.
    """
    if not folder.exists():
        with atomic_folder(folder) as temporary:
            yield temporary
        return
    if not folder.is_dir():
        raise AdapterError(f"{folder} is a file", hint="name a folder")
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".tmp-"))
    try:
        yield temporary
        _replace(temporary, folder)
    finally:
        shutil.rmtree(temporary)


def write_record(folder: Path, card: Mapping[str, Any]) -> None:
    """Write ``card.json``: the card, and every file that is in ``folder`` by now."""
    files = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    write_json(folder / CARD_FILE, {"format": FORMAT, "card": dict(card), "files": files})


def read_record(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The card of an export and the names of its files, each as it was written.

    Raises ``AdapterError`` if ``folder`` is not what an export wrote, or was changed since.
    """
    listed = _listed(folder)
    if CONFIG not in listed:
        raise AdapterError(
            f"{folder} is not an adapter that acestep export wrote as a folder",
            hint=f"acestep export RUN -o {folder}",
        )
    changed = [name for name, digest in listed.items() if not _is_whole(folder / name, digest)]
    if changed:
        raise AdapterError(
            f"{folder}: {', '.join(changed)} is missing or was changed since the export",
            hint="export into this folder again",
        )
    record = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    return check_card(record.get("card")), list(listed)


def _is_whole(file: Path, digest: str) -> bool:
    return file.is_file() and not file.is_symlink() and _digest(file) == digest


def _replace(source: Path, folder: Path) -> None:
    listed = _listed(folder)
    names = sorted(file.name for file in source.iterdir())
    foreign = [name for name in names if not _is_ours(folder / name, listed)]
    if foreign:
        raise AdapterError(
            f"{folder} holds {', '.join(foreign)}: no export wrote that, or it was changed since",
            hint="export into another folder, or move them away",
        )
    names.sort(key=lambda name: name == CARD_FILE)  # the record last
    for name in names:
        sync_file(source / name)
        os.replace(source / name, folder / name)
    for name in listed.keys() - set(names) if CARD_FILE in names else ():
        if _is_ours(folder / name, listed):
            (folder / name).unlink(missing_ok=True)
    sync_folder(folder)


def _is_ours(file: Path, listed: Mapping[str, str]) -> bool:
    """Whether an export wrote this file, or there is none."""
    if not file.exists() and not file.is_symlink():
        return True
    if not file.is_file() or file.is_symlink():
        return False
    if file.name == CARD_FILE:
        return bool(listed)
    if listed.get(file.name) == _digest(file):
        return True
    return file.suffix == ".safetensors" and HEADER_KEY in read_header(file)


def _listed(folder: Path) -> dict[str, str]:
    """Names and digests in the folder's record; nothing if there is none that can be understood."""
    try:
        record = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict) or not isinstance(record.get("files"), dict):
        return {}
    return {
        name: digest
        for name, digest in record["files"].items()
        if isinstance(digest, str) and name == Path(name).name
    }


def _digest(file: Path) -> str:
    """Of a file's size, start and end: a rewritten file is seen without reading gigabytes."""
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as stream:
        digest.update(stream.read(_END))
        stream.seek(max(size - _END, 0))
        digest.update(stream.read(_END))
    return digest.hexdigest()
