"""A small transformer with an adapter that does something, and a loss of it."""

import torch
from diffusers import AceStepTransformer1DModel

from acestep.adapters.attach import attach, trainable_parameters
from acestep.config import TrainConfig
from acestep.model.flow import frame_losses
from acestep.speed.attention import install_attention

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "in_channels": 24,
    "audio_acoustic_hidden_dim": 8,
    "sliding_window": 16,
}


def transformer_with(dtype=torch.float32, own_attention=True, **knobs):
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        transformer = AceStepTransformer1DModel(**SMALL)
    finally:
        torch.set_default_dtype(before)
    if own_attention:
        install_attention(transformer)
    attach(transformer, TrainConfig(tensors="-", rank=4, **knobs))
    for name, parameter in trainable_parameters(transformer).items():
        if "lora_B" in name:  # B = 0 would hide what happens to A
            torch.nn.init.normal_(parameter, std=0.1)
    return transformer


def loss_of(transformer, frames=200, seed=1):
    """A padded batch of two clips, in the precision of the base."""
    generator = torch.Generator().manual_seed(seed)
    data, noise, context = (
        torch.randn(2, frames, channels, generator=generator) for channels in (8, 8, 16)
    )
    condition = torch.randn(2, 7, 64, generator=generator)
    dtype = transformer.proj_in_conv.weight.dtype
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        times = torch.tensor([0.3, 0.8])
        losses = frame_losses(
            transformer, data, noise, times, condition.to(dtype), context.to(dtype)
        )
    return losses.mean()
