"""What can be set of asking for advice."""

from pathlib import Path

from acestep.configs.base import Config, Device, knob
from acestep.knobs import Positional


class AdviseConfig(Config):
    """Say which settings suit a folder of tensors or a dataset, or what to change after a run."""

    source: Positional[Path] = knob(..., "Folder of tensors, dataset file, or run folder.")
    gpu: str | None = knob(
        None, "Card that will train, by memory or name: 12GB, RTX 4090 (default: this machine)."
    )
    model: str | None = knob(
        None, "Base model (default: the one the tensors were made with, or mini)."
    )
    device: Device | None = knob(None, "Where it will train (default: the best there is).")
    probe: bool = knob(True, "Time a few steps, where the model is here and that takes no minute.")

    def disagreements(self) -> list[str]:
        """A card that is elsewhere is no device of this machine."""
        if self.gpu is not None and self.device is not None:
            return [f"--gpu {self.gpu} --device {self.device}: give one of the two"]
        return []
