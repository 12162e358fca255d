"""What trains: the device that is here, or a card that was named, with its memory and its pace.

A pace is seconds for one pass of one song of the guide's folder (8 songs, 30 minutes) through the
2B model. The guide measured three cards: 500 epochs take 1 h on an RTX 3090, 40 min on a 4090 and
30 min on an A100, so 0.90, 0.60 and 0.45 s. These lie within 5 % of ``7.6 / √peak`` with the peak
in TFLOPS of dense bfloat16 that the makers state; the other cards are read off that curve.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

from acestep.errors import ConfigError
from acestep.model.device import choose_device

GIB = 2**30
_CURVE = 7.6  # seconds × √TFLOPS
# Memory in GiB, peak in TFLOPS of dense bfloat16 (float16 before Ampere)
CARDS: dict[str, tuple[int, float]] = {
    "T4": (16, 65.0),
    "V100": (16, 125.0),
    "RTX 2060": (6, 26.0),
    "RTX 2080 Ti": (11, 54.0),
    "RTX 3060": (12, 25.5),
    "RTX 3070": (8, 40.6),
    "RTX 3080": (10, 59.5),
    "RTX 3090": (24, 71.0),
    "RTX 4060": (8, 30.0),
    "RTX 4060 Ti": (16, 44.0),
    "RTX 4070": (12, 58.0),
    "RTX 4080": (16, 97.5),
    "RTX 4090": (24, 165.0),
    "RTX 5060 Ti": (16, 47.0),
    "RTX 5070": (12, 62.0),
    "RTX 5070 Ti": (16, 88.0),
    "RTX 5080": (16, 112.0),
    "RTX 5090": (32, 210.0),
    "RTX A6000": (48, 155.0),
    "A10G": (24, 70.0),
    "L4": (24, 121.0),
    "L40S": (48, 362.0),
    "A100": (40, 312.0),
    "H100": (80, 989.0),
    "H200": (141, 989.0),
    "B200": (180, 2250.0),
}
# The cards of the guide, by which a machine is judged of which only the memory is known
TYPICAL = ("RTX 3070", "RTX 3060", "RTX 4080", "RTX 3090", "A100", "H100", "H200")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:g|gb|gib)?\b", re.IGNORECASE)
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:gb|gib|g)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """Where training runs. ``memory`` is in bytes, of the card or of the main memory; ``pace`` in
    seconds (see above), None where no card tells it; ``here`` is whether it is this machine."""

    name: str
    kind: Literal["cuda", "mps", "cpu"] | str
    memory: int
    pace: float | None = None
    here: bool = False

    @property
    def gib(self) -> float:
        """The memory in GiB."""
        return self.memory / GIB


def this_machine(device: str | None = None) -> Machine:
    """The best device here, or the one named. Raises ``ConfigError`` for one that is not here."""
    chosen = choose_device(device)
    if chosen.type != "cuda":
        name = "this CPU" if chosen.type == "cpu" else "this Mac"
        return Machine(name, chosen.type, psutil.virtual_memory().total, here=True)
    name = torch.cuda.get_device_name(chosen)
    memory = torch.cuda.get_device_properties(chosen).total_memory
    card = _card(name) or _typical(memory / GIB)
    return Machine(name, "cuda", memory, _pace(card), here=True)


def named_machine(text: str) -> Machine:
    """A card by its memory or name: ``12GB``, ``24``, ``RTX 4090``, ``a100 80GB``.

    Raises ``ConfigError`` for what is neither.
    """
    card, size = _card(text), _WITH_UNIT.search(text)
    alone = _MEMORY.fullmatch(text.strip())
    if card is None and alone is None:
        raise ConfigError(
            [f"--gpu {text}: must be memory (12GB) or one of {', '.join(CARDS)}"],
            hint="the memory is enough: acestep advise tensors/ --gpu 12GB",
        )
    if card is not None:
        gib = float(size[1]) if size else CARDS[card][0]
    else:
        assert alone is not None
        gib = float(alone[1])
    if not 1 <= gib <= 4096:
        raise ConfigError([f"--gpu {text}: {gib:g} GB is no card's memory"])
    name = card or f"a card with {gib:g} GB"
    return Machine(name, "cuda", round(gib * GIB), _pace(card or _typical(gib)))


def _card(text: str) -> str | None:
    """The card whose name stands in a text; the longest name counts (4060 Ti before 4060)."""
    words = _words(text)
    found = [name for name in CARDS if _inside(_words(name.removeprefix("RTX ")), words)]
    return max(found, key=len) if found else None


def _words(text: str) -> list[str]:
    return re.findall(r"\d+|[a-z]+", text.lower())


def _inside(few: list[str], many: list[str]) -> bool:
    return any(many[place : place + len(few)] == few for place in range(len(many)))


def _typical(gib: float) -> str:
    """The smallest usual card that has as much memory (to 10 %: cards hold a little back)."""
    large = [name for name in TYPICAL if CARDS[name][0] * 0.9 >= gib * 0.9 - 0.5]
    return min(large, key=lambda name: CARDS[name][0]) if large else TYPICAL[-1]


def _pace(card: str) -> float:
    return _CURVE / math.sqrt(CARDS[card][1])
