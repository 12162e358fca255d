"""What can be set of giving an adapter away, and of making one again."""

import re
from pathlib import Path

from acestep.configs.base import Config, Device, knob, output
from acestep.knobs import Positional

_REPO = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


class ShareConfig(Config):
    """Upload an exported adapter to the Hugging Face Hub; songs never go with it."""

    adapter: Positional[Path] = knob(..., "Folder that export wrote.")
    repo: Positional[str] = knob(..., "Where to: USER/NAME.")
    private: bool = knob(False, "Only you and those you name can see it.")
    message: str = knob("Adapter made with acestep-studio", "Message of the commit.")

    def disagreements(self) -> list[str]:
        """A repository has an owner and a name."""
        if _REPO.fullmatch(self.repo):
            return []
        return [f"REPO {self.repo}: must be USER/NAME, of letters, digits, '-', '_' and '.'"]


class ReproduceConfig(Config):
    """Make an exported adapter again from the same songs, and say whether it is bit-identical."""

    adapter: Positional[Path] = knob(..., "Folder that export wrote, with its manifest.json.")
    dataset: Path = knob(Path("dataset.json"), "Dataset file of the same songs and labels.")
    output: Path = output(Path("reproduced"), "Folder for the tensors and the run.")
    model: str | None = knob(None, "Base model (default: the one the manifest names).")
    device: Device | None = knob(None, "Where to compute (default: as it was made).")
