"""Time a training step against a plain loop, in one run and interleaved.

    python benchmarks/train_step.py --shape tiny --seconds 20 --rank 16
    python benchmarks/train_step.py --shape 2b --seconds 60 --rank 64 --precision bfloat16

Both sides train the same random transformer of the chosen shape on the same random songs. *ours* is
``acestep.training.step.optimizer_step``. *plain* is the loop one would write first: the diffusers
transformer, PEFT, a batch of one copied to the device each step, the default AdamW, and a read of
the loss every step. Reported: median seconds a step, audio-seconds a second, the achieved share of
the machine's matrix peak (measured with a large matrix product in the same precision), and peak
memory (each side in a process of its own), with and without gradient checkpointing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AceStepTransformer1DModel
from machine import forget_peak, hardware, peak_gib
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from acestep.adapters.attach import attach, trainable_parameters
from acestep.config import TrainConfig
from acestep.data.tensors import Manifest, Sample
from acestep.model.base import find_model
from acestep.model.device import choose_device, choose_dtype
from acestep.model.flow import draw_turbo_time, interpolate
from acestep.processes import Processes
from acestep.training.clips import make_clips, split_clips
from acestep.training.optim import make_optimizer
from acestep.training.run import RunFolder
from acestep.training.session import Session
from acestep.training.settings import make_plan
from acestep.training.step import optimizer_step

# hidden, MLP, layers, heads, KV heads, head size, encoder width
SHAPES = {
    "tiny": (192, 512, 6, 6, 3, 32, 192),
    "2b": (2048, 6144, 24, 16, 8, 128, 2048),
    "xl": (2560, 9728, 32, 32, 8, 128, 2048),
}
CONDITION_TOKENS = 200
SONGS = 8


def transformer_of(
    shape: str, device: torch.device, dtype: torch.dtype
) -> AceStepTransformer1DModel:
    hidden, inter, layers, heads, kv, size, encoder = SHAPES[shape]
    torch.manual_seed(0)
    with torch.device(device):
        model = AceStepTransformer1DModel(
            hidden_size=hidden,
            intermediate_size=inter,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv,
            head_dim=size,
            encoder_hidden_size=encoder,
            is_turbo=True,
        )
    return model.to(device, dtype).requires_grad_(False)


def songs_of(shape: str, seconds: float) -> list[Sample]:
    generator = torch.Generator().manual_seed(1)
    frames, width = round(seconds * 25), SHAPES[shape][-1]

    def randn(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator)

    return [
        Sample(
            f"s{n}",
            f"s{n}",
            randn(frames, 64),
            randn(CONDITION_TOKENS, width),
            randn(frames, 128),
            {},
        )
        for n in range(SONGS)
    ]


class Ours:
    """The package's own step, on a session put together from random parts."""

    def __init__(self, args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
        config = TrainConfig(
            tensors=Path("-"),
            rank=args.rank,
            dropout=args.dropout,
            validation=0.0,
            gradient_checkpointing="on" if args.checkpointing else "off",
        )
        model = find_model("mini")  # only its variant is looked at
        transformer = transformer_of(args.shape, device, dtype)
        modules = attach(transformer, config)
        if args.checkpointing:
            transformer.enable_gradient_checkpointing()
        parameters = trainable_parameters(transformer)
        split = split_clips(make_clips(songs_of(args.shape, args.seconds), device, dtype), 0.0, 0)
        width = SHAPES[args.shape][-1]
        self.session = Session(
            config,
            RunFolder(Path(tempfile.gettempdir())),
            model,
            Manifest(),
            Processes(0, 1, device),
            dtype,
            make_plan(config, model, SONGS, 1),
            split,
            transformer,
            transformer,  # and so the loss sees it
            modules,
            parameters,
            make_optimizer(config, list(parameters.values())),
            torch.zeros(1, 1, width, device=device, dtype=dtype),
        )
        self.steps = 0

    def step(self) -> None:
        optimizer_step(self.session, self.steps, 1e-4)
        self.steps += 1


class Plain:
    """What one would write first."""

    def __init__(self, args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        lora = LoraConfig(
            r=args.rank, lora_alpha=2 * args.rank, lora_dropout=args.dropout, target_modules=targets
        )
        base = transformer_of(args.shape, device, dtype)
        if args.checkpointing:
            base.enable_gradient_checkpointing()
        self.model = get_peft_model(base, lora).train()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0.01)
        self.songs, self.device, self.dtype = songs_of(args.shape, args.seconds), device, dtype
        self.losses: list[float] = []

    def step(self) -> None:
        song = self.songs[len(self.losses) % SONGS]
        data = song.latents[None].to(self.device)
        condition, context = (
            t[None].to(self.device, self.dtype) for t in (song.condition, song.context)
        )
        noise = torch.randn_like(data)
        time_ = draw_turbo_time(3.0, torch.default_generator).to(self.device)
        mixed = interpolate(data, noise, time_).to(self.dtype)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            velocity = self.model(
                hidden_states=mixed,
                timestep=time_.to(self.dtype),
                timestep_r=time_.to(self.dtype),
                encoder_hidden_states=condition,
                context_latents=context,
                return_dict=False,
            )[0]
            loss = torch.nn.functional.mse_loss(velocity.float(), noise - data)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.losses.append(loss.item())


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The best of several large matrix products, in FLOP a second."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def timed(step: Callable[[], None], count: int, device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / count


def measure_memory(args: argparse.Namespace, side: str, checkpointing: bool) -> float:
    """Peak memory of a few steps in a process of its own, in GiB."""
    flags = [
        "--shape",
        args.shape,
        "--seconds",
        str(args.seconds),
        "--rank",
        str(args.rank),
        "--dropout",
        str(args.dropout),
        "--precision",
        args.precision,
        "--only",
        side,
    ]
    flags += ["--device", args.device] if args.device else []
    flags += ["--checkpointing"] if checkpointing else []
    done = subprocess.run(
        [sys.executable, __file__, *flags], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def only(args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
    """Run one side alone and print its peak memory: device memory, or resident memory on a CPU."""
    side = (Ours if args.only == "ours" else Plain)(args, device, dtype)
    forget_peak()
    for _ in range(3):
        side.step()
    print(peak_gib(device))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--device", choices=["cuda", "mps", "cpu"])
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--rounds", type=int, default=6, help="interleaved rounds a side")
    parser.add_argument("--steps", type=int, default=3, help="steps a round")
    parser.add_argument(
        "--checkpointing", action="store_true", help="recompute activations on both sides"
    )
    parser.add_argument("--skip-memory", action="store_true", help="time only")
    parser.add_argument("--only", choices=["ours", "plain"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse()
    device = choose_device(args.device)
    dtype = choose_dtype(device, args.precision)
    if args.only:
        only(args, device, dtype)
        return
    sides = {"ours": Ours(args, device, dtype), "plain": Plain(args, device, dtype)}
    for side in sides.values():
        timed(side.step, 2, device)  # allocator, kernels, caches
    with FlopCounterMode(display=False) as counter:
        sides["plain"].step()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(args.rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            times[name].append(timed(sides[name].step, args.steps, device))
    peak, flops = matrix_peak(device, dtype), counter.get_total_flops()
    report: dict[str, Any] = {
        "hardware": hardware(device),
        "torch": torch.__version__,
        "shape": args.shape,
        "seconds": args.seconds,
        "rank": args.rank,
        "dropout": args.dropout,
        "precision": str(dtype),
        "checkpointing": args.checkpointing,
        "flops_per_step": flops,
        "matrix_peak": round(peak / 1e12, 3),
    }
    for name in sides:
        median = statistics.median(times[name])
        report[name] = {
            "seconds_per_step": round(median, 4),
            "audio_seconds_per_second": round(args.seconds / median, 1),
            "share_of_matrix_peak": round(flops / median / peak, 3),
        }
        if not args.skip_memory:
            report[name] |= {
                "peak_gib": round(measure_memory(args, name, False), 3),
                "peak_gib_checkpointing": round(measure_memory(args, name, True), 3),
            }
    ratios = [p / o for p, o in zip(times["plain"], times["ours"], strict=True)]
    report["plain_over_ours"] = round(statistics.median(ratios), 3)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
