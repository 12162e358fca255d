"""Compiled blocks: what lies between the matrix products, fused.

The transformer's blocks are one function with other weights, so that function alone is compiled
("regional compilation"), once for the first block, whose input needs no gradient, once for blocks
with windows, and once for blocks without: three graphs for any depth. Lengths and numbers of clips
are left open in all three, so a new song is no new graph. Only passes that train are compiled;
evaluation and previews go as before.
"""

from functools import partial
from typing import Any

import torch
import torch.fx.experimental._config as shapes
from torch import Tensor, nn

from acestep.speed.attention import processor_of
from acestep.speed.blocks import with_block_masks

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
