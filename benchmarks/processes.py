"""Time training steps on one process and on several, in one run and interleaved.

    python benchmarks/processes.py
    python benchmarks/processes.py --processes 8 --device cuda --shapes 2b --seconds 60

A step has the same clips in both cases (``--clips``), so the adapter that comes out is the same:
one process computes all of them, several share them and add up their gradients. *share of ideal* is
the speed-up over the number of processes. On a CPU each process has one thread. *split* has the
frozen base split over the processes (``--shard-base``). Random weights and songs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import torch
from loops import SHAPES, session_of, songs_of, transformer_of
from machine import hardware

from acestep.adapters.attach import trainable_parameters
from acestep.config import TrainConfig
from acestep.model.device import choose_dtype
from acestep.processes import Processes, join
from acestep.speed.sharding import bytes_here, shard_base
from acestep.training.session import Session
from acestep.training.settings import make_plan
from acestep.training.step import optimizer_step

HERE = "ACESTEP_BENCHMARK_RANK"  # set in the processes that are started below


def session(args: argparse.Namespace, shape: str, processes: Processes, split: bool) -> Session:
    """A run of ``args.clips`` clips a step, over these processes."""
    device, seconds = processes.device, args.seconds
    dtype = choose_dtype(device, args.precision)
    config = TrainConfig(
        tensors="tensors",
        rank=args.rank,
        dropout=0,
        validation=0,
        gradient_accumulation=args.clips // processes.world,
        shard_base=split,
    )
    transformer = transformer_of(shape, device, dtype)
    run = session_of(config, transformer, songs_of(shape, seconds), device, dtype)
    run.processes = processes
    run.plan = make_plan(config, run.model, len(run.split.train), processes.world)
    if split:
        shard_base(transformer, device)
    return run


def seconds_a_step(run: Session, first: int, steps: int) -> float:
    """Wall time of a few steps, and of what they left for the device to do."""
    run.processes.wait()
    begin = time.perf_counter()
    for step in range(first, first + steps):
        loss, _ = optimizer_step(run, step, 1e-4)
    loss.item()
    return (time.perf_counter() - begin) / steps


def seconds_a_message(run: Session, times: int = 20) -> float:
    """Adding up gradients alone."""
    gradients = [torch.zeros_like(parameter) for parameter in run.parameters.values()]
    run.processes.wait()
    begin = time.perf_counter()
    for _ in range(times):
        run.processes.add_up(gradients)
    float(gradients[0].sum())
    return (time.perf_counter() - begin) / times


def compare(args: argparse.Namespace, shape: str, processes: Processes) -> list[str]:
    """Rows of the table for one shape; alone, the first process works while the others wait."""
    alone = Processes(0, 1, processes.device)
    runs = {"one": session(args, shape, alone, False)} if processes.is_main else {}
    runs["several"] = session(args, shape, processes, False)
    runs["split"] = session(args, shape, processes, True)
    times: dict[str, list[float]] = {name: [] for name in ("one", "several", "split")}
    for number in range(args.rounds + 1):  # the first warms up
        for name in times:
            if name in runs:
                taken = seconds_a_step(runs[name], number * args.steps, args.steps)
                times[name] += [taken] if number else []
            processes.wait()
    message = seconds_a_message(runs["several"])
    if not processes.is_main:
        return []
    sent = sum(p.numel() * 4 for p in trainable_parameters(runs["several"].transformer).values())
    base = statistics.median(times["one"])
    rows = []
    for name, taken in times.items():
        world = 1 if name == "one" else processes.world
        median = statistics.median(taken)
        held = bytes_here(runs[name].transformer) / 1e6
        wire = f"{sent / 1e6:.1f} | {1000 * message:.1f}" if world > 1 else "0 | 0"
        rows.append(
            f"| {shape} | {world}{', split' if name == 'split' else ''} | {1 / median:.3f} "
            f"({1 / max(taken):.3f}–{1 / min(taken):.3f}) | {base / median:.2f} "
            f"| {100 * base / median / world:.0f} % | {held:.0f} | {wire} |"
        )
    return rows


def main(args: argparse.Namespace) -> None:
    """Start the processes, or be one of them."""
    if HERE not in os.environ:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        command = [sys.executable, *launch, str(args.processes), *sys.argv]
        sys.exit(subprocess.run(command, env=os.environ | {HERE: "1"}, check=False).returncode)
    torch.set_num_threads(1)
    processes = join(torch.device(args.device))
    if processes.is_main:
        print(f"{hardware(processes.device)} a process; torch {torch.__version__}")
        print(f"{args.clips} clips of {args.seconds:g} s a step, rank {args.rank}\n")
        print(
            "| shape | processes | steps/s (range) | speed-up | share of ideal | MB of weights "
            "| MB a message | ms a message |\n|---|---|---|---|---|---|---|---|"
        )
    for shape in args.shapes:
        for row in compare(args, shape, processes):
            print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--shapes", nargs="+", default=["tiny", "cpu"], choices=list(SHAPES))
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    main(parser.parse_args())
