"""How much memory a training step takes at its peak: pure arithmetic, nothing is allocated.

What lies there anyway is counted: base, adapter, gradients, moments. What a pass adds is linear in
its patches; the coefficients were fitted to peaks of the real transformer with a real adapter on
tensors without data (``benchmarks/memory.py`` does it again), where attention is CUDA's fused
kernel, which keeps its inputs, its output and a number a head and a row.
The peak is the allocator's: what was asked of it, without what CUDA itself takes (``usable``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from acestep.model.shape import Shape
from acestep.speed.coefficients import KEPT, WORKING, Bytes
from acestep.speed.levels import LEVELS, Level

GIB = 2**30
IN_BLOCKS = 1.35  # of what a pass adds, at most, where attention goes in blocks; counted
CONTEXT = 0.6 * GIB  # what CUDA itself takes of a card, with the workspaces of its libraries
SLACK = 1.08  # of the allocator: holes between what it gave
MOMENTS = {"adamw": 8, "adamw8bit": 2, "prodigy": 16}  # bytes a trained parameter
# Compiled blocks keep as much as eager ones with fused norms do (0.064 GiB a block of 2B at 60 s,
# counted in compiled graphs), and of dropout its mask alone: bytes a number it falls on
MASK = 1
# Bytes a weight of the blocks, where it lies in few bits: with the scales of rows, or of 64 and 256
STORED = {"int8": 1 + 4 / 2048, "nf4": 0.5 + 1 / 64 + 4 / 64 / 256}


@dataclass(frozen=True)
class Load:
    """What is trained on what: all that the memory of a step depends on.

    ``weights`` is what the base is computed in; ``base_precision`` how its blocks lie in memory,
    where that is not the same; ``condition`` the tokens of a clip's condition; ``fused`` whether
    attention is a fused kernel (else windows go in blocks that copy their neighbours). A pattern of
    module names as ``targets`` counts as all layers.
    """

    shape: Shape
    rank: int = 64
    targets: str = "attention"
    adapter: Literal["lora", "dora", "rslora"] | str = "lora"
    dropout: float = 0.1
    weights: Literal["bfloat16", "float32"] | str = "bfloat16"
    base_precision: Literal["auto", "bf16", "int8", "nf4"] | str = "auto"
    level: Level = "none"
    compiled: bool = False
    condition: int = 200
    fused: bool = True
    optimizer: Literal["adamw", "adamw8bit", "prodigy"] | str = "adamw"

    @property
    def width(self) -> int:
        """Bytes of a number that is computed with."""
        return 4 if self.weights == "float32" else 2

    @property
    def base(self) -> float:
        """Bytes of the frozen transformer."""
        blocks = self.shape.layers * sum(i * o for i, o in self.shape.linears("attention+mlp"))
        stored = STORED.get(self.base_precision, self.width)
        return blocks * stored + (self.shape.parameters - blocks) * self.width

    @property
    def adapter_parameters(self) -> int:
        """Numbers that are trained; DoRA has a magnitude for each output more."""
        outputs = sum(o for _, o in self.shape.linears(self.targets)) * self.shape.layers
        more = outputs if self.adapter == "dora" else 0
        return self.shape.adapter_parameters(self.rank, self.targets) + more

    @property
    def trained(self) -> float:
        """Bytes of the adapter with its gradients and the optimizer's moments."""
        return (8 + MOMENTS[self.optimizer]) * self.adapter_parameters

    @property
    def static(self) -> float:
        """Bytes that lie there between steps, gradients counted."""
        return self.base + self.trained

    def activations(self, patches: int, clips: float = 1) -> float:
        """Bytes that a pass of so many patches, padding counted, adds at its peak."""
        kind = (self.weights, self.adapter == "dora")
        each = KEPT[kind][self.level]
        if self.compiled:
            each = replace(each, dropped=min(MASK, each.dropped))
        kept = self.bytes_of(each, patches, clips)
        working = self.bytes_of(WORKING[kind][self.level], patches, clips)
        if self.base_precision in STORED:  # a layer's weight, while it is multiplied with
            working += self.width * self._largest
        return (self.shape.layers * kept + working) * (1 if self.fused else IN_BLOCKS)

    def peak(self, patches: int, clips: float = 1) -> float:
        """Bytes allocated at the peak of a step whose largest pass has so many patches."""
        return self.static + self.activations(patches, clips)

    def bytes_of(self, each: Bytes, patches: int, clips: float) -> float:
        """So many bytes of each kind make how many, of one block."""
        shape, tokens = self.shape, self.condition * clips
        linears = shape.linears(self.targets)
        rows: list[float] = [patches] * len(linears)
        if self.targets != "self":  # the keys and values of cross-attention see the condition
            first = 0 if self.targets == "cross" else 4
            rows[first + 1 : first + 3] = [tokens, tokens]
        dropped = sum(n * i for n, (i, _) in zip(rows, linears, strict=True))
        return (
            each.width * patches * shape.width
            + each.queries * patches * shape.heads * shape.head_dim
            + each.keys * patches * shape.kv_heads * shape.head_dim
            + each.inner * patches * shape.inner
            + each.condition * tokens * shape.width
            + each.outputs * sum(n * o for n, (_, o) in zip(rows, linears, strict=True))
            + each.ranks * self.rank * sum(rows)
            + (each.dropped * dropped if self.dropout else 0)
            + each.adapter * self.rank * sum(i + o for i, o in linears)
            + each.weights * sum(i * o for i, o in linears)
            + each.largest * max(i * o for i, o in linears)
        )

    @property
    def _largest(self) -> int:
        return max(i * o for i, o in self.shape.linears("attention+mlp"))


@dataclass(frozen=True)
class Fit:
    """A way through a step, its predicted ``peak`` in bytes, and whether there is room for it."""

    level: Level
    patches_at_once: int
    peak: float
    fits: bool


def peaks(load: Load, longest: int) -> Callable[[Level, int], float]:
    """The predicted peak of a pass by its level and its patches, of clips up to ``longest``: a line
    in the patches, which :func:`fill` counts on."""
    return lambda level, patches: replace(load, level=level).peak(patches, patches / longest)


def fill(
    peak: Callable[[Level, int], float],
    longest: int,
    enough: int,
    room: float,
    levels: Sequence[Level] = LEVELS,
) -> Fit:
    """The first level at which ``peak(level, patches)`` of the longest clip fits into ``room``
    bytes, and how many patches go together there: as many as fit, at most ``enough``, at least that
    clip.

    ``room`` is all that tensors may take, the base counted. Where nothing fits, the last level.
    """
    for level in levels:
        alone = peak(level, longest)
        if alone <= room:
            break
    each = (peak(level, 2 * longest) - alone) / longest
    more = max(0, int((room - alone) / each)) if alone <= room else 0
    at_once = max(longest, min(enough, longest + more))
    return Fit(level, at_once, peak(level, at_once), alone <= room)


def usable(memory: float) -> float:
    """Bytes for tensors on a card of so many: less what CUDA takes, and what lies idle between."""
    return max(0.0, memory - CONTEXT) / SLACK
