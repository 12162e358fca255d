"""Time a training step against a plain loop, in one run and interleaved.

    python benchmarks/train_step.py --shape tiny --seconds 20 --rank 16
    python benchmarks/train_step.py --shape 2b --seconds 60 --rank 64 --precision bfloat16

Both sides (``loops.py``) train the same random transformer of the chosen shape on the same random
songs. Reported: median seconds a step, audio-seconds a second, the achieved share of
the machine's matrix peak (measured with a large matrix product in the same precision), and peak
memory (each side in a process of its own), with and without gradient checkpointing.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from loops import SHAPES, Plain, session_of, songs_of, transformer_of
from machine import forget_peak, hardware, matrix_peak, peak_gib, timed
from torch.utils.flop_counter import FlopCounterMode

from acestep.config import TrainConfig
from acestep.model.device import choose_device, choose_dtype
from acestep.training.step import optimizer_step


class Ours:
    """The package's own step, on a session put together from random parts."""

    def __init__(self, args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
        config = TrainConfig(
            tensors=Path("-"),
            rank=args.rank,
            dropout=args.dropout,
            validation=0.0,
            gradient_checkpointing="full" if args.checkpointing else "none",
        )
        base, songs = transformer_of(args.shape, device, dtype), songs_of(args.shape, args.seconds)
        self.session = session_of(config, base, songs, device, dtype)
        self.steps = 0

    def step(self) -> None:
        optimizer_step(self.session, self.steps, 1e-4)
        self.steps += 1


def plain_of(args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> Plain:
    base, songs = transformer_of(args.shape, device, dtype), songs_of(args.shape, args.seconds)
    if args.checkpointing:
        base.enable_gradient_checkpointing()
    return Plain(base, songs, args.rank, args.dropout, device, dtype)


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
    flags += ["--plain-precision", args.plain_precision] if args.plain_precision else []
    flags += ["--checkpointing"] if checkpointing else []
    done = subprocess.run(
        [sys.executable, __file__, *flags], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def only(args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
    """Run one side alone and print its peak memory: device memory, or resident memory on a CPU."""
    side = (Ours if args.only == "ours" else plain_of)(args, device, dtype)
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
    parser.add_argument("--plain-precision", choices=["float32", "bfloat16"], help="if another")
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
    plain_dtype = choose_dtype(device, args.plain_precision or args.precision)
    if args.only:
        only(args, device, plain_dtype if args.only == "plain" else dtype)
        return
    sides = {"ours": Ours(args, device, dtype), "plain": plain_of(args, device, plain_dtype)}
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
