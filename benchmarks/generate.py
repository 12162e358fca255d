"""Seconds a song takes to make, against diffusers' own pipeline, in one run and interleaved.

    python benchmarks/generate.py
    python benchmarks/generate.py --shape 2b --device cuda --seconds 60 240 --batches 1 4 8

Both sides load the same weights (``mini``, or random ones of another shape), take the same prompt,
seeds, steps and noise, and end with audio in the host's memory. *diffusers* is ``AceStepPipeline``
as it comes, with a list of prompts and generators for a batch; *ours* is
``AceStepPipeline.generate_all``. Rounds take turns, the order reversed every other round. Reported:
median seconds a song of each side, their ratio (above 1 is faster than diffusers), how the two
songs differ, and how long one song takes in a process of its own, imports and loading included
(``--cold``).
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepConditionEncoder
from machine import hardware
from transformers import Qwen3Config, Qwen3Model

import acestep
from acestep.model.device import choose_device, choose_dtype
from acestep.model.find import find_model

Clock = Callable[[], float]
CAPTION = "warm analog house, four on the floor, 122 bpm, deep bass, airy pads"
VAE = {
    "audio_channels": 2, "channel_multiples": [1, 2, 4, 8, 16], "decoder_channels": 128,
    "decoder_input_channels": 64, "downsampling_ratios": [2, 4, 4, 6, 10],
    "encoder_hidden_size": 128, "sampling_rate": 48000,
}  # fmt: skip
# hidden, MLP, layers, heads, key heads, head size; text width and layers; autoencoder
SHAPES: dict[str, Any] = {
    "tiny": (64, 128, 2, 4, 2, 16, 64, 2, {**VAE, "decoder_channels": 8, "encoder_hidden_size": 8}),
    "small": (
        512,
        1536,
        6,
        8,
        4,
        64,
        64,
        2,
        {**VAE, "decoder_channels": 24, "encoder_hidden_size": 24},
    ),
    "2b": (2048, 6144, 24, 16, 8, 128, 1024, 28, VAE),
}


def random_model(shape: str, folder: Path, device: torch.device, dtype: torch.dtype) -> Path:
    """A pipeline folder with random weights of a shape; tokenizer and scheduler are mini's."""
    hidden, inter, layers, heads, keys, size, width, text_layers, vae = SHAPES[shape]
    shutil.copytree(find_model("mini").path, folder, dirs_exist_ok=True)
    common = {
        "hidden_size": hidden, "intermediate_size": inter, "num_attention_heads": heads,
        "num_key_value_heads": keys, "head_dim": size,
    }  # fmt: skip
    torch.manual_seed(0)
    with torch.device(device):
        modules = {
            "transformer": AceStepTransformer1DModel(
                **common, num_hidden_layers=layers, is_turbo=True, model_version="turbo"
            ),
            "condition_encoder": AceStepConditionEncoder(**common, text_hidden_dim=width),
            "vae": AutoencoderOobleck(**vae),
            "text_encoder": Qwen3Model(
                Qwen3Config(
                    vocab_size=4096, hidden_size=width, intermediate_size=3 * width,
                    num_hidden_layers=text_layers, num_attention_heads=16 if width > 64 else 4,
                    num_key_value_heads=8 if width > 64 else 2, head_dim=width // 8,
                )
            ),
        }  # fmt: skip
    for name, module in modules.items():
        shutil.rmtree(folder / name)
        whole = name == "vae"  # it stays in float32
        module.to("cpu", torch.float32 if whole else dtype).save_pretrained(folder / name)
    return folder


class Ours:
    """This package's pipeline."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        precision = str(dtype).removeprefix("torch.")
        self.pipeline = acestep.AceStepPipeline(
            str(folder), device=device.type, precision=precision
        )

    def make(self, seconds: float, batch: int) -> np.ndarray:
        """Audio ``[batch, 2, samples]``."""
        pieces = self.pipeline.generate_all(range(batch), CAPTION, duration=seconds)
        return np.stack([piece.audio for piece in pieces])


class Theirs:
    """diffusers' pipeline."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.pipeline = diffusers.AceStepPipeline.from_pretrained(str(folder), dtype=dtype)
        self.pipeline.to(device).set_progress_bar_config(disable=True)

    def make(self, seconds: float, batch: int) -> np.ndarray:
        """Audio ``[batch, 2, samples]``."""
        return self.pipeline(
            [CAPTION] * batch,
            lyrics=["[Instrumental]"] * batch,
            vocal_language=["unknown"] * batch,
            audio_duration=seconds,
            guidance_scale=1.0,
            generator=[torch.Generator().manual_seed(seed) for seed in range(batch)],
            output_type="np",
        ).audios


