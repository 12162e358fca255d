"""What each of several processes does in a test: ``torchrun rank_work.py WHAT TENSORS OUTPUT``.

Each writes what it found to ``OUTPUT/<what>_<rank>.json`` or ``.pt``.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from acestep.config import TrainConfig
from acestep.speed.sharding import bytes_here
from acestep.training.session import Session, open_session
from acestep.training.step import add_gradients, members_of, shares_of, update

RANK = os.environ.get("RANK", "0")


def session(tensors: Path, output: Path, held: ExitStack, **knobs: object) -> Session:
    """A run that is about to begin, with an adapter that does something."""
    settings = {"rank": 4, "device": "cpu", "validation": 0, "epochs": 2, **knobs}
    opened, _ = open_session(TrainConfig(tensors=tensors, output=output, **settings), held)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in opened.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return opened


def messages(profiled: profile) -> list[str]:
    """What went over the wire, in words: ``gloo:all_reduce`` …"""
    return [event.name for event in profiled.events() if event.name.startswith("gloo:")]


def wire(tensors: Path, output: Path) -> None:
    """Count the messages of steps with three clips for each process."""
    with ExitStack() as held:
        run = session(tensors, output / "wire", held, gradient_accumulation=3)
        counts = []
        for step in range(2):
            with profile(activities=[ProfilerActivity.CPU]) as before:
                loss = add_gradients(run, step)
            with profile(activities=[ProfilerActivity.CPU]) as after:
                update(run, 1e-3, loss)
            counts.append([messages(before), messages(after)])
        sent = sum(p.numel() * 4 for p in run.parameters.values()) + 4
        write(output, "wire", {"counts": counts, "bytes": sent})


def shard(tensors: Path, output: Path) -> None:
    """Gradients of steps with the base whole and split, and what each process then holds."""
    found: dict[str, object] = {}
    for level in ("none", "full", "products"):
        for split in (False, True):
            with ExitStack() as held:
                name = f"{level}_{'split' if split else 'whole'}"
                run = session(
                    tensors, output / name, held, shard_base=split, gradient_checkpointing=level,
                    batch_size=2, teach_guidance=2.5 if level == "full" else 1.0,
                )  # fmt: skip
                whole = sum(p.numel() * p.element_size() for p in run.transformer.parameters())
                trained = sum(p.numel() * p.element_size() for p in run.parameters.values())
                found[f"{name}_bytes"] = [bytes_here(run.transformer), whole, trained]
                frozen = (p for p in run.transformer.layers.parameters() if not p.requires_grad)
                found["block_bytes"] = sum(p.numel() * p.element_size() for p in frozen)
                found[f"{name}_passes"] = [
                    [len(share) for share in shares_of(run, members_of(run, step))]
                    for step in range(run.plan.steps_per_epoch)
                ]
                gradients = []
                for step in range(run.plan.steps_per_epoch):
                    mine = [add_gradients(run, step)]
                    for parameter in run.parameters.values():
                        given = torch.zeros_like(parameter)
                        mine.append(given if parameter.grad is None else parameter.grad)
                    run.processes.add_up(mine)
                    gradients.append(torch.cat([tensor.reshape(-1) for tensor in mine]))
                    run.optimizer.zero_grad(set_to_none=True)
                found[f"{name}_bytes_after"] = bytes_here(run.transformer)
                torch.save(gradients, output / f"{name}_{RANK}.pt")
    write(output, "shard", found)


def write(output: Path, what: str, values: object) -> None:
    """Leave what was found where the test looks for it."""
    (output / f"{what}_{RANK}.json").write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    {"wire": wire, "shard": shard}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
