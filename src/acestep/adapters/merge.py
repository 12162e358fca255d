"""An adapter worked into the weights it was trained for."""

import torch
from torch import nn

from acestep.adapters.adapter import MAGNITUDE, A, Adapter, B
from acestep.adapters.mount import fitting_layers, row_norms


def merge(transformer: nn.Module, adapter: Adapter) -> None:
    """Replace each adapted weight W by W + scaling·B·A, for DoRA with its rows' norms set.

    Computed in float32 and rounded once to W's dtype. Raises ``AdapterError`` if the adapter does
    not fit; nothing has changed then.
    """
    with torch.no_grad():
        for module, layer in fitting_layers(transformer, adapter).items():
            weight = layer.weight
            down = adapter.weights[f"{module}.{A}"].to(weight.device)
            up = adapter.weights[f"{module}.{B}"].to(weight.device)
            scaling = adapter.scaling(module)
            merged = weight.float() + scaling * (up @ down)
            if adapter.use_dora:
                magnitude = adapter.weights[f"{module}.{MAGNITUDE}"].to(weight.device)
                merged *= (magnitude / row_norms(weight, down, up, scaling))[:, None]
            weight.copy_(merged)
