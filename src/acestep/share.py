"""Give an adapter away: its folder goes to the Hugging Face Hub, the songs do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acestep.config import ShareConfig
from acestep.errors import AdapterError
from acestep.events import Event, Finished, Notice, Progress, Saved, Started

SHARED = (".json", ".md", ".safetensors", ".bin")


def share(config: ShareConfig) -> Iterator[Event]:
    """Upload what an export wrote, file by file as its ``card.json`` lists them.

    Anything else in the folder stays, above all audio: only the adapter's own files are ever
    named to the server. Raises ``AdapterError`` if the folder is not an export, a file of it is
    missing or was changed since, or the Hub refuses.
    """
    from acestep.adapters.hub import upload  # slow to import

    card, files = exported_files(config.adapter)
    size = sum(file.stat().st_size for file in files.values())
    facts = {"adapter": str(config.adapter), "repo": config.repo, "private": config.private}
    yield Started("share", {**facts, "files": sorted(files), "bytes": size})
    for key, flag in (("license", "--license"), ("consent", "--consent")):
        if not card.get(key):
            yield Notice(
                f"the card states no {key}: export again with {flag} to say what others may do"
            )
    yield Progress("share", 0, len(files), "files")
    address = upload(files, config.repo, private=config.private, message=config.message)
    yield Progress("share", len(files), len(files), "files")
    yield Saved("repository", address)
    yield Finished("share", address, facts)


def exported_files(folder: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """An export's card, and its files by name; see ``share``."""
    from acestep.adapters.publish import CARD_FILE, read_record

    card, names = read_record(folder)
    foreign = [name for name in names if Path(name).suffix not in SHARED]
    if foreign:
        raise AdapterError(
            f"{folder / CARD_FILE} lists {', '.join(foreign)}: no adapter has such a file",
            hint="export the adapter again into another folder",
        )
    return card, {name: folder / name for name in [*names, CARD_FILE]}
