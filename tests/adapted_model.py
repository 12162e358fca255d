"""A small transformer with an adapter that does something, and one pass of training through it."""

from pathlib import Path

import torch
from diffusers import AceStepTransformer1DModel

from acestep.adapters.attach import attach, trainable_parameters
from acestep.config import TrainConfig
from acestep.speed.attention import clip_lengths, install_attention
from acestep.speed.stream import smooth

WIDTH, CHANNELS = 64, 8


def adapted_transformer(layers=4, dtype=torch.float32, **knobs):
    torch.manual_seed(0)
    transformer = AceStepTransformer1DModel(
        hidden_size=WIDTH,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        in_channels=3 * CHANNELS,
        audio_acoustic_hidden_dim=CHANNELS,
    )
    torch.nn.Module.to(transformer, dtype).requires_grad_(False)
    install_attention(transformer)
    smooth(transformer)
    attach(transformer, TrainConfig(tensors=Path("-"), rank=4, **{"dropout": 0.0} | knobs))
    for name, parameter in trainable_parameters(transformer).items():
        if name.endswith("lora_B.weight"):
            torch.nn.init.normal_(parameter, 0, 0.05)
    return transformer.train()


def inputs_of(clips, conditions, dtype=torch.float32):
    """A padded batch of clips of so many patches, with conditions of so many tokens."""
    draw = torch.Generator().manual_seed(sum(clips))
    frames, batch = 2 * max(clips), len(clips)
    time = torch.rand(batch, generator=draw).to(dtype)
    return {
        "hidden_states": torch.randn(batch, frames, CHANNELS, generator=draw).to(dtype),
        "timestep": time,
        "timestep_r": time,
        "encoder_hidden_states": torch.randn(batch, max(conditions), WIDTH, generator=draw).to(
            dtype
        ),
        "context_latents": torch.randn(batch, frames, 2 * CHANNELS, generator=draw).to(dtype),
    }


def loss_and_gradients(transformer, clips=(40,), conditions=(11,), dtype=torch.float32):
    """Of the clips' own frames; the dropout's draws are always the same."""
    torch.manual_seed(1)
    counted = torch.arange(2 * max(clips))[None] < 2 * torch.tensor(clips)[:, None]
    with (
        clip_lengths(transformer, clips, conditions),
        torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
    ):
        out = transformer(**inputs_of(clips, conditions, dtype), return_dict=False)[0]
    loss = (out.float().square() * counted[..., None]).sum() / counted.sum()
    parameters = list(trainable_parameters(transformer).values())
    return loss.detach(), torch.autograd.grad(loss, parameters)
