"""How long a pass through the transformer takes on a card, predicted from what its makers state.

A pass costs the larger of two times: what the card needs for its products and for moving memory,
and what the program needs to issue the kernels. Products and attention are counted; the rest is
five constants. They were set so that the roofline estimates for an H200, an A100, an RTX 4090 and
an RTX 3090 come out, at 60 and 240 s of audio, eager, compiled and recomputed, with the 2B and the
XL model: 36 figures, the largest deviation 12 %. Those estimates are arithmetic over counted
operations and bytes, good to ±30 %, and so is this; nothing of it was measured on a card.
"""

from dataclasses import dataclass

from acestep.model.shape import Shape

REACHED = 0.9  # of the stated peak, by large products; n patches reach n / (n + TFLOPS) of that
ATTENTION = 0.4  # of it, by attention
STREAM = 0.85  # of the stated bandwidth
GLUE, COMPILED_GLUE = 1150, 150  # bytes that norms, casts, products by element move, a patch,
# channel and block; and what compiling leaves of them beside the matrix products
ISSUE, COMPILED_ISSUE = 2.4e-3, 0.9e-3  # seconds a block until its kernels are issued
UPDATE = 28  # bytes that a fused AdamW moves for a parameter
RESTORED = 5  # bytes moved to restore one weight of a base stored in fewer bits, each time
WINDOW = 257  # patches that a patch hears in a window of ±128
FORWARD = 1 / 3.5  # of attention: the backward pass is two and a half times as much
RECOMPUTED_GLUE = 0.4  # of the glue lies in the forward pass
RECOMPUTED_PRODUCTS = 0.45  # forward over all products of a frozen base, with the adapter's


@dataclass(frozen=True)
class Chip:
    """``peak`` in TFLOPS of dense bfloat16 products, ``bandwidth`` of its memory in GB/s."""

    peak: float
    bandwidth: float


@dataclass(frozen=True)
class Way:
    """How a pass is made: level of checkpointing (:mod:`acestep.speed.levels`), compiled, in CUDA
    graphs, over a base ``stored`` in fewer bits, with DoRA, with dropout in the adapter."""

    level: str = "none"
    compiled: bool = False
    graphs: bool = False
    stored: bool = False
    dora: bool = False
    dropout: bool = False


@dataclass(frozen=True)
class Batch:
    """``clips`` of ``patches`` each that go through the model together, with their conditions."""

    patches: float
    clips: int = 1
    condition: float = 200

    @property
    def total(self) -> float:
        """Patches of all clips."""
        return self.clips * self.patches


def pass_seconds(shape: Shape, chip: Chip, way: Way, batch: Batch, adapter: int) -> float:
    """Seconds of one forward and backward pass, whose adapter has so many parameters."""
    reached = 1e12 * chip.peak * REACHED * batch.total / (batch.total + chip.peak)
    products = product_flops(shape, batch, adapter) / reached
    attention = attention_flops(shape, batch) / (ATTENTION * reached)
    moved = glue_bytes(shape, way, batch) / stream(chip)
    issue = issue_seconds(shape, way)
    if way.level in ("attention", "full"):
        products *= 1 + RECOMPUTED_PRODUCTS
    if way.level == "full":
        attention *= 1 + FORWARD
    return max(products + attention + moved, issue)


def update_seconds(chip: Chip, adapter: int) -> float:
    """Seconds of the optimizer's step over an adapter of so many parameters."""
    return UPDATE * adapter / stream(chip)


def stream(chip: Chip) -> float:
    """Bytes a second that are reached."""
    return STREAM * 1e9 * chip.bandwidth


def product_flops(shape: Shape, batch: Batch, adapter: int) -> float:
    """Matrix products of a pass: the base forward and the gradient of its inputs, the adapter with
    that of its weights. Keys and values of the condition need no gradient."""
    text = shape.layers * 2 * shape.width * shape.kv_heads * shape.head_dim
    ends = shape.width * shape.patch * 4 * shape.channels
    blocks = shape.layers * sum(i * o for i, o in shape.linears("attention+mlp"))
    base = 4 * (blocks + ends - text) * batch.total + 2 * text * batch.clips * batch.condition
    return base + 6 * adapter * batch.total


def attention_flops(shape: Shape, batch: Batch) -> float:
    """Scores and sums of a pass: every other layer hears a window, all hear the condition."""
    heard = (min(batch.patches, WINDOW) + batch.patches) / 2 + batch.condition
    forward = 4 * shape.heads * shape.head_dim * shape.layers * batch.total * heard
    return forward / FORWARD


def glue_bytes(shape: Shape, way: Way, batch: Batch) -> float:
    """Bytes moved beside the matrix products, and to restore a stored base."""
    glue = float(COMPILED_GLUE if way.compiled else GLUE)
    if way.dora:
        glue *= 1.9
    if way.dropout:
        glue *= 1.04 if way.compiled else 1.2
    if way.level != "none":
        glue *= 1 + RECOMPUTED_GLUE
    passes = 3 if way.level in ("attention", "full") else 2
    restored = RESTORED * passes * shape.parameters if way.stored else 0
    return glue * shape.layers * batch.total * shape.width + restored


def issue_seconds(shape: Shape, way: Way) -> float:
    """Seconds that the program needs to issue the kernels of a pass; a graph is one."""
    if way.graphs:
        return 0.0
    each = COMPILED_ISSUE if way.compiled else ISSUE
    if way.level != "none":
        each *= 4 / 3
    if way.dora:
        each *= 1.5
    return each * shape.layers
