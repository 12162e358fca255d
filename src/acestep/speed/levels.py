"""What a pass keeps for the backward pass and what it computes again: four levels, one result.

======== =============================================== ==========================
level    kept of a block                                 computed again
======== =============================================== ==========================
none     everything                                      nothing
products what matrix products and attention gave         what lies between them
attention what attention gave                            the rest
full     the block's input                               the whole block
======== =============================================== ==========================

A block is computed again with the random state it had, so dropout falls on the same places and
gradients are the same whatever the level (selective activation checkpointing: Korthikanti et al.
2022, "Reducing Activation Recomputation in Large Transformer Models").
"""

from functools import partial
from typing import Any, Literal

import torch
import torch.nn.attention.varlen  # registers torch_attn::_varlen_attn
from torch import Tensor, nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from acestep.speed.sharding import inside, is_sharded

Level = Literal["none", "products", "attention", "full"]
LEVELS: tuple[Level, ...] = ("none", "products", "attention", "full")

_aten = torch.ops.aten
ATTENTION = {
    torch.ops.torch_attn._varlen_attn.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_fused_attention_overrideable.default,
    torch.ops.higher_order.flex_attention,
}
PRODUCTS = {_aten.mm.default: 0, _aten.bmm.default: 0, _aten.addmm.default: 1}
# Those of a CPU's frozen layers (:mod:`acestep.speed.linear`)
LINEAR = (
    {torch.ops.mkldnn._linear_pointwise.default} if torch.backends.mkldnn.is_available() else set()
)
SKINNY = 8  # a product this many times wider than what it sums over is cheaper computed than kept


def apply_level(transformer: Any, level: Level) -> None:
    """Set what the blocks of a transformer keep, from the next pass on; any number of times."""
    if level == "none":
        transformer.disable_gradient_checkpointing()
    else:
        random = any(isinstance(part, nn.Dropout) and part.p > 0 for part in transformer.modules())
        more = {"preserve_rng_state": random, **CONTEXTS[level]}
        transformer.enable_gradient_checkpointing(partial(_checkpointed, more))


def next_level(level: Level) -> Level | None:
    """The level that keeps less; None after the last."""
    return None if level == LEVELS[-1] else LEVELS[LEVELS.index(level) + 1]


def _checkpointed(more: dict[str, Any], block: Any, *inputs: Any) -> Tensor:
    layout = _layout(block)

    def kept_less(forward: Any, *inputs: Any) -> Tensor:
        result = checkpoint(_run, forward, block, layout, *inputs, use_reentrant=False, **more)
        assert isinstance(result, Tensor)
        return result

    return inside(block, kept_less, *inputs) if is_sharded(block) else kept_less(block, *inputs)


def _layout(block: Any) -> Any:
    """How the clips lie in this pass: another pass may come between it and its backward pass."""
    return vars(block.self_attn.processor).get("spans")


def _run(forward: Any, block: Any, layout: Any, *inputs: Any) -> Tensor:
    processor = block.self_attn.processor
    before = _layout(block)
    if layout is not None:
        processor.spans = layout
    # Both times the same operations: autocast would take a weight's cast from an earlier pass, and
    # make it anew when the block is computed again.
    torch.clear_autocast_cache()
    try:
        return forward(*inputs)
    finally:
        if layout is not None:
            processor.spans = before


def _keep_attention(context: Any, operation: Any, *inputs: Any, **more: Any) -> CheckpointPolicy:
    return _keep(operation in ATTENTION)


def _keep_products(context: Any, operation: Any, *inputs: Any, **more: Any) -> CheckpointPolicy:
    if (first := PRODUCTS.get(operation)) is None:
        return _keep(operation in ATTENTION or operation in LINEAR)
    summed, width = inputs[first + 1].shape[-2:]
    return _keep(SKINNY * summed > width)  # the second product of an adapter sums over its rank


def _keep(worth_it: bool) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if worth_it else CheckpointPolicy.PREFER_RECOMPUTE


CONTEXTS: dict[Level, dict[str, Any]] = {
    "products": {"context_fn": partial(create_selective_checkpoint_contexts, _keep_products)},
    "attention": {"context_fn": partial(create_selective_checkpoint_contexts, _keep_attention)},
    "full": {},
}
