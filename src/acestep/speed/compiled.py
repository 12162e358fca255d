"""Compiled blocks: what lies between the matrix products, fused.

The transformer's blocks are one function with other weights, so that function alone is compiled
("regional compilation"), once for the first block, whose input needs no gradient, once for blocks
with windows, and once for blocks without: three graphs for any depth. Lengths and numbers of clips
are left open in all three, so a new song is no new graph. Only passes that train are compiled;
evaluation and previews go as before.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.fx.experimental._config as shapes
from torch import Tensor, nn

from acestep.speed.attention import processor_of
from acestep.speed.blocks import with_block_masks
from acestep.speed.pace import Choice

# When compiling pays, measured on a CPU and predicted for CUDA (docs/speed.md). CUDA saves about as
# much in every pass through a block, of a minute of music or less, and compiles for 45 s; a CPU
# saves by the number, and compiles for 80 s.
PAYS_CUDA = 30_000  # passes through a block, a longer one counted by its minutes
PAYS_CPU = 2.5e9  # patches through a block, times its width
MINUTE = 750  # patches
GRAPHS = 64  # of all runs of one process together, before torch gives up
INPUTS = (  # of a block
    "hidden_states",
    "position_embeddings",
    "temb",
    "attention_mask",
    "encoder_hidden_states",
    "encoder_attention_mask",
)
OPEN_LENGTHS = partial(shapes.patch, use_duck_shape=False)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Work:
    """What a run will do: ``passes`` through ``layers`` blocks of a ``width``, of so many
    ``patches`` each on average."""

    passes: int
    layers: int
    width: int
    patches: float

    def share(self, kind: str) -> float:
        """How much of what makes compiling pay, on a ``kind`` of device; 1: it breaks even."""
        if kind == "cpu":
            return self.passes * self.layers * self.patches * self.width / PAYS_CPU
        return self.passes * self.layers * max(1.0, self.patches / MINUTE) / PAYS_CUDA


def choose_compile(word: str, device: torch.device, work: Work, obstacle: str = "") -> Choice:
    """Whether to compile, by the knob's ``word``: ``auto`` or ``on``.

    ``auto`` compiles where there is a compiler and the run is long enough to win back the time that
    compiling takes. ``obstacle`` says what stands in the way besides, if anything.
    """
    share = work.share(device.type)
    if word == "auto" and share == 0:
        return Choice(False, "there is nothing to do")
    if word == "auto" and share < 1:
        return Choice(False, f"it would take {1 / share:.0f} times as long a run to pay")
    missing = obstacle or missing_compiler(device)
    if missing:
        return Choice(False, missing, slower=True)
    if word == "on":
        return Choice(True, "as asked for")
    return Choice(True, f"the run is {share:.0f} times as long as it takes to pay")


def missing_compiler(device: torch.device) -> str:
    """What is missing to compile for a device, in words; empty if nothing is."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    if device.type == "cuda" and not has_triton():
        return "Triton is not installed (on Windows: pip install triton-windows)"
    if device.type not in ("cuda", "cpu"):
        return f"there is no compiler for {device.type}"
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "there is no C++ compiler (on Debian and Ubuntu: apt install g++)"
    return ""


def compile_blocks(transformer: Any, *, together: bool, backend: Any = "inductor") -> None:
    """Compile the blocks' training passes, from the next one on; the adapter is attached already.

    ``together``: several clips may go through the model at once. ``backend`` is torch's.
    """
    processor = processor_of(transformer)
    if processor.kernel != "varlen":
        processor.kernel = "blocks"
        dtype = transformer.layers[0].self_attn.norm_q.weight.dtype
        processor.layout = partial(
            with_block_masks, dtype=dtype, window=processor.window, together=together
        )
    compiled = torch.compile(
        type(transformer.layers[0]).forward, fullgraph=True, dynamic=True, backend=backend
    )
    for block in transformer.layers:
        block.forward = partial(_forward, block, compiled)


def _forward(block: nn.Module, compiled: Any, *given: Any, **named: Any) -> Tensor:
    """A block's pass. Arguments always come in one form, since another would be another graph."""
    inputs = [*given, *(named.get(name) for name in INPUTS[len(given) :])]
    if not (block.training and torch.is_grad_enabled()):
        return type(block).forward(block, *inputs)
    # Lengths that happen to agree in the first clip would else have to agree in all
    with OPEN_LENGTHS(), torch._dynamo.config.patch(recompile_limit=GRAPHS):
        result: Tensor = compiled(block, *inputs)
    return result
