"""Whether activations fit, so that they are recomputed only where memory needs it."""

from typing import Any

import psutil
import torch
from torch import nn

from acestep.training.clips import Clip

# Measured on the real shapes: activations kept for the backward pass, with adapter dropout.
BYTES_PER_TOKEN_AND_CHANNEL = {torch.float32: 200, torch.bfloat16: 110, torch.float16: 110}
HEADROOM = 0.8  # allocator slack, workspaces, optimizer state


def needs_checkpointing(
    transformer: nn.Module, clips: list[Clip], dtype: torch.dtype, device: torch.device
) -> bool:
    """Whether one training step on the longest clip would not fit into the free memory as it is."""
    shape: Any = transformer.config
    tokens = max(clip.latents.shape[1] for clip in clips) // shape.patch_size
    needed = activation_bytes(
        shape.num_hidden_layers, shape.hidden_size, shape.num_attention_heads, tokens, dtype
    )
    return needed > HEADROOM * _free_bytes(device)


def activation_bytes(layers: int, width: int, heads: int, tokens: int, dtype: torch.dtype) -> float:
    """What one sample of ``tokens`` keeps for the backward pass, nothing recomputed."""
    per_block = tokens * width * BYTES_PER_TOKEN_AND_CHANNEL[dtype]
    # Where no fused kernel takes mask and grouped heads, window layers keep float32 scores.
    scores = heads * tokens * tokens * 4 / 2
    return layers * (per_block + scores)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
