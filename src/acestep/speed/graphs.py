"""CUDA graphs by hand: a pass with its backward pass, recorded once a bucket and played again.

A program issues some ten thousand operations a step, and on a fast card with short clips issuing
takes longer than computing. Recorded, a pass is issued at once. Recorded operations always read
and write the same memory, so clips are padded to a few sizes ("buckets"), every pass's inputs are
copied into the buffers of its bucket, and gradients are added to tensors that stay where they are.
Torch's own mode for this ("reduce-overhead") is not used: where gradients of several passes are
added up, it has given wrong ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from acestep.errors import ConfigError
from acestep.speed.attention import processor_of
from acestep.speed.kernels import Spans
from acestep.speed.padding import ends_of, lengthened, upload

PATCHES = 64  # lengths are rounded up to so many, in a clip
TOKENS = 32  # and in a condition
WARM_UPS = 3  # passes before one is recorded, in which libraries choose their kernels

Loss = Callable[[Mapping[str, Tensor]], Tensor]
Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
Bucket = tuple[int, int, int]  # clips, patches, tokens


@dataclass(frozen=True)
class Recorded:
    """One bucket: its buffers and what plays the pass again."""

    inputs: dict[str, Tensor]
    ends: tuple[Tensor, Tensor]  # of patches, of tokens; int32 [2 · clips + 1]
    play: Callable[[], Tensor]


def bucket_of(clips: int, patches: int, tokens: int) -> Bucket:
    """The bucket of a padded batch: so many clips, lengths rounded up."""
    return clips, -(-patches // PATCHES) * PATCHES, -(-tokens // TOKENS) * TOKENS


def check_graphs(
    device: torch.device, kernel: str, level: str, dropout: float, obstacle: str = ""
) -> None:
    """Raise ``ConfigError`` where passes cannot be recorded; ``obstacle`` is one more reason."""
    reasons = [obstacle] if obstacle else []
    if device.type != "cuda":
        reasons.append(f"there are none on {device.type}")
    elif kernel != "varlen":
        reasons.append(f"the {kernel} attention asks for each clip's length outside of the card")
    hint = "leave --cuda-graphs out"
    if level != "none" and dropout > 0:
        hint += ", or use --dropout 0"
        reasons.append("dropout that is computed again asks for the state of its random numbers")
    if reasons:
        raise ConfigError(
            [f"--cuda-graphs: {reason}" for reason in reasons],
            hint=hint,
        )


class Graphs:
    """The recorded passes of one transformer.

    ``loss_of`` takes the tensors of a batch by name, those of :attr:`FRAMES` with latent frames in
    the second dimension, and gives the loss; it may ask nothing of the device.
    """

    FRAMES = ("data", "noise", "context", "weights")

    def __init__(
        self, transformer: Any, parameters: Sequence[nn.Parameter], record: Record | None = None
    ) -> None:
        self.processor = processor_of(transformer)
        self.patch = int(transformer.config.patch_size)
        self.parameters = parameters
        self.record = record or CudaRecorder(parameters)
        self.buckets: dict[Bucket, Recorded] = {}

    def add_gradients(
        self,
        loss_of: Loss,
        inputs: Mapping[str, Tensor],
        patches: Sequence[int],
        conditions: Sequence[int],
    ) -> Tensor:
        """The loss of a batch, whose gradients are added to the parameters' own.

        ``patches`` and ``conditions`` are the true lengths. All batches of one bucket must have the
        same ``loss_of``: it is called when the bucket is recorded.
        """
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        bucket = bucket_of(len(patches), max(patches), max(conditions))
        inputs = self._padded(inputs, bucket)
        ends = [
            upload(ends_of(lengths, size), inputs["data"].device)
            for lengths, size in zip((patches, conditions), bucket[1:], strict=True)
        ]
        if bucket not in self.buckets:
            self.buckets[bucket] = self._recorded(loss_of, inputs, (ends[0], ends[1]), bucket)
        found = self.buckets[bucket]
        for name, buffer in found.inputs.items():
            buffer.copy_(inputs[name], non_blocking=True)
        for buffer, new in zip(found.ends, ends, strict=True):
            buffer.copy_(new, non_blocking=True)
        return found.play()

    def _padded(self, inputs: Mapping[str, Tensor], bucket: Bucket) -> dict[str, Tensor]:
        sizes = dict.fromkeys(self.FRAMES, bucket[1] * self.patch) | {"condition": bucket[2]}
        return {
            name: lengthened(tensor, sizes[name]) if name in sizes else tensor
            for name, tensor in inputs.items()
        }

    def _recorded(
        self, loss_of: Loss, inputs: dict[str, Tensor], ends: tuple[Tensor, Tensor], bucket: Bucket
    ) -> Recorded:
        clips, patches, tokens = bucket
        buffers = {name: tensor.clone() for name, tensor in inputs.items()}
        alone = Spans((patches,) * clips, (patches,) * clips, (patches, patches))
        cross = replace(alone, keys=(tokens,) * clips, size=(patches, tokens))
        spans = {
            False: replace(alone, ends=(ends[0], ends[0])),
            True: replace(cross, ends=ends),
        }

        def run() -> Tensor:
            self.processor.spans, self.processor.held = spans, True
            try:
                loss = loss_of(buffers)
                loss.backward()
            finally:
                self.processor.held = False
            return loss.detach()

        return Recorded(buffers, ends, self.record(run))


class CudaRecorder:
    """Records on CUDA; all buckets share the memory of what lies between input and gradient."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """What plays ``run`` again and gives its result, in memory of its own."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        before = [gradient.clone() for gradient in gradients]
        random = torch.cuda.get_rng_state()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                run()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            result = run()
        for gradient, old in zip(gradients, before, strict=True):
            gradient.copy_(old)
        torch.cuda.set_rng_state(random)

        def play() -> Tensor:
            graph.replay()
            return result.clone()

        return play
