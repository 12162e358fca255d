"""What ``acestep doctor`` finds; nothing here needs more than Python."""

from dataclasses import dataclass
from typing import Literal

OPTIONAL = {
    "av": "reads .m4a and .aac (pip install 'acestep-studio[io]')",
    "optuna": "acestep sweep (pip install 'acestep-studio[sweep]')",
    "bitsandbytes": "--optimizer adamw8bit (pip install 'acestep-studio[optim]')",
}
_MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@dataclass(frozen=True)
class Finding:
    """A ``problem`` keeps something from working; a ``note`` is worth knowing."""

    level: Literal["ok", "note", "problem"]
    what: str
    detail: str

    def line(self) -> str:
        """The finding as text."""
        return f"{_MARKS[self.level]} {self.what}: {self.detail}"
