"""A base split over several processes, for one that does not fit one card (PyTorch's FSDP2).

Each process keeps its share of every repeated block's frozen weights and has a block whole only
while it goes through it: the processes gather it before, forward and backward, and forget it
afterwards. The adapters are left out of that: they stay whole, float32 and equal everywhere, so
checkpoints, the optimizer and the one message of a step's gradients are what they are without.

Since every pass is a message to all, all processes must make the same number of passes
(:func:`acestep.training.step.add_gradients` sees to it).
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

BLOCKS = "layers"


def shard_base(transformer: Any, device: torch.device) -> None:
    """Split the frozen weights of a transformer's blocks over all processes, and put it on its
    device, a block at a time: a base that lies on the CPU never has to fit the device as a whole.

    What is trained, and what lies outside the blocks, stays whole. The processes must have joined
    each other. Call it before the first pass, after an adapter was attached.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    whole = {parameter for parameter in transformer.parameters() if parameter.requires_grad}
    blocks = vars(transformer)["_modules"][BLOCKS]
    for block in blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    outside = {p for p in transformer.parameters() if not isinstance(p, DTensor)}
    # With the transformer as their root, blocks are fetched while the one before computes.
    fully_shard(transformer, mesh=mesh, reshard_after_forward=True, ignored_params=outside)
    transformer.to(device)
    # What it gives is a view, cut to the true length, which nobody changes in place
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view", UserWarning)


def is_sharded(module: nn.Module) -> bool:
    """Whether a transformer, or a block of it, is split."""
    return isinstance(module, FSDPModule)


def inside(block: nn.Module, around: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """Call a split block with ``around(forward, …)`` in the place of its forward pass.

    What gathers its weights stays outside: what ``around`` computes again in the backward pass
    finds them there, and would gather them a second time if it called the block.
    """
    before = block.forward
    block.forward = partial(around, before)
    try:
        return block(*inputs)
    finally:
        block.forward = before


def bytes_here(transformer: nn.Module) -> int:
    """The bytes of all the weights that this process holds between two passes."""
    parts = (p.to_local() if isinstance(p, DTensor) else p for p in transformer.parameters())
    return sum(part.untyped_storage().nbytes() for part in parts)
