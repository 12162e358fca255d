"""The memory of a training step: what the formula says, and what the real transformer takes.

    python benchmarks/memory.py                 # formula against count, 2B and XL (2 minutes, CPU)
    python benchmarks/memory.py --fit           # the tables of acestep/speed/coefficients.py
    python benchmarks/memory.py --device cuda   # and what a card takes (random weights)

Counted: a whole step on tensors without data (``live_memory``). Measured: torch's own account.
"""

import argparse
import random
import sys
from dataclasses import asdict, fields, replace

import numpy as np
import torch
from live_memory import RELATIVES, SIZES, bare, shape_of, step_bytes
from scipy.optimize import nnls

from acestep.adapters.attach import attach
from acestep.config import TrainConfig
from acestep.speed.attention import install_attention
from acestep.speed.coefficients import Bytes
from acestep.speed.levels import LEVELS
from acestep.speed.measured import CudaMeter, measure
from acestep.speed.memory import GIB, Load

NAMES = [field.name for field in fields(Bytes)]
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PATCHES = (750, 3000)  # 60 and 240 seconds
SAMPLES = 14  # of shapes and knobs, for each precision, adapter and level


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fit", action="store_true", help="fit the coefficients anew")
    parser.add_argument("--device", default="cpu", help="cuda: measure there as well")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--layers", type=int, help="fewer blocks: quicker")
    args = parser.parse_args()
    if args.fit:
        fit()
    else:
        compare(args.sizes, args.layers, torch.device(args.device))


def compare(sizes: list[str], layers: int | None, device: torch.device) -> None:
    """A table of peaks in GiB: rank 64 on attention, batch 1, dropout 0, bfloat16."""
    print("| model | seconds | level | formula | counted | measured |\n|---|---|---|---|---|---|")
    for size in sizes:
        for patches in PATCHES:
            for level in LEVELS:
                load = Load(shape_of(size, layers), dropout=0.0, level=level)
                _, counted = step_bytes(size, patches, level, layers=layers, dropout=0.0)
                cells = [load.peak(patches) / GIB, counted / GIB]
                text = " | ".join(f"{cell:.2f}" for cell in cells)
                seen = (
                    f"{measured(size, layers, level, patches) / GIB:.2f}"
                    if device.type == "cuda"
                    else "–"
                )
                print(f"| {size} | {patches * 2 // 25} | {level} | {text} | {seen} |", flush=True)


def measured(size: str, layers: int | None, level: str, patches: int) -> float:
    """The peak on the card at hand, from two short passes."""
    transformer = bare(size, torch.bfloat16, layers).to_empty(device="cuda")
    install_attention(transformer)
    attach(transformer, TrainConfig(tensors="-", dropout=0.0))
    meter = CudaMeter(torch.device("cuda"))
    return measure(transformer, level, 200 / patches, "adamw", meter).peak(patches)


def fit() -> None:
    """Least squares, of peaks of two and of three blocks, in which nothing is below zero."""
    tables: dict[str, dict[str, dict[str, Bytes]]] = {"KEPT": {}, "WORKING": {}}
    for weights in DTYPES:
        for dora in (False, True):
            for level in LEVELS:
                key = f'("{weights}", {dora})'
                kept, working = fit_one(weights, dora, level)
                tables["KEPT"].setdefault(key, {})[level] = kept
                tables["WORKING"].setdefault(key, {})[level] = working
    for name, table in tables.items():
        print(f"{name}: Table = {{")
        for key, levels in table.items():
            print(f"    {key}: {{")
            for level, each in levels.items():
                given = ", ".join(f"{n}={v:g}" for n, v in asdict(each).items() if v)
                print(f'        "{level}": Bytes({given}),')
            print("    },")
        print("}\n")


def fit_one(weights: str, dora: bool, level: str) -> tuple[Bytes, Bytes]:
    """What a block keeps, and what a step works with beside, from random shapes and knobs."""
    chance = random.Random(f"{weights}{dora}{level}")
    rows, kept, working, whole = [], [], [], []
    for _ in range(SAMPLES):
        knobs = {
            "rank": chance.choice([8, 32, 64, 128]),
            "targets": chance.choice(["attention", "attention+mlp", "self", "cross"]),
            "dropout": chance.choice([0.0, 0.1]),
            "adapter": "dora" if dora else "lora",
        }
        size, patches = (
            chance.choice([*SIZES, *SIZES, *RELATIVES]),
            chance.choice([375, 750, 1500, 3000, 4000]),
        )
        condition = chance.choice([50, 200, 400, 769])
        two, three = (
            peak - static
            for static, peak in (
                step_bytes(
                    size, patches, level,
                    layers=layers, condition=condition, dtype=DTYPES[weights], **knobs,
                )
                for layers in (2, 3)
            )
        )  # fmt: skip
        load = Load(shape_of(size, 1), weights=weights, level=level, condition=condition, **knobs)
        rows.append([load.bytes_of(Bytes(**{name: 1}), patches, 1) for name in NAMES])
        kept.append(three - two)
        working.append(3 * two - 2 * three)
        whole.append(three)
    return tuple(solve(rows, wanted, whole) for wanted in (kept, working))  # type: ignore[return-value]


def solve(rows: list[list[float]], wanted: list[float], whole: list[float]) -> Bytes:
    """Coefficients by errors relative to the ``whole`` peak; what is hardly there is left out."""
    scale = np.array(whole)
    found, _ = nnls(np.array(rows) / scale[:, None], np.array(wanted) / scale)
    found = np.where(found < 0.02, 0, found.round(2))
    error = (np.array(rows) @ found - wanted) / scale
    print(
        f"# off by {error.min():+.1%} to {error.max():+.1%} of three blocks' peak", file=sys.stderr
    )
    return replace(Bytes(), **dict(zip(NAMES, map(float, found), strict=True)))


if __name__ == "__main__":
    main()
