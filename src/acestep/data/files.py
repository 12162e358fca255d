"""Writing that cannot lose what was there: temporary file, fsync, rename."""

import hashlib
import json
import os
import pickle
import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acestep.errors import DatasetError

# What torch.load(weights_only=True) raises for files that are damaged, hostile or of another kind
# (found by flipping bytes of good ones). RuntimeError includes out of memory; nothing is executed.
TORCH_FILE_ERRORS = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
)

_LEFTOVER = re.compile(r"\.tmp-[a-z0-9_]{8}(\.\w+)?")  # as tempfile names them


@contextmanager
def reported(path: Path, what: str = "written") -> Iterator[None]:
    """A file system's error becomes a ``DatasetError`` that names ``path``: it cannot be …

    ``path`` is what the user knows, not a temporary file beside it.
    """
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{shown(path)} cannot be {what}: {error.strerror}",
            hint="check the folder, its permissions and the free space",
        ) from error


@contextmanager
def atomic(path: Path, *, backup: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and renamed onto it.

    The temporary file keeps ``path``'s suffix, since audio writers choose the format by it. With
    ``backup`` the version that stood there before is kept as ``<name>.bak``. On any error the
    temporary file is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        sync_file(temporary)
        if backup and path.exists():
            shutil.copy2(path, path.with_name(path.name + ".bak"))
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, backup: bool = False) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path, backup=backup) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any, *, backup: bool = False) -> None:
    """Write readable JSON atomically (two spaces, Unicode as it is)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", backup=backup)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success its files are synced and it is renamed.

    ``path`` must not exist: a finished folder is never replaced. Half-written folders start with
    ``.tmp-`` and are left behind only by a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".tmp-"))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                sync_file(file)
        sync_folder(temporary)
        os.rename(temporary, path)
        sync_folder(path.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


@contextmanager
def alone_in(folder: Path, *, together: bool = False) -> Iterator[None]:
    """Hold an existing folder against other processes that ask the same; raises
    ``BlockingIOError`` if one holds it. The hold ends with the process, however it ends.

    Several processes may hold it ``together``, against those that want to be alone.

    Where folders cannot be locked (Windows, some network drives) nothing is held.
    """
    if os.name == "nt":
        yield
        return
    import fcntl  # not there on Windows

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            kind = fcntl.LOCK_SH if together else fcntl.LOCK_EX
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left of :func:`atomic` and :func:`atomic_folder`.

    Only for a folder that is held: another process may be writing.
    """
    for path in folder.glob(".tmp-*"):
        if _LEFTOVER.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex. Raises ``OSError`` where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Push a file's contents to the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Push a folder's entries to the disk (a no-op where folders cannot be opened)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def shown(path: Path | str) -> str:
    """A path as text that can be printed and saved: bytes that are no Unicode become escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return there


def size_text(size: float) -> str:
    """Bytes for people: ``23.7 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} GB" if size < 1000 else f"{size / 1000:.3g} TB"
