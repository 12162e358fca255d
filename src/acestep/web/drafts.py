"""What was typed and not yet saved, on disk: a reload, a crash or another window loses none of it.

One JSON file a dataset, below the studio's own folder: song id → field → text.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from acestep.data.files import reported, write_json
from acestep.web.workspace import Workspace

FORMAT = 1


class Drafts:
    """The drafts of one dataset file."""

    def __init__(self, workspace: Workspace, dataset: Path) -> None:
        name = hashlib.sha256(str(dataset).encode()).hexdigest()[:16]
        self.file = workspace.state / "drafts" / f"{name}.json"

    def all(self) -> dict[str, dict[str, Any]]:
        """Every draft, by song."""
        try:
            record = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        songs = record.get("songs") if isinstance(record, dict) else None
        if not isinstance(songs, dict):
            return {}
        return {str(song): dict(draft) for song, draft in songs.items() if isinstance(draft, dict)}

    def of(self, song: str) -> dict[str, Any]:
        """A song's draft: the fields that were changed."""
        return self.all().get(song, {})

    def keep(self, song: str, fields: dict[str, Any]) -> None:
        """Put a song's changed fields down; none of them forgets the draft.

        Raises ``DatasetError`` if the disk is full.
        """
        drafts = self.all()
        before = dict(drafts)
        drafts.pop(song, None)
        if fields:
            drafts[song] = fields
        if drafts != before:
            with reported(self.file):
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.file, {"format": FORMAT, "songs": drafts})

    def forget(self, song: str) -> None:
        """Saved, or given up."""
        self.keep(song, {})
