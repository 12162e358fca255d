"""The small base model's parts except the autoencoder: their sizes, and how their weights begin.

The classes are those of the published model, so everything that reads it reads this one. All parts
together with the autoencoder stay below 20 MB in bfloat16.
"""

from typing import Any

import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

CHANNELS = 64
VOCABULARY = 704
TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "rope_theta": 1e6,
}
HEADS: dict[str, Any] = {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 32}
CONDITION: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 384,
    "text_hidden_dim": TEXT["hidden_size"],
    "timbre_hidden_dim": CHANNELS,
    "num_lyric_encoder_hidden_layers": 1,
    "num_timbre_encoder_hidden_layers": 1,
    **HEADS,
}
TRANSFORMER: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "in_channels": 3 * CHANNELS,
    "audio_acoustic_hidden_dim": CHANNELS,
    "patch_size": 2,
    "rope_theta": 1000.0,  # at 1e6 most of the 16 frequencies stand still over a few hundred frames
    "sliding_window": 128,
    "is_turbo": True,
    "model_version": "turbo",
    **HEADS,
}
CODES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "audio_acoustic_hidden_dim": CHANNELS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
}
TOKENIZER_LAYERS = 2  # the first to look at each frame, the second to gather them in one code
DETOKENIZER_LAYERS = 1


def build_text_encoder(seed: int = 0) -> Any:
    """The causal text encoder with random weights."""
    torch.manual_seed(seed)
    config = Qwen3Config(**TEXT)
    config._attn_implementation = "sdpa"
    return Qwen3Model(config)


def build_condition_encoder(silence: Tensor, seed: int = 0) -> AceStepConditionEncoder:
    """Lyric, timbre and text encoders with random weights and a silence latent ``[1, N, C]``."""
    torch.manual_seed(seed + 1)
    encoder = AceStepConditionEncoder(**CONDITION)
    encoder.register_buffer("silence_latent", silence.clone())
    return encoder


def build_transformer(seed: int = 0) -> AceStepTransformer1DModel:
    """The diffusion transformer, begun so that every block passes a half of what it computes.

    The published model has a second embedding, of the difference of two times; here the two are
    always the same, so it is nought and stays so.
    """
    torch.manual_seed(seed + 2)
    model = AceStepTransformer1DModel(**TRANSFORMER)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "scale_shift_table" in name or "time_proj" in name:
                value.mul_(0.1)
        for layer in model.layers:
            layer.scale_shift_table[:, [2, 5]] += 0.5  # the gates
        model.proj_out_conv.weight.mul_(0.2)
        model.proj_out_conv.bias.zero_()
        for part in (model.time_embed_r.linear_2, model.time_embed_r.time_proj):
            part.weight.zero_()
            part.bias.zero_()
    model.time_embed_r.requires_grad_(False)
    return model


def build_codes(seed: int = 0) -> tuple[Any, Any]:
    """Latents to codes at 5 Hz, and back, with random weights."""
    torch.manual_seed(seed + 3)
    tokenizer = AceStepAudioTokenizer(
        fsq_dim=CODES["hidden_size"],
        num_attention_pooler_hidden_layers=TOKENIZER_LAYERS,
        **CODES,
    )
    detokenizer = AceStepAudioTokenDetokenizer(
        num_attention_pooler_hidden_layers=DETOKENIZER_LAYERS, **CODES
    )
    return tokenizer, detokenizer


def split_parameters(modules: dict[str, nn.Module]) -> tuple[list[nn.Parameter], ...]:
    """What is trained, in matrices that Muon turns and the rest (vectors, tables, embeddings)."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules.values():
        for name, value in module.named_parameters():
            if not value.requires_grad:
                continue
            turned = value.ndim == 2 and "embed_tokens.weight" not in name
            (matrices if turned and "time_embed" not in name else rest).append(value)
    return matrices, rest
