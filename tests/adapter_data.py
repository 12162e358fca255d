"""The golden adapters, the model they are for, and the velocity they must give."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AceStepTransformer1DModel
from safetensors.torch import load_file

from acestep.adapters.attach import attach, trainable_parameters
from acestep.adapters.files import read_adapter
from acestep.adapters.mount import mount
from acestep.config import TrainConfig

GOLDEN = Path(__file__).parent / "golden"
ADAPTERS = GOLDEN / "adapters"
CASE = "even.1"
# Sine and cosine of large arguments differ between processors in the last digit, which moves the
# base's own velocities by up to 2.5e-5.
TOLERANCE = 5e-5
FILES = {
    "comfyui_generic_attn_r4_a8.safetensors": ("A", "comfyui", "lora"),
    "comfyui_native_attn_mlp_patterns.safetensors": ("B", "comfyui", "lora"),
    "comfyui_native_attn_r4_a8.safetensors": ("A", "comfyui", "lora"),
    "comfyui_native_dora_r4_a8.safetensors": ("C", "comfyui", "dora"),
    "diffusers_lora_attn_r4_a8": ("A", "diffusers", "lora"),
    "peft_on_diffusers_attn_r4_a8": ("A", "peft", "lora"),
    "upstream_peft_attn_mlp_patterns": ("B", "upstream", "lora"),
    "upstream_peft_attn_r4_a8": ("A", "upstream", "lora"),
    "upstream_peft_dora_r4_a8": ("C", "upstream", "dora"),
    "upstream_peft_vo_rslora": ("D", "upstream", "rslora"),
}
FOLDERS = {
    "A": ADAPTERS / "upstream_peft_attn_r4_a8",
    "B": ADAPTERS / "upstream_peft_attn_mlp_patterns",
    "C": ADAPTERS / "upstream_peft_dora_r4_a8",
    "D": ADAPTERS / "upstream_peft_vo_rslora",
}


def tiny_transformer(dtype: torch.dtype = torch.float32) -> AceStepTransformer1DModel:
    """The golden base, frozen, in eval mode."""
    transformer = AceStepTransformer1DModel.from_pretrained(
        GOLDEN / "diffusers_tiny" / "transformer", torch_dtype=dtype
    )
    return transformer.eval().requires_grad_(False)


def golden_velocity(name: str) -> torch.Tensor:
    """``A.velocity`` and so on; ``base`` for no adapter."""
    name = "A.velocity_disabled" if name == "base" else name
    return load_file(ADAPTERS / "velocities.safetensors")[name]


def velocity(transformer: torch.nn.Module) -> torch.Tensor:
    """What the transformer answers to the inputs of the golden velocities, as float32."""
    data = load_file(GOLDEN / "dit.safetensors")
    dtype = next(transformer.parameters()).dtype
    inputs = {
        name: data[f"even.{name}"].to(dtype)
        for name in ("hidden_states", "encoder_hidden_states", "context_latents")
    }
    times = {name: data[f"{CASE}.{name}"].to(dtype) for name in ("timestep", "timestep_r")}
    with torch.no_grad():
        return transformer(**inputs, **times, return_dict=False)[0].float()


def furthest(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference."""
    return (a.double() - b.double()).abs().max().item()


def trained(seed=0, **knobs):
    """A transformer with an attached adapter that does something."""
    transformer = tiny_transformer()
    knobs = {"rank": 4, "alpha": 8, "dropout": 0.1} | knobs
    attach(transformer, TrainConfig(tensors="unused", **knobs))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in trainable_parameters(transformer).values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return transformer


def mounted_velocity(path):
    """The velocity with the adapter at a path mounted."""
    transformer = tiny_transformer()
    mount(transformer, read_adapter(path), "x")
    return velocity(transformer)


def copy_adapter(letter, target):
    """A copy of a golden PEFT folder."""
    shutil.copytree(FOLDERS[letter], target)
    return target


def edit_config(folder, **changes):
    """Change entries of a folder's configuration."""
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))
    return folder
