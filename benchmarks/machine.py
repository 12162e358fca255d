"""What a benchmark says about the machine it ran on, and how it times."""

import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def hardware(device: torch.device) -> str:
    """The accelerator's name, or the processor's and its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def forget_peak() -> None:
    """Start counting resident memory's peak anew, where the system can (Linux)."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def peak_gib(device: torch.device) -> float:
    """Peak device memory; on a CPU resident memory, with the libraries in it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (text for text in status.read_text().splitlines() if text.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(step: Callable[[], Any], count: int, device: torch.device) -> float:
    """Seconds a step, of ``count`` of them and what they left for the device to do."""
    _synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    _synchronize(device)
    return (time.perf_counter() - start) / count


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second that a large matrix product reaches, the best of several."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(timed(lambda: a @ b, 1, device) for _ in range(8))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
