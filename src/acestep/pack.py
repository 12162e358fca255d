"""Pack a folder of tensors into shards for network and object storage, or unpack them.

Training, advice and evaluation read a packed folder as they read the one it was made from, with the
same numbers: see :mod:`acestep.data.packed` for the format.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acestep.config import PackConfig
from acestep.data.files import size_text, write_text
from acestep.data.packed import (
    INDEX,
    Index,
    Piece,
    Place,
    find_packed,
    is_packed,
    make_piece,
    origin_of,
    read_index,
    read_shard,
    shard_name,
    write_index,
    write_shard,
)
from acestep.data.tensors import (
    MANIFEST,
    Manifest,
    fingerprint,
    load_record,
    load_sample,
    read_manifest,
    save_record,
    tensor_folder,
)
from acestep.errors import TensorError
from acestep.events import Event, Finished, Progress, Saved, Started

SHARDS = "shard_*.safetensors"
MANY = 10  # of what is wrong, how much is said


def pack(config: PackConfig) -> Iterator[Event]:
    """Write the samples of a tensor folder into shards of about ``config.shard_size``.

    Run again it writes only shards whose samples changed, and reads the others back. The manifest
    is written last: a folder whose packing was broken off is not taken for a whole one. With
    ``unpack`` the other way round; with ``verify`` nothing is written.

    Raises ``TensorError`` if samples are missing, damaged or not ours, if files of others are in
    the way, or if the folder cannot be written.
    """
    if config.verify:
        yield from _verify(config.tensors)
        return
    if config.output.resolve() == config.tensors.resolve():
        raise TensorError(
            f"{config.output} is the folder that is to be packed", hint="choose another with -o"
        )
    manifest = _manifest(config.tensors)
    facts = {"samples": len(manifest.samples), "shard_size": config.shard_size}
    yield Started("pack", {**facts, "unpack": config.unpack})
    try:
        yield from (_unpack if config.unpack else _pack)(config, manifest)
    except OSError as error:
        raise TensorError(
            f"cannot write to {config.output}: {error.strerror or error}",
            hint="free some space or fix the permissions; run again, it goes on where it was",
        ) from error


def _manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.foreign:
        raise TensorError(
            f"{folder} was made by another program; only what acestep preprocess made is packed",
            hint="encode the songs again with acestep preprocess",
        )
    if not manifest.samples:
        raise TensorError(f"{folder / MANIFEST} names no samples", hint="run acestep preprocess")
    return manifest


def _pack(config: PackConfig, manifest: Manifest) -> Iterator[Event]:
    folder = config.output
    _check_packed_folder(folder)
    with tensor_folder(folder):
        before = read_index(folder) if is_packed(folder) else None
        places: dict[str, Place] = {}
        written = 0
        for number, entries in enumerate(_shards(config, manifest)):
            yield Progress("pack", len(places), len(manifest.samples), shard_name(number))
            shard = folder / shard_name(number)
            made_from = _made_from(config.tensors, entries)
            known = _known(shard, made_from, before)
            if known is None:
                _begin_anew(folder)
                known = write_shard(shard, _pieces(config.tensors, entries), made_from)
                written += 1
                yield Saved("shard", str(shard))
            places |= known
        yield Progress("pack", len(places), len(places), INDEX)
        index = Index(manifest.fingerprint, places)
        _finish(config.tensors, folder, index)
    facts = {
        "samples": len(places),
        "shards": len(index.shards),
        "written": written,
        "size": size_text(sum(place.length for place in places.values())),
    }
    yield Finished("pack", str(folder), facts)


def _begin_anew(folder: Path) -> None:
    """While shards change under them, neither manifest nor index is there."""
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / INDEX).unlink(missing_ok=True)


def _finish(source: Path, folder: Path, index: Index) -> None:
    """Write index and manifest if they are not there as they should be; drop other shards."""
    complete = (folder / MANIFEST).exists() and is_packed(folder)
    if complete and read_index(folder) == index and _same_manifest(source, folder):
        return
    _begin_anew(folder)
    for shard in folder.glob(SHARDS):
        if shard.name not in index.shards:
            shard.unlink()
    write_index(folder, index)
    _copy_manifest(source, folder)


def _same_manifest(source: Path, folder: Path) -> bool:
    return (source / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def _copy_manifest(source: Path, folder: Path) -> None:
    write_text(folder / MANIFEST, (source / MANIFEST).read_text(encoding="utf-8"))


def _shards(config: PackConfig, manifest: Manifest) -> Iterator[list[dict[str, Any]]]:
    """The manifest's entries, a shard's at a time; nothing is read but what is small."""
    entries: list[dict[str, Any]] = []
    size = 0
    for entry in manifest.samples:
        path = config.tensors / entry["file"]
        length = make_piece(path.name, load_record(path, mapped=True)).length
        if entries and size + length > config.shard_bytes:
            yield entries
            entries, size = [], 0
        entries.append(entry)
        size += length
    yield entries


def _pieces(folder: Path, entries: list[dict[str, Any]]) -> list[Piece]:
    """Samples for a shard, checked as training checks them; their tensors stay on disk until they
    are written."""
    pieces = []
    for entry in entries:
        load_sample(folder, entry)
        pieces.append(make_piece(entry["file"], load_record(folder / entry["file"], mapped=True)))
    return pieces


def _made_from(folder: Path, entries: list[dict[str, Any]]) -> str:
    """A hash of what a shard is packed from: which samples, and the state of their files."""
    return fingerprint([[entry, _state(folder / entry["file"])] for entry in entries])


def _state(path: Path) -> list[int | str]:
    place = None if path.exists() else find_packed(path)
    if place:
        return [place.sha256]
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _known(shard: Path, made_from: str, before: Index | None) -> dict[str, Place] | None:
    """Where the samples of a shard lie that is there already, up to date and as it was written."""
    try:
        if origin_of(shard) != made_from:
            return None
        places = read_shard(shard)
    except TensorError:
        return None
    changed = before and any(before.places.get(name, at) != at for name, at in places.items())
    return None if changed else places


def _check_packed_folder(folder: Path) -> None:
    """Raise ``TensorError`` if packing would replace or hide what it did not write."""
    if next(folder.glob("sample_*.pt"), None):
        raise TensorError(
            f"{folder} holds tensors that are not packed", hint="choose another folder with -o"
        )
    ours = read_index(folder).shards if is_packed(folder) else []
    for shard in folder.glob(SHARDS):
        if shard.name not in ours:
            origin_of(shard)


def _verify(folder: Path) -> Iterator[Event]:
    """Read everything and compare every hash; says which samples are not what was packed."""
    if not is_packed(folder):
        raise TensorError(f"{folder} is not packed: it has no {INDEX}", hint="see acestep pack")
    manifest = _manifest(folder)
    yield Started("pack", {"samples": len(manifest.samples), "verify": True})
    wrong: list[str] = []
    for number, entry in enumerate(manifest.samples):
        yield Progress("pack", number, len(manifest.samples), entry["file"])
        try:
            load_sample(folder, entry)
        except TensorError as error:
            wrong.append(str(error))
    if wrong:
        raise TensorError(
            f"{len(wrong)} of {len(manifest.samples)} samples are damaged:\n"
            + "\n".join(wrong[:MANY]),
            hint="copy their shards again, or run acestep pack again",
        )
    yield Finished("pack", str(folder), {"samples": len(manifest.samples), "damaged": 0})


def _unpack(config: PackConfig, manifest: Manifest) -> Iterator[Event]:
    if is_packed(config.output):
        raise TensorError(f"{config.output} holds shards", hint="choose another folder with -o")
    with tensor_folder(config.output):
        names = [entry["file"] for entry in manifest.samples]
        for number, (name, entry) in enumerate(zip(names, manifest.samples, strict=True)):
            yield Progress("pack", number, len(names), name)
            load_sample(config.tensors, entry)
            record = load_record(config.tensors / name)
            del record["format"]
            save_record(config.output / name, record)
        _copy_manifest(config.tensors, config.output)
    yield Saved("tensors", str(config.output / MANIFEST))
    yield Finished("pack", str(config.output), {"samples": len(names)})
