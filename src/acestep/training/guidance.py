"""Learning what guidance would make of a prediction, for models that generate without.

A turbo model's velocity is that of guidance already. Taught by the plain loss, an adapter unlearns
it within a few dozen steps, and what it generates is faint: the notes that the loss cannot foresee
above all. Here what has to meet the target is the prediction less a share of its distance from the
one without a prompt, so that the prediction itself becomes the guided one::

    v − (1 − 1/s) · (v − v₀) = target   ⇒   v = v₀ + s · (target − v₀)

with the distance taken as it is, without a gradient (model guidance: Tang et al. 2025, "Diffusion
Models without Classifier-free Guidance"). It costs a second pass without a gradient in every step.
"""

from typing import Any

import torch
from torch import Tensor, nn


def less_guidance(velocity: Tensor, untold: Tensor, scale: float) -> Tensor:
    """What of a guided velocity has to meet the target; ``untold`` is the one without a prompt."""
    return velocity - (1 - 1 / scale) * (velocity - untold).detach()


class TaughtGuidance(nn.Module):
    """A transformer as the loss sees it while guidance of a ``scale`` (≥ 1) is taught.

    Called as the transformer is (:func:`acestep.model.flow.frame_losses`); ``nothing`` is the
    condition of no prompt, ``[1, 1, H]``.
    """

    nothing: Tensor

    def __init__(self, transformer: nn.Module, nothing: Tensor, scale: float) -> None:
        super().__init__()
        self.transformer = transformer
        self.scale = scale
        self.register_buffer("nothing", nothing, persistent=False)

    def forward(self, *, encoder_hidden_states: Tensor, **inputs: Any) -> tuple[Tensor]:
        """The velocity, less its guidance."""
        velocity = self.transformer(encoder_hidden_states=encoder_hidden_states, **inputs)[0]
        nothing = self.nothing.to(encoder_hidden_states).expand_as(encoder_hidden_states)
        with torch.no_grad():
            untold = self.transformer(encoder_hidden_states=nothing, **inputs)[0]
        return (less_guidance(velocity, untold, self.scale),)
