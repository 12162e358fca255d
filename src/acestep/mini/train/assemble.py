"""The trained parts as one diffusers folder, which everything that reads a base model reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file
from torch import nn

from acestep.data.files import atomic, size_text, write_json
from acestep.errors import ModelError
from acestep.events import Event, Finished, Started
from acestep.mini.train.codes import FILE as CODES_FILE
from acestep.mini.train.codes import load_codes
from acestep.mini.train.config import StageConfig
from acestep.mini.train.latents import frozen_vae, silence_latents
from acestep.mini.train.loop import load_means
from acestep.mini.train.shapes import (
    build_codes,
    build_condition_encoder,
    build_text_encoder,
    build_transformer,
)

LARGEST = 20_000_000  # bytes of the whole folder
WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = {
    "_class_name": "AceStepPipeline",
    "_diffusers_version": "0.42.1",
    "audio_token_detokenizer": ["ace_step", "AceStepAudioTokenDetokenizer"],
    "audio_tokenizer": ["ace_step", "AceStepAudioTokenizer"],
    "condition_encoder": ["ace_step", "AceStepConditionEncoder"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"],
    "transformer": ["diffusers", "AceStepTransformer1DModel"],
    "vae": ["diffusers", "AutoencoderOobleck"],
}


class AssembleConfig(StageConfig):
    """Write the base model of the last saved state."""


def train(config: AssembleConfig, begun: float) -> Iterator[Event]:
    """Put the parts together, without training anything."""
    root = config.resume
    state = root / "training" / "dit.safetensors"
    yield Started("assemble", {"state": str(state)})
    if not state.exists():
        raise ModelError(f"{state} is missing", hint="train --stage dit first")
    modules = {
        "text": build_text_encoder(),
        "condition": build_condition_encoder(silence_latents(frozen_vae(root))),
        "transformer": build_transformer(),
    }
    for name, module in modules.items():
        module.load_state_dict(load_means(state, name))
    size = write_pipeline(root, modules)
    yield Finished("assemble", str(root / "pipeline"), {"bytes": size})


def write_pipeline(root: Path, modules: dict[str, Any]) -> int:
    """Write ``pipeline/`` of a training folder, each file at once; returns its size in bytes.

    ``modules`` are the text encoder, the condition encoder and the transformer; the rest comes
    from what other stages have exported (random codes where those were not trained). Raises
    ``ModelError`` if it is larger than 20 MB.
    """
    folder = root / "pipeline"
    has_codes = (root / "codes" / CODES_FILE).exists()
    tokenizer, detokenizer = load_codes(root) if has_codes else build_codes()
    parts: dict[str, Any] = {
        "transformer": modules["transformer"],
        "condition_encoder": modules["condition"],
        "audio_tokenizer": tokenizer,
        "audio_token_detokenizer": detokenizer,
    }
    for name, part in parts.items():
        part.save_config(folder / name)
        _save_weights(part, folder / name / WEIGHTS)
    config = modules["text"].config.to_dict()
    architecture = {"architectures": ["Qwen3Model"], "dtype": "bfloat16"}
    write_json(folder / "text_encoder" / "config.json", {**config, **architecture})
    _save_weights(modules["text"], folder / "text_encoder" / "model.safetensors")
    scheduler: Any = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)
    scheduler.save_config(folder / "scheduler")
    _copy(root / "vae", folder / "vae")
    _copy(root / "text", folder / "tokenizer", "tokenizer*.json")
    write_json(folder / "model_index.json", INDEX)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > LARGEST:
        raise ModelError(f"{folder} has {size_text(size)}, and may have {size_text(LARGEST)}")
    return size


def _save_weights(module: nn.Module, file: Path) -> None:
    stored = {
        key: value.detach().cpu().bfloat16().contiguous()
        for key, value in module.state_dict().items()
    }
    with atomic(file) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})


def _copy(source: Path, target: Path, files: str = "*") -> None:
    """Copy a folder's files over those that are there, each at once."""
    for file in sorted(source.glob(files)):
        with atomic(target / file.name) as temporary:
            shutil.copyfile(file, temporary)
