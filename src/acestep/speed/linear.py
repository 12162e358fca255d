"""float32 products of training by oneDNN, on processors that torch's own library is slow on.

Torch multiplies float32 matrices with Intel's MKL, which leaves half of the vector units of another
maker's AVX-512 processors idle. oneDNN, which torch also carries, uses them: on an EPYC (Zen 5) 230
instead of 107 GFLOP/s a core. Both are float32; the sums are in another order. Passes in eval mode
(held-out losses, previews) stay with torch's own, so that they are what ``generate`` computes.
"""

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acestep.speed.pace import Choice
from acestep.speed.precision import block_linears

_CPUINFO = Path("/proc/cpuinfo")


def quicken(transformer: nn.Module, precision: Choice) -> Choice:
    """Let the frozen linear layers of the blocks multiply by oneDNN while they are trained through,
    where that is faster; ``precision`` then says so. Call it before an adapter is attached."""
    layers = [layer for layer in block_linears(transformer).values() if type(layer) is nn.Linear]
    if not (layers and _is_float32_on_cpu(layers[0]) and onednn_is_faster()):
        return precision
    for layer in layers:
        layer.__class__ = QuickLinear
    return replace(precision, why=f"{precision.why}; products by oneDNN")


def onednn_is_faster() -> bool:
    """Whether this is an AVX-512 processor that is not Intel's, and oneDNN is there."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()):
        return False
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and maker() != "GenuineIntel"


def maker() -> str:
    """Who made the processor, as it says itself; "" where that cannot be read."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    name = platform.processor()  # Windows: "AMD64 Family 26 Model 2 Stepping 1, AuthenticAMD"
    return name.rpartition(",")[2].strip() if "," in name else ""


class QuickLinear(nn.Linear):
    """A frozen float32 linear layer on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """As ``nn.Linear``, up to the order of summing."""
        if self.training and input.dtype == self.weight.dtype:
            return _Product.apply(input, self.weight, self.bias)
        return functional.linear(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """``x · Wᵀ + b`` and its gradient for ``x``; the weight is frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _multiply(gradient, weight.t(), None), None, None


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if torch.compiler.is_compiling():  # inductor knows the bare operation for constant weights only
        return _opaque_multiply(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@torch.library.custom_op("acestep::linear", mutates_args=())
def _opaque_multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@_opaque_multiply.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def _is_float32_on_cpu(layer: nn.Linear) -> bool:
    return layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32
