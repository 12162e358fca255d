"""What ``acestep doctor`` finds; nothing here needs more than Python."""

from dataclasses import dataclass
from typing import Literal

OPTIONAL = {
    "av": "reads .m4a and .aac (pip install 'acestep-studio[io]')",
    "optuna": "acestep sweep (pip install 'acestep-studio[sweep]')",
    "torchao": "--base-precision int8 (pip install 'acestep-studio[quant]')",
    "bitsandbytes": "--base-precision nf4, --optimizer adamw8bit "
    "(pip install 'acestep-studio[quant]')",
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
