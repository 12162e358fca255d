"""What trains: the device that is here, or a card that was named, with its memory and its speed.

Peaks and bandwidths are what the makers state, peaks of dense bfloat16 products that are summed in
float32; what a step takes follows from them (:mod:`acestep.speed.roofline`). Before Ampere cards
have no bfloat16, and compute it as float32.
"""

import re
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

from acestep.errors import ConfigError
from acestep.model.device import choose_device
from acestep.speed.memory import GIB
from acestep.speed.roofline import Chip


@dataclass(frozen=True)
class Card(Chip):
    """A kind of card; ``gib`` is its memory."""

    gib: int


# TFLOPS, GB/s, GiB
CARDS = {
    "T4": Card(8.1, 320, 16),
    "V100": Card(15.7, 900, 16),
    "RTX 2060": Card(6.5, 336, 6),
    "RTX 2080 Ti": Card(13.4, 616, 11),
    "RTX 3060": Card(25.5, 360, 12),
    "RTX 3070": Card(40.6, 448, 8),
    "RTX 3080": Card(59.5, 760, 10),
    "RTX 3090": Card(71.0, 936, 24),
    "RTX 4060": Card(30.0, 272, 8),
    "RTX 4060 Ti": Card(44.0, 288, 16),
    "RTX 4070": Card(58.0, 504, 12),
    "RTX 4080": Card(97.5, 717, 16),
    "RTX 4090": Card(165.0, 1008, 24),
    "RTX 5060 Ti": Card(47.0, 448, 16),
    "RTX 5070": Card(62.0, 672, 12),
    "RTX 5070 Ti": Card(88.0, 896, 16),
    "RTX 5080": Card(112.0, 960, 16),
    "RTX 5090": Card(210.0, 1792, 32),
    "RTX A6000": Card(155.0, 768, 48),
    "A10G": Card(70.0, 600, 24),
    "L4": Card(121.0, 300, 24),
    "L40S": Card(362.0, 864, 48),
    "A100": Card(312.0, 1555, 40),
    "H100": Card(989.0, 3350, 80),
    "H200": Card(989.0, 4800, 141),
    "B200": Card(2250.0, 8000, 180),
}
BEFORE_AMPERE = ("T4", "V100", "RTX 2060", "RTX 2080 Ti")
# The cards of the guide, by which a machine is judged of which only the memory is known
TYPICAL = ("RTX 3070", "RTX 3060", "RTX 4080", "RTX 3090", "A100", "H100", "H200")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:g|gb|gib)?\b", re.IGNORECASE)
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:gb|gib|g)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """Where training runs. ``memory`` is in bytes, of the card or of the main memory; ``chip`` is
    None where no card tells it; ``here`` is whether it is this machine."""

    name: str
    kind: Literal["cuda", "mps", "cpu"] | str
    memory: int
    chip: Chip | None = None
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
    return Machine(name, "cuda", memory, CARDS[card], here=True)


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
        gib = float(size[1]) if size else CARDS[card].gib
    else:
        assert alone is not None
        gib = float(alone[1])
    if not 1 <= gib <= 4096:
        raise ConfigError([f"--gpu {text}: {gib:g} GB is no card's memory"])
    name = card or f"a card with {gib:g} GB"
    return Machine(name, "cuda", round(gib * GIB), CARDS[card or _typical(gib)])


def has_bfloat16(machine: Machine) -> bool:
    """Whether a card multiplies bfloat16, as far as its name tells."""
    return _card(machine.name) not in BEFORE_AMPERE


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
    large = [name for name in TYPICAL if CARDS[name].gib * 0.9 >= gib * 0.9 - 0.5]
    return min(large, key=lambda name: CARDS[name].gib) if large else TYPICAL[-1]
