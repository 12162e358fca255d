"""How fast a training step is on this machine: the whole grid, correctness first.

    python -m benchmarks.speed --device cuda --minutes 8
    python -m benchmarks.speed --device cpu --minutes 4

One process, one set of random base weights of the real shape, adapters with B drawn at random (a
zero B hides mistakes). Before anything is timed each side's loss and adapter gradients are held
against plain attention by its definition, and a batch of unequal clips against its members. Then,
cell by cell, the sides take turns, in reversed order every other round. *plain* is the loop that
one would write first (``loops.py``), one clip at a time; *ours* is the package's own step;
*compiled* is the same with compiled blocks.

Written to ``benchmarks/results/<date>-<hardware>.md``: milliseconds a clip (median, and from the
tenth to the ninetieth percentile of the rounds), teraflops and their share of what a large matrix
product reaches, peak memory above weights and optimizer, the ratio to *plain*. What there was no
time for is listed, not left out.
"""

import argparse
import datetime
import itertools
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from loops import CONDITION_TOKENS, SHAPES, SONGS, Plain, session_of, songs_of, transformer_of
from machine import hardware, matrix_peak, timed

from acestep.config import TrainConfig
from acestep.model.device import choose_device, choose_dtype
from acestep.speed.levels import apply_level
from acestep.training.clips import make_clips, split_clips
from acestep.training.session import Session
from acestep.training.step import optimizer_step, summed_loss

RESULTS = Path(__file__).parent / "results"
WARM_UP, ROUNDS, STEPS = 3, 10, 5
LOSS_AGREES, GRADIENTS_AGREE = 1e-3, 0.999  # relative; cosine
SAME_SEED = 0
WRONG = "**WRONG**"


@dataclass(frozen=True)
class Cell:
    """Clips of so many patches in an optimizer step, at a level of checkpointing."""

    patches: int
    clips: int
    level: str

    @property
    def seconds(self) -> float:
        return self.patches * 2 / 25


CHECKED = Cell(375, 1, "none")


@dataclass
class Side:
    """One way to train, that can be set to any cell."""

    name: str
    step: Callable[[], Any]
    fit: Callable[[Cell], None]
    loss: Callable[[], torch.Tensor]
    parameters: dict[str, nn.Parameter]
    session: Session | None = None


@dataclass(frozen=True)
class Timing:
    """Milliseconds a clip by round, and bytes above what lies there anyway (None on a CPU)."""

    rounds: list[float]
    peak: int | None

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def plain_side(args: argparse.Namespace, base: nn.Module, where: tuple[Any, ...]) -> Side:
    plain = Plain(base, songs_of(args.shape, 10), args.rank, 0.0, *where)

    def fit(cell: Cell) -> None:
        plain.songs, plain.clips = songs_of(args.shape, cell.seconds), cell.clips
        if cell.level == "none":
            base.disable_gradient_checkpointing()
        else:  # it knows no other
            base.enable_gradient_checkpointing()

    def loss() -> torch.Tensor:
        torch.manual_seed(SAME_SEED)
        return plain.loss(0)

    names = {
        name.replace(".default", ""): part
        for name, part in plain.model.named_parameters()
        if part.requires_grad
    }
    return Side("plain", plain.step, fit, loss, names)


