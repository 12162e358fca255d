"""In which precision a run computes; on a CPU, the one whose matrix products are faster there.

Processors with AMX or AVX512-BF16 multiply bfloat16 several times faster than float32, others have
to emulate it and are slower. Which it is, is measured on products of the model's own shape, once,
at the start of a run: the choice stays with the run, and with several processes the first one's is
everybody's, since a run in another precision gives other numbers.

Narrow models stay in float32. A step of theirs is mostly overhead of calls, so that little would be
gained, and their numbers are then the same on every processor.
"""

import time
from functools import partial

import torch
from torch.nn import functional

from acestep.model.base import BaseModel
from acestep.model.device import choose_dtype
from acestep.processes import Processes
from acestep.speed.pace import Choice

NARROW = 512  # channels; below, a CPU computes in float32
ROWS = 128  # patches in a product that is timed
BUDGET = 0.1  # seconds of measuring
WORTH = 1.5  # how much faster bfloat16's products must be


def choose_computing(
    asked: str, model: BaseModel, processes: Processes, kept: str | None = None
) -> Choice:
    """The name of the dtype to train in, ``float32`` or ``bfloat16``, and why.

    ``asked`` is the ``--precision`` knob; ``kept`` is what a run that is resumed computed in on a
    CPU. float16 would need its loss scaled; bfloat16 has the range of float32 and does not.
    """
    device = processes.device
    if kept is not None and asked == "auto" and device.type == "cpu":
        return Choice(kept, "as the run was started")
    shape = model.config("transformer")
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    if known := known_computing(asked, device, hidden):
        return known
    # The first process measures for all: two could find differently
    found = processes.collect([faster_on_cpu(hidden, inner) if processes.is_main else None])
    return next(choice for choice in found if choice is not None)


def known_computing(asked: str, device: torch.device, hidden: int) -> Choice | None:
    """The same for a model of ``hidden`` channels, as far as nothing has to be measured for it."""
    if asked != "auto" or device.type != "cpu":
        name = str(choose_dtype(device, asked)).removeprefix("torch.")
        if name == "float16":
            return Choice("float32", "float16 overflows in training")
        return Choice(name, f"usual on {device.type}" if asked == "auto" else "as asked for")
    if hidden < NARROW:
        return Choice("float32", f"a model of {hidden} channels, below {NARROW}")
    return None


def dtype_of(precision: Choice) -> torch.dtype:
    """The dtype that a choice names."""
    return torch.bfloat16 if precision.value == "bfloat16" else torch.float32


def faster_on_cpu(hidden: int, inner: int) -> Choice:
    """float32 or bfloat16, by timing a layer of ``hidden`` to ``inner`` channels in both.

    Takes about ``BUDGET`` seconds, more where a single product takes longer.
    """
    seconds = product_seconds(hidden, inner)
    gain = seconds[torch.float32] / seconds[torch.bfloat16]
    told = f"products of {hidden} × {inner} take {gain:.1f} times as long in float32 here"
    return Choice("bfloat16" if gain >= WORTH else "float32", told)


@torch.no_grad()
def product_seconds(hidden: int, inner: int) -> dict[torch.dtype, float]:
    """The shortest time of one matrix product in each precision, measured by turns."""
    products = {}
    for dtype in (torch.float32, torch.bfloat16):
        given, weight = (torch.ones(rows, hidden, dtype=dtype) for rows in (ROWS, inner))
        products[dtype] = partial(functional.linear, given, weight)
        products[dtype]()  # the first call also chooses kernels
    best = dict.fromkeys(products, float("inf"))
    begin = time.perf_counter()
    while time.perf_counter() - begin < BUDGET:
        for dtype, product in products.items():
            start = time.perf_counter()
            product()
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best
