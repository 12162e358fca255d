"""What lies between the matrix products: the residual stream in order, norms in one piece.

Two things cost time and give nothing. The transformer's first convolution hands on a transposed
view, and sums keep the order of their first summand, so every norm and every product of every layer
reads and copies a stream that lies across. And a norm written as six operations keeps six results
for the backward pass. Neither changes a number beyond its rounding; both can be taken off again.
"""

from typing import Any

import torch
from diffusers.models.normalization import RMSNorm
from torch import Tensor, nn


def smooth(transformer: nn.Module) -> None:
    """Make the residual stream contiguous and the norms fused; a second time changes nothing."""
    convolution: Any = transformer.proj_in_conv
    if not isinstance(convolution, InOrder):
        transformer.proj_in_conv = _recast(convolution, InOrder)
    for parent, name, norm in _norms(transformer, RMSNorm):
        parent.register_module(name, _recast(norm, FusedRMSNorm))


def rough(transformer: nn.Module) -> None:
    """Take off what :func:`smooth` put on: the modules are diffusers' own again."""
    convolution: Any = transformer.proj_in_conv
    if isinstance(convolution, InOrder):
        transformer.proj_in_conv = _recast(convolution, nn.Conv1d)
    for parent, name, norm in _norms(transformer, FusedRMSNorm):
        parent.register_module(name, _recast(norm, RMSNorm))


class InOrder(nn.Conv1d):
    """A convolution whose result ``[B, C, N]`` is contiguous once ``C`` and ``N`` are swapped."""

    def forward(self, input: Tensor) -> Tensor:
        """As ``nn.Conv1d``."""
        return super().forward(input).transpose(1, 2).contiguous().transpose(1, 2)


class FusedRMSNorm(RMSNorm):
    """diffusers' ``RMSNorm`` with a weight and no bias, as one step of the backward pass."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """As ``RMSNorm``: computed in float32, rounded to the weight's dtype before it counts."""
        normed: Tensor = _Norm.apply(hidden_states, self.weight, self.eps)[0]
        return normed


class _Norm(torch.autograd.Function):
    """``y = x · r · w`` with ``r = 1 / √(mean(x²) + ε)`` over the last dimension.

    With ``n = x · r`` and ``g = w · ∂y`` the gradient is ``∂x = r · (g − n · mean(g · n))``: beside
    ``x`` one number a row is kept.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
        normed = x * scale
        if weight.dtype != torch.float32:
            normed = normed.to(weight.dtype)
        return normed * weight, scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, weight, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, weight, output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        normed = x * scale
        to_weight = None
        if ctx.needs_input_grad[1]:
            summed = (gradient * normed.to(gradient.dtype)).reshape(-1, len(weight)).sum(0)
            to_weight = summed.to(weight.dtype)
        gradient = (gradient * weight).float()
        along = (gradient * normed).mean(-1, keepdim=True)
        return ((gradient - normed * along) * scale).to(x.dtype), to_weight, None


def _norms(transformer: nn.Module, kind: type[RMSNorm]) -> list[tuple[nn.Module, str, RMSNorm]]:
    return [
        (parent, name, child)
        for parent in transformer.modules()
        for name, child in parent.named_children()
        if type(child) is kind and child.weight is not None and child.bias is None
    ]


def _recast(module: Any, kind: type[Any]) -> Any:
    """The same module, parameters and hooks included, as another class of the same attributes."""
    twin: Any = object.__new__(kind)
    twin.__dict__ = module.__dict__
    return twin
