"""What a run is made of, written at its start: see :mod:`acestep.adapters.manifest`."""

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from acestep.adapters.manifest import FORMAT

if TYPE_CHECKING:
    from acestep.training.session import Session

PACKAGES = (
    "acestep-studio",
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "numpy",
)
# Where a run lies and what is heard of it decides no number
ELSEWHERE = {"tensors", "output", "model", "device", "precision", "resume", "accept_foreign"}
ELSEWHERE |= {"preview_every", "preview", "preview_seconds"}
# What a sample's entry says of its song by name
_NAMES = {"file", "audio"}


def provenance(session: "Session") -> dict[str, Any]:
    """A run's manifest: hashes of its songs and captions, its base, settings, seeds, versions."""
    manifest = session.manifest
    return {
        "format": FORMAT,
        "base": {
            "name": session.model.name,
            "variant": session.model.variant,
            "fingerprint": session.model.fingerprint,
        },
        "dataset": {key: value for key, value in manifest.dataset.items() if key != "path"},
        "songs": [
            {key: value for key, value in sample.items() if key not in _NAMES}
            for sample in manifest.samples
        ],
        "tensors": manifest.fingerprint,
        "preprocess": manifest.settings,
        "train": session.config.model_dump(mode="json", exclude=ELSEWHERE),
        "machine": {
            "device": session.device.type,
            "processor": processor_name(session.device),
            "precision": str(session.dtype).removeprefix("torch."),
            "processes": session.processes.world,
            "threads": torch.get_num_threads(),
        },
        "packages": {name: version(name) for name in PACKAGES},
    }


def processor_name(device: torch.device) -> str:
    """What computes: the GPU's name, or the processor's kind and its vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
