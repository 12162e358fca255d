"""One process or many: who am I, wait for the others, add up tensors.

``accelerate launch -m acestep train …`` starts several processes on one or many machines; each
asks here for its place. Started alone, everything below is a no-op.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

# While one writes, plays previews or encodes its last songs, the others wait. If one dies, whoever
# launched them ends them all.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Processes:
    """This process's place: ``rank`` of ``world``, and the device it was given."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.world > 1:
            PartialState().wait_for_everyone()

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one message."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def collect(self, items: list[Any]) -> list[Any]:
        """The items of all processes, in the order of their ranks."""
        return gather_object(items) if self.world > 1 else items


def share_out(lengths: Sequence[int], world: int, *, in_rows: bool = False) -> list[list[int]]:
    """Which places of a list each process works on, so that none waits long for the others.

    Every process finds the same answer by itself. Longest first, each goes to the process that has
    least to do by then (Graham 1969). ``in_rows`` deals them out one by one instead: each has as
    many, and the k-th of all are about equally long. One process has all of them, in order.
    """
    if world == 1:
        return [list(range(len(lengths)))]
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    if in_rows:
        return [order[rank::world] for rank in range(world)]
    shares: list[list[int]] = [[] for _ in range(world)]
    loads = [0] * world
    for place in order:
        rank = loads.index(min(loads))
        shares[rank].append(place)
        loads[rank] += lengths[place]
    return shares


def how_many() -> int:
    """How many processes were launched together, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(device: torch.device) -> Processes:
    """Take this process's place among those that were launched together with it.

    ``device`` is what one process alone would use; among several, each gets its own of that kind.
    """
    if how_many() == 1:
        return Processes(0, 1, device)
    state = PartialState(cpu=device.type == "cpu", timeout=PATIENCE)
    # Left to the interpreter's end, a thread of the group may still run, which aborts the process.
    atexit.register(state.destroy_process_group)
    return Processes(state.process_index, state.num_processes, state.device)
