"""A tiny random XL checkpoint in the original layout: wider decoder, bfloat16, three shards."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from acestep.model.base import BaseModel, find_model
from acestep.model.convert import component_config, restore_key
from acestep.model.load import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepTransformer1DModel,
)

TINY = Path(__file__).parents[1] / "golden" / "upstream_tiny"
CLASSES = {
    "transformer": AceStepTransformer1DModel,
    "condition_encoder": AceStepConditionEncoder,
    "audio_tokenizer": AceStepAudioTokenizer,
    "audio_token_detokenizer": AceStepAudioTokenDetokenizer,
}
WIDTHS = {
    "hidden_size": 48,
    "intermediate_size": 112,
    "num_attention_heads": 6,
    "num_hidden_layers": 5,
    "layer_types": ["sliding_attention", "full_attention"] * 2 + ["sliding_attention"],
    "encoder_hidden_size": 32,
    "encoder_intermediate_size": 80,
    "encoder_num_attention_heads": 4,
    "encoder_num_key_value_heads": 2,
    "dtype": "bfloat16",
}


def make_xl(folder: Path) -> tuple[BaseModel, dict[str, torch.Tensor]]:
    """Write the checkpoint; returns the model as found and its tensors under original names."""
    shutil.copytree(TINY, folder)
    checkpoint = folder / "acestep-v15-xl-turbo"
    (folder / "acestep-v15-turbo").rename(checkpoint)
    config = json.loads((checkpoint / "config.json").read_text()) | WIDTHS
    (checkpoint / "config.json").write_text(json.dumps(config))
    (checkpoint / "model.safetensors").unlink()
    generator = torch.Generator().manual_seed(404)
    tensors = {}
    for component, kind in CLASSES.items():
        for key, value in kind(**component_config(config, component)).state_dict().items():
            if key == "silence_latent":
                continue
            spread = 1.0 if value.ndim < 2 or "token" in key else value[0].numel() ** -0.5
            noise = torch.randn(value.shape, generator=generator) * spread
            tensors[restore_key(component, key)] = noise.to(torch.bfloat16)
    table = {}
    for at, name in enumerate(sorted(tensors)):
        table[name] = f"model-{at % 3 + 1:05}-of-00003.safetensors"
    for file in set(table.values()):
        part = {name: tensors[name] for name in tensors if table[name] == file}
        save_file(part, checkpoint / file, {"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": table}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    return find_model(str(checkpoint)), tensors