def timed(
    make: Callable[[float, int], np.ndarray], seconds: float, batch: int, clock: Clock
) -> float:
    start = clock()
    make(seconds, batch)
    return (clock() - start) / batch


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The larger part of what two songs do not share, in dB below the song; loudness aside."""
    length = min(one.shape[-1], other.shape[-1])
    one, other = (sound[..., :length] / np.abs(sound).max() for sound in (one, other))
    return float(10 * np.log10(np.square(one - other).mean() / np.square(one).mean() + 1e-12))


def compare(
    ours: Ours, theirs: Theirs, seconds: float, batch: int, rounds: int, clock: Clock
) -> tuple[float, float, float]:
    """Median seconds a song of ours and theirs, and how far the songs are apart in dB."""
    apart = difference(ours.make(seconds, 1), theirs.make(seconds, 1))  # and this warms up
    sides = {"ours": ours.make, "theirs": theirs.make}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            times[name].append(timed(sides[name], seconds, batch, clock))
    return statistics.median(times["ours"]), statistics.median(times["theirs"]), apart


def cold(
    folder: Path, seconds: float, device: torch.device, dtype: torch.dtype, rounds: int
) -> tuple[float, float]:
    """Median seconds from the start of a process to the song, ours and theirs."""
    ours = (
        "import acestep;"
        f"acestep.AceStepPipeline({str(folder)!r}, device={device.type!r},"
        f" precision={str(dtype).removeprefix('torch.')!r})"
        f".generate({CAPTION!r}, duration={seconds})"
    )
    theirs = (
        "import diffusers, torch;"
        f"diffusers.AceStepPipeline.from_pretrained({str(folder)!r}, dtype={dtype})"
        f".to({device.type!r})"
        f"({CAPTION!r}, lyrics='[Instrumental]', audio_duration={seconds}, guidance_scale=1.0)"
    )
    times: dict[str, list[float]] = {ours: [], theirs: []}
    for _ in range(rounds):
        for code, seen in times.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            seen.append(time.perf_counter() - start)
    return statistics.median(times[ours]), statistics.median(times[theirs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=["mini", *SHAPES], default="mini")
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 30.0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument(
        "--cpu-time", action="store_true", help="seconds of the processor: for a busy machine"
    )
    args = parser.parse_args()
    clock = time.process_time if args.cpu_time else time.perf_counter
    warnings.simplefilter("ignore")
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    dtype = choose_dtype(device, args.precision)
    print(
        f"{hardware(device)}; {args.shape}, {str(dtype).removeprefix('torch.')}, 8 steps"
        f"{', processor time' if args.cpu_time else ''}\n"
    )
    print("| seconds | songs at once | ours, s a song | diffusers, s a song | ratio | apart |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = find_model("mini").path
        if args.shape != "mini":
            folder = random_model(args.shape, Path(place) / "model", device, dtype)
        sides = (Ours(folder, device, dtype), Theirs(folder, device, dtype))
        for seconds in args.seconds:
            for batch in args.batches:
                ours, theirs, apart = compare(*sides, seconds, batch, args.rounds, clock)
                ratio = theirs / ours
                print(
                    f"| {seconds:g} | {batch} | {ours:.3f} | {theirs:.3f} | {ratio:.2f} "
                    f"| {apart:.0f} dB |",
                    flush=True,
                )
        if args.cold:
            ours, theirs = cold(folder, args.seconds[0], device, dtype, 3)
            print(f"\nFrom the start of a process: {ours:.1f} s, diffusers {theirs:.1f} s")


if __name__ == "__main__":
    main()
