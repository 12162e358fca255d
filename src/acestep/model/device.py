"""Where to compute, and in which precision."""

import gc

import torch

from acestep.errors import ConfigError

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def available_devices() -> list[str]:
    """The kinds of device this machine has, best first; ``cpu`` is always the last."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_device(name: str | None = None) -> torch.device:
    """The named device (``cuda``, ``cuda:1``, ``mps``, ``cpu``), or the best there is.

    Raises :class:`ConfigError` for a device that this machine does not have.
    """
    available = available_devices()
    if name is None:
        return torch.device(available[0])
    kind, _, index = name.partition(":")
    if kind not in available:
        raise ConfigError(
            [f"--device {name}: this machine has {', '.join(available)}"],
            hint="Leave --device out to take the best there is.",
        )
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if index and not (index.isdigit() and int(index) < count):
        raise ConfigError([f"--device {name}: this machine has {count} of them, numbered from 0"])
    return torch.device(name)


def choose_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """The dtype a precision knob means on a device.

    ``auto`` is what the original program takes: bfloat16 on cuda, float16 on mps, float32 on a CPU.
    Raises :class:`ConfigError` for a name that is none of the knob's.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if precision != "auto":
        raise ConfigError([f"--precision {precision}: must be auto, {', '.join(_DTYPES)}"])
    match device.type:
        case "cuda":
            return torch.bfloat16
        case "mps":
            return torch.float16
        case _:
            return torch.float32


def free_memory(device: torch.device) -> None:
    """Give memory of dropped tensors back to the device, so that the next part fits."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