def our_side(
    args: argparse.Namespace, name: str, base: nn.Module, where: tuple[Any, ...], **knobs: Any
) -> Side:
    config = TrainConfig(
        tensors=Path("-"), rank=args.rank, dropout=0.0, gradient_checkpointing="none", **knobs
    )
    session = session_of(config, base, songs_of(args.shape, 10), *where)
    steps = itertools.count()

    def fit(cell: Cell) -> None:
        songs = songs_of(args.shape, cell.seconds)
        session.split = split_clips(make_clips(songs, *where), 0.0, 0)
        session.plan = replace(
            session.plan, samples_per_step=cell.clips, steps_per_epoch=max(1, SONGS // cell.clips)
        )
        at_once = replace(session.pace.patches_at_once, value=3000 if cell.clips > 1 else 0)
        session.pace = replace(session.pace, patches_at_once=at_once)
        apply_level(session.transformer, cell.level)

    return Side(
        name,
        lambda: optimizer_step(session, next(steps), 1e-4),
        fit,
        lambda: _same_loss(session, args),
        session.parameters,
        session,
    )


def _same_loss(session: Session, args: argparse.Namespace) -> torch.Tensor:
    """What the plain loop's loss computes, of this side's transformer."""
    stand_in = object.__new__(Plain)
    stand_in.model, stand_in.songs = session.transformer, songs_of(args.shape, CHECKED.seconds)
    stand_in.device, stand_in.dtype = session.device, session.dtype
    torch.manual_seed(SAME_SEED)
    return stand_in.loss(0)


def twin(args: argparse.Namespace, weights: dict[str, torch.Tensor]) -> nn.Module:
    """Another transformer over the same weights, in the same memory."""
    model = transformer_of(args.shape, torch.device("meta"), torch.float32)
    model.load_state_dict(weights, assign=True)
    return model.requires_grad_(False)


def sides_of(args: argparse.Namespace, where: tuple[Any, ...]) -> list[Side]:
    base = transformer_of(args.shape, *where)
    weights = dict(base.state_dict())
    sides = [plain_side(args, base, where), our_side(args, "ours", twin(args, weights), where)]
    if args.compile:
        more = our_side(args, "compiled", twin(args, weights), where, compile="on")
        sides.append(more)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, part in sides[0].parameters.items():
            drawn = torch.randn(part.shape, generator=generator) * 0.02
            for side in sides:
                side.parameters[name].copy_(drawn)
    return sides


def check(sides: list[Side]) -> list[str]:
    """A line a side; the exit code is 1 if one of them computes something else."""
    plain = sides[0]
    plain.fit(CHECKED)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        wanted, gradients = _gradients(plain.loss, plain.parameters)
    lines = []
    for side in sides:
        side.fit(CHECKED)
        found = _gradients(side.loss, side.parameters)
        lines.append(_agreement(side.name, found, (wanted, gradients)))
        if side.session is not None:
            lines.append(_together(side, side.session))
    return lines


def _together(side: Side, session: Session) -> str:
    """Four unequal clips in one batch against one after another."""
    whole = session.split.train
    lengths = (750, 200, 501, 77)
    cut = [
        replace(
            clip, latents=clip.latents[:, :n], context=clip.context[:, :n],
            condition=clip.condition[:, : 40 * (place + 1)], frames=slice(0, n),
        )
        for place, (clip, n) in enumerate(zip(whole, lengths, strict=False))
    ]  # fmt: skip
    session.split = replace(session.split, train=cut)
    places = list(range(len(cut)))
    alone = _gradients(
        lambda: sum(summed_loss(session, places, [place], 0) for place in places), side.parameters
    )
    found = _gradients(lambda: summed_loss(session, places, places, 0), side.parameters)
    session.split = replace(session.split, train=whole)
    return _agreement(f"{side.name}, four unequal clips together", found, alone)


def _agreement(
    name: str, found: tuple[float, torch.Tensor], wanted: tuple[float, torch.Tensor]
) -> str:
    off = abs(found[0] - wanted[0]) / wanted[0]
    cosine = torch.nn.functional.cosine_similarity(found[1], wanted[1], dim=0).item()
    verdict = "" if off < LOSS_AGREES and cosine > GRADIENTS_AGREE else f" {WRONG}"
    return f"{name}: loss off by {off:.1e}, cosine of gradients {cosine:.6f}{verdict}"


def _gradients(
    loss_of: Callable[[], torch.Tensor], parameters: dict[str, nn.Parameter]
) -> tuple[float, torch.Tensor]:
    loss = loss_of()
    loss.backward()
    flat = torch.cat([part.grad.flatten().double() for part in parameters.values()])
    for part in parameters.values():
        part.grad = None
    return loss.item(), flat


def time_cell(
    sides: list[Side], cell: Cell, seconds: float, device: torch.device
) -> dict[str, Timing]:
    """The sides in turn, for about so many seconds in all."""
    for side in sides:
        side.fit(cell)
        timed(side.step, WARM_UP, device)
    again = sum(timed(side.step, 1, device) for side in sides)
    steps = max(1, min(STEPS, int(seconds / ROUNDS / again)))
    rounds = max(3, min(ROUNDS, int(seconds / steps / again)))
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            spent = timed(side.step, steps, device)
            taken[side.name].append(1e3 * spent / cell.clips)
    return {side.name: Timing(taken[side.name], _peak(side.step, device)) for side in sides}


def _peak(step: Callable[[], Any], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    return torch.cuda.max_memory_allocated(device) - before


def step_flops(shape: str, rank: int, patches: int) -> float:
    """Operations of one LoRA step on a clip, windows counted as windows: products forward and for
    the gradient of their input, attention 3.5 times its forward pass, adapters three times."""
    hidden, inner, layers, heads, groups, width, _ = SHAPES[shape]
    queries, keys, tokens = heads * width, groups * width, CONDITION_TOKENS
    own = 2 * hidden * queries + 2 * hidden * keys + 3 * hidden * inner
    cross = 2 * hidden * queries
    products = 4 * layers * (patches * (own + cross) + tokens * 2 * hidden * keys)
    seen = (patches + min(patches, 257)) / 2 + tokens
    attention = 3.5 * layers * 4 * patches * seen * queries
    adapted = layers * rank * (2 * (hidden + queries) + 2 * (hidden + keys))
    return products + attention + 6 * adapted * (2 * patches)


def cells(device: torch.device) -> list[Cell]:
    """The grid; what matters most comes first, in case time runs out."""
    if device.type == "cuda":
        lengths, clips, levels = (750, 3000, 375), (1, 4), ("none", "products", "full")
    else:
        lengths, clips, levels = (750, 1500, 375), (1,), ("none", "full")
    return [
        Cell(patches, count, level)
        for level, count, patches in itertools.product(levels, clips, lengths)
    ]


def rows(
    args: argparse.Namespace, cell: Cell, timings: dict[str, Timing], peak: float
) -> Iterator[str]:
    work = step_flops(args.shape, args.rank, cell.patches)
    for name, timing in timings.items():
        low, high = np.percentile(timing.rounds, [10, 90])
        speed = work / timing.median * 1e3
        memory = "–" if timing.peak is None else f"{timing.peak / 2**30:.2f}"
        times = [p / o for p, o in zip(timings["plain"].rounds, timing.rounds, strict=True)]
        yield (
            f"| {cell.patches} | {cell.clips} | {cell.level} | {name} | {timing.median:.1f} | "
            f"{low:.1f}–{high:.1f} | {speed / 1e12:.3g} | {100 * speed / peak:.0f} % | {memory} | "
            f"{statistics.median(times):.2f} |"
        )


HEAD = (
    "| patches | clips | kept | side | ms a clip | p10–p90 | TFLOP/s | of peak | GiB | × plain |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def facts(args: argparse.Namespace, device: torch.device, dtype: torch.dtype, peak: float) -> str:
    lines = [
        f"- {hardware(device)}; torch {torch.__version__}, {str(dtype).removeprefix('torch.')}, "
        f"TF32 {'on' if torch.backends.cuda.matmul.allow_tf32 else 'off'}",
        f"- shape {args.shape} {SHAPES[args.shape]}, rank {args.rank}, no dropout, "
        f"{CONDITION_TOKENS} condition tokens",
        f"- a large matrix product reaches {peak / 1e12:.3g} TFLOP/s",
    ]
    if device.type == "cuda":
        lines.append(
            f"- CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, order of "
            f"attention kernels {torch._C._get_sdp_priority_order()}"
        )
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--shape", choices=SHAPES, help="2b on a GPU, cpu on a CPU")
    parser.add_argument("--rank", type=int, help="64 on a GPU, 16 on a CPU")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    args = parser.parse_args()
    args.end = time.monotonic() + 60 * args.minutes
    return args


def main() -> int:
    args = parse()
    device = choose_device(args.device)
    dtype = choose_dtype(device, args.precision)
    args.shape = args.shape or ("2b" if device.type == "cuda" else "cpu")
    args.rank = args.rank or (64 if device.type == "cuda" else 16)
    peak = matrix_peak(device, dtype)
    sides = sides_of(args, (device, dtype))
    checked = check(sides)
    print(facts(args, device, dtype, peak), *checked, *HEAD, sep="\n", flush=True)
    table, left = list(HEAD), cells(device)
    while left and (rest := args.end - time.monotonic()) > 0:
        cell = left.pop(0)
        timings = time_cell(sides, cell, 0.7 * rest / (len(left) + 1), device)
        more = list(rows(args, cell, timings, peak))
        print(*more, sep="\n", flush=True)
        table += more
    notes = [f"- no time was left for {cell}" for cell in left]
    lines = ["# Training steps", "", facts(args, device, dtype, peak), "", "Correct:", ""]
    lines += [f"- {line}" for line in checked] + ["", *table, "", *notes]
    print("written to", write(device, lines))
    return int(any(WRONG in line for line in checked))


def write(device: torch.device, lines: list[str]) -> Path:
    name = re.sub(r"[^a-z0-9]+", "-", hardware(device).lower()).strip("-")
    path = RESULTS / f"{datetime.date.today().isoformat()}-{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
