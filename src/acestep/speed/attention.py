"""Attention that knows the model: true windows, grouped queries, clips of unequal lengths.

The transformer's own attention builds a dense mask for its windows, which most fused kernels
refuse, and knows no padding. The processor here stands in its place through diffusers' public seam
(``set_attn_processor``). Layouts and arithmetic are the transformer's: ``[B, N, H, D]``, windows of
±128 patches in every other layer, rotary positions on self-attention alone.

Three kernels give the same numbers up to rounding:

- ``varlen``: ``torch.nn.attention.varlen`` (CUDA, compute capability 8.0 on, half precision);
- ``flex``: compiled flex attention under block masks (other CUDA cards with Triton);
- ``local``: scaled dot-product attention, windows in blocks that see their neighbours (anywhere);
  in compiled passes its twin ``blocks``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor, nn

from acestep.speed.blocks import blocks
from acestep.speed.kernels import Spans, flex, has_varlen, local, varlen, with_ends, with_masks

Kernel = Literal["varlen", "flex", "local", "blocks"]
KERNELS = {"varlen": varlen, "flex": flex, "local": local, "blocks": blocks}


# What each cross-attention made of a condition: keys and values
Told = dict[nn.Module, tuple[Tensor, Tensor]]


Layout = Callable[[Spans, torch.device], Spans]


@dataclass(frozen=True)
class Lengths:
    """The true lengths in a padded batch: patches of each clip, tokens of each condition."""

    patches: tuple[int, ...]
    conditions: tuple[int, ...]


class WindowAttention:
    """The attention processor of all layers of one transformer."""

    # A marker alone: with it the transformer builds no dense mask; no such kernel is called
    _attention_backend = "flash"
    _parallel_config = None

    def __init__(self, kernel: Kernel, window: int) -> None:
        self.kernel = kernel
        self.window = window
        self.lengths: Lengths | None = None
        self.layout: Layout | None = None  # for "blocks" (:mod:`acestep.speed.compiled`)
        self.held = False  # the spans stay as they are (:mod:`acestep.speed.graphs`)
        self.told: Told | None = None
        self.spans: dict[bool, Spans] = {}  # by whether the attention is to the condition

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Tensor:
        """What ``AceStepAttention.forward`` returns: ``[B, N, width]``."""
        cross = attn.is_cross_attention and encoder_hidden_states is not None
        source = encoder_hidden_states if cross else hidden_states
        query = attn.norm_q(attn.to_q(hidden_states).unflatten(-1, (attn.heads, attn.head_dim)))
        if cross and self.told is not None:
            if attn not in self.told:
                self.told[attn] = _key_and_value(attn, source)
            key, value = self.told[attn]
        else:
            key, value = _key_and_value(attn, source)
        if not cross and image_rotary_emb is not None:
            query, key = _turned(query, image_rotary_emb), _turned(key, image_rotary_emb)
        heard = KERNELS[self.kernel](
            query.to(value.dtype),
            key.to(value.dtype),
            value,
            self.spans[cross],
            window=None if cross else attn.sliding_window,
            scale=attn.scaling,
        )
        return attn.to_out[1](attn.to_out[0](heard.flatten(2, 3).to(query.dtype)))

    def prepare(self, patches: int, conditions: int, batch: int, device: torch.device) -> None:
        """Lay out the spans of one pass; they stay until the next, for what is recomputed."""
        if self.held:
            return
        clips, tokens = (patches,) * batch, (conditions,) * batch
        if self.lengths is not None:
            clips, tokens = self.lengths.patches, self.lengths.conditions
            assert len(clips) == batch and max(clips) <= patches and max(tokens) <= conditions
        self.spans = {
            False: self._laid_out(Spans(clips, clips, (patches, patches)), device),
            True: self._laid_out(Spans(clips, tokens, (patches, conditions)), device),
        }

    def _laid_out(self, spans: Spans, device: torch.device) -> Spans:
        if self.layout is not None:
            return self.layout(spans, device)
        match self.kernel:
            case "varlen":
                return with_ends(spans, device)
            case "flex":
                return with_masks(spans, device, self.window)
            case _:
                return spans


def install_attention(transformer: Any) -> None:
    """Put the processor on every attention layer, with the kernel that suits its device."""
    weight = transformer.layers[0].self_attn.norm_q.weight
    kernel, _ = choose_kernel(weight.device, weight.dtype)
    transformer.set_attn_processor(WindowAttention(kernel, transformer.config.sliding_window))
    transformer.register_forward_pre_hook(_prepare, with_kwargs=True)


def choose_kernel(device: torch.device, dtype: torch.dtype) -> tuple[Kernel, str]:
    """The best kernel for a device and a precision, and the choice in words."""
    if device.type != "cuda":
        return "local", "true windows, in blocks"
    if dtype == torch.float32:
        return "local", "true windows, in blocks: float32 has no variable-length kernel"
    if torch.cuda.get_device_capability(device) >= (8, 0) and has_varlen():
        return "varlen", "true windows, torch's variable-length kernel"
    slower = "slower than the variable-length kernel, which needs compute capability 8.0"
    if _has_triton():
        return "flex", f"true windows, flex attention ({slower})"
    return "local", f"true windows, in blocks ({slower}; flex attention needs Triton)"


@contextmanager
def clip_lengths(
    transformer: nn.Module, patches: Sequence[int], conditions: Sequence[int]
) -> Iterator[None]:
    """Within this, passes of a padded batch attend to each clip's own patches and condition alone.

    ``patches`` counts what a clip has after patching (an odd frame makes one of its own), padding
    lies behind. What is computed for padding is finite and means nothing.
    """
    processor = processor_of(transformer)
    before = processor.lengths
    processor.lengths = Lengths(tuple(patches), tuple(conditions))
    try:
        yield
    finally:
        processor.lengths = before


@contextmanager
def same_condition(transformer: nn.Module, told: Told) -> Iterator[None]:
    """Within this, keys and values of the condition come from ``told``, or are put there.

    They depend on the condition and the weights alone: the steps of a sampler, which have both in
    common, share one ``told`` (empty at first) and get the same numbers to the bit. Not for passes
    with gradients.
    """
    processor = processor_of(transformer)
    before, processor.told = processor.told, told
    try:
        yield
    finally:
        processor.told = before


def processor_of(transformer: nn.Module) -> WindowAttention:
    """The processor that :func:`install_attention` put on."""
    layers: Any = transformer.layers
    processor = layers[0].self_attn.processor
    assert isinstance(processor, WindowAttention), "install_attention comes first"
    return processor


def _turned(part: Tensor, positions: Any) -> Tensor:
    turned = apply_rotary_emb(
        part, positions, use_real=True, use_real_unbind_dim=-2, sequence_dim=1
    )
    assert isinstance(turned, Tensor)
    return turned


def _key_and_value(attn: Any, source: Any) -> tuple[Tensor, Tensor]:
    key = attn.norm_k(attn.to_k(source).unflatten(-1, (attn.kv_heads, attn.head_dim)))
    return key, attn.to_v(source).unflatten(-1, (attn.kv_heads, attn.head_dim))


def _prepare(transformer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    latents, condition = kwargs["hidden_states"], kwargs["encoder_hidden_states"]
    patches = -(-latents.shape[1] // transformer.patch_size)
    processor_of(transformer).prepare(patches, condition.shape[1], latents.shape[0], latents.device)


def _has_triton() -> bool:
    from torch.utils._triton import has_triton

    return has_triton()
