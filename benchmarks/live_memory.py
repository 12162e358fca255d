"""The bytes that a training step holds at its peak, counted on tensors that have no data.

The real transformer with a real adapter runs forward and backward under ``FakeTensorMode``;
whatever storage comes to be is counted until it is freed. Attention is the stand-in of the
variable-length kernel, autocast that of the CPU.
"""

import weakref
from contextlib import contextmanager

import torch
from diffusers import AceStepTransformer1DModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from acestep.adapters.attach import attach, trainable_parameters
from acestep.config import TrainConfig
from acestep.model.flow import frame_losses
from acestep.model.shape import Shape
from acestep.speed.attention import WindowAttention, _prepare
from acestep.speed.levels import apply_level
from acestep.speed.precision import Int8, StoredLinear, store_layers
from acestep.speed.stream import smooth

SIZES = {
    "2B": {},
    "XL": {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "encoder_hidden_size": 2048,
    },
}
# Shapes about as wide, so that what depends on which width can be told apart
RELATIVES = {
    "narrow": {"hidden_size": 1536, "intermediate_size": 5120},
    "wide": {"hidden_size": 3072, "intermediate_size": 9728, "num_attention_heads": 24},
    "many heads": {"intermediate_size": 8192, "num_attention_heads": 24},
}


def shape_of(size, layers=None):
    """The same as the formula knows it."""
    sizes = (SIZES | RELATIVES)[size]
    return Shape(
        layers or sizes.get("num_hidden_layers", 24),
        sizes.get("hidden_size", 2048),
        sizes.get("intermediate_size", 6144),
        sizes.get("num_attention_heads", 16),
        sizes.get("num_key_value_heads", 8),
        128,
    )


class Live(TorchDispatchMode):
    """Counts the bytes of storages that are alive."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in tree_iter(out):
            if isinstance(one, torch.Tensor):
                self.add(one.untyped_storage())
        return out

    def add(self, storage):
        if storage._cdata in self.known:
            return
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        self.known[storage._cdata] = weakref.ref(storage, self.freed(storage._cdata, size))

    def freed(self, key, size):
        def forget(_):
            self.now -= size
            del self.known[key]

        return forget


def step_bytes(
    size,
    patches,
    level,
    *,
    layers=None,
    condition=200,
    dtype=torch.bfloat16,
    int8=False,
    **knobs,
):
    """Bytes before, and at the peak of, one forward and backward pass. AdamW's moments count, and
    gradients from the beginning, as when they are summed over clips."""
    transformer = bare(size, dtype, layers)
    if int8:
        store_layers(transformer, in_int8, torch.device("meta"))
    attach(transformer, TrainConfig(tensors="-", **knobs))
    apply_level(transformer, level)
    width = transformer.condition_embedder.in_features
    with FakeTensorMode(), Live() as live:
        take_place(transformer)
        parameters = list(trainable_parameters(transformer).values())
        for one in parameters:
            one.grad = torch.zeros_like(one)
        moments = [torch.zeros_like(one) for one in parameters for _ in range(2)]
        static = live.now
        inputs = (
            torch.empty(1, 2 * patches, 64),
            torch.empty(1, 2 * patches, 64),
            torch.empty(1),
            torch.empty(1, condition, width, dtype=dtype),
            torch.empty(1, 2 * patches, 128, dtype=dtype),
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            loss = frame_losses(transformer.train(), *inputs).mean()
        loss.backward()
        del moments
    return static, live.peak


def bare(size, dtype, layers=None):
    """The transformer on no device at all, with the attention of CUDA."""
    sizes = (SIZES | RELATIVES)[size] | ({} if layers is None else {"num_hidden_layers": layers})
    with torch.device("meta"), default_dtype(dtype):
        transformer = AceStepTransformer1DModel(**sizes)
    transformer.set_attn_processor(WindowAttention("varlen", 128))
    transformer.register_forward_pre_hook(_prepare, with_kwargs=True)
    smooth(transformer)
    return transformer


def in_int8(weight):
    """As torchao stores it: one scale for a row."""
    codes = torch.empty_like(weight, dtype=torch.int8)
    return Int8(codes, torch.empty(weight.shape[0], 1, device=weight.device), weight.dtype)


def take_place(transformer):
    """Turn every weight on no device into one that claims to be on the CPU."""
    for module in transformer.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                there = torch.empty(weight.shape, dtype=weight.dtype)
                module._parameters[name] = nn.Parameter(there, weight.requires_grad)
        if isinstance(module, StoredLinear):
            codes, scale = (
                torch.empty(part.shape, dtype=part.dtype)
                for part in (module.bits.codes, module.bits.scale)
            )
            module.bits = Int8(codes, scale, module.dtype)
        for name, weight in list(module._buffers.items()):
            if weight is not None:
                module._buffers[name] = torch.empty(weight.shape, dtype=weight.dtype)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
