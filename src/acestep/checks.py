"""What ``acestep doctor`` tries out: torch and its devices, memory, audio, models, disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from huggingface_hub import constants

from acestep.data.audio import RATE, SUFFIXES, inspect_audio, write_audio
from acestep.data.files import shown, size_text
from acestep.errors import AudioError
from acestep.findings import OPTIONAL, Finding
from acestep.model.device import available_devices, choose_device, choose_dtype
from acestep.model.find import ENVIRONMENT, list_models, model_roots

WRITTEN = (".wav", ".flac", ".mp3", ".ogg", ".opus")
LITTLE_DISK = 10e9  # bytes; one base model with its optimizer states and tensors


def check_all() -> Iterator[Finding]:
    """Every finding of this module."""
    yield from check_torch()
    yield from check_memory()
    yield from check_audio()
    yield from check_models()
    yield from check_disk({"here": Path.cwd(), "the Hub's cache": Path(constants.HF_HUB_CACHE)})


def check_torch() -> Iterator[Finding]:
    """The build of torch, each device with its memory, and the precision that is chosen."""
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    detail = f"{torch.__version__}, {build}, {torch.get_num_threads()} threads"
    yield Finding("ok", "torch build", detail)
    kinds = available_devices()
    if "cuda" not in kinds and shutil.which("nvidia-smi"):
        yield Finding("note", "cuda", "there is an NVIDIA driver, but this torch cannot use it")
    if "cuda" in kinds:
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            detail = f"{name}, {size_text(free)} of {size_text(total)} free"
            yield Finding("ok", f"cuda:{index}", detail)
    chosen = choose_device(None)
    dtype = str(choose_dtype(chosen, "auto")).removeprefix("torch.")
    yield Finding("ok", "device", f"{chosen}, precision {dtype} (there are: {', '.join(kinds)})")


def check_memory() -> Iterator[Finding]:
    """The main memory."""
    memory = psutil.virtual_memory()
    detail = f"{size_text(memory.available)} of {size_text(memory.total)} free"
    yield Finding("ok", "memory", f"{detail}, {os.cpu_count()} CPU cores")


def check_audio() -> Iterator[Finding]:
    """Write and read back a second of sound in every format; what else can be read."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    sound = np.stack([tone, tone]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in WRITTEN:
            path = Path(folder) / f"tone{suffix}"
            try:
                write_audio(path, sound, RATE)
                inspect_audio(path)
            except AudioError as error:
                yield Finding("problem", f"audio {suffix}", str(error))
            else:
                yield Finding("ok", f"audio {suffix}", "can be read and written")
    others = sorted(SUFFIXES - set(WRITTEN))
    if others:
        yield Finding("ok", f"audio {' '.join(others)}", "can be read")
    else:
        yield Finding("note", "audio .aac .m4a", f"cannot be read; av {OPTIONAL['av']}")


def check_models() -> Iterator[Finding]:
    """Where base models are looked for, and which are here."""
    roots = model_roots()
    for root in roots:
        if root.is_dir():
            yield Finding("ok", f"${ENVIRONMENT}", shown(root))
        else:
            yield Finding("note", f"${ENVIRONMENT}", f"{shown(root)} is no folder")
    if not roots:
        yield Finding("note", f"${ENVIRONMENT}", "is not set; names are sought in the Hub's cache")
    for row in list_models():
        if row.present:
            yield Finding("ok", f"model {row.name}", f"{row.variant}, {size_text(row.size)}")
        elif row.problem:
            yield Finding("note", f"model {row.name}", row.problem)


def check_disk(places: dict[str, Path]) -> Iterator[Finding]:
    """Free space where work is written and where downloads go."""
    for name, path in places.items():
        existing = next(folder for folder in (path, *path.parents) if folder.is_dir())
        free = shutil.disk_usage(existing).free
        detail = f"{size_text(free)} free ({shown(path)})"
        yield Finding("ok" if free > LITTLE_DISK else "note", f"disk, {name}", detail)
