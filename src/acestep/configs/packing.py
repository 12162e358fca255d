"""What can be set of packing tensors for network storage."""

import re
from pathlib import Path

from acestep.configs.base import Config, knob, output
from acestep.knobs import Positional

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(kb|mb|gb|tb)\s*", re.IGNORECASE)
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


class PackConfig(Config):
    """Pack a folder of tensors into large files for network storage, or unpack them."""

    tensors: Positional[Path] = knob(..., "Folder that preprocess or pack wrote.")
    output: Path = output(Path("packed"), "Folder for the shards, their index and the manifest.")
    shard_size: str = knob("1GB", "Size of a shard, which holds whole samples: 500MB, 1GB, 4GB.")
    unpack: bool = knob(False, "Write one file a sample again, bit for bit.")
    verify: bool = knob(False, "Only read a packed folder and compare every hash.")

    @property
    def shard_bytes(self) -> int:
        """``shard_size`` as a number."""
        size = _SIZE.fullmatch(self.shard_size)
        return int(float(size[1]) * _UNITS[size[2].lower()]) if size else 0

    def disagreements(self) -> list[str]:
        """A size has a unit; one thing is done at a time."""
        wrong = []
        if self.shard_bytes < 1:
            wrong.append(f"--shard-size {self.shard_size}: must be a size such as 500MB or 1GB")
        if self.unpack and self.verify:
            wrong.append("--unpack --verify: give one of the two")
        return wrong
