"""Text encoder, condition encoder and transformer over a batch of songs of unlike prompts.

The classes know no padding in the attention to the text, and a padded prompt is another prompt to
them: generation pads nothing. Here padding is masked wherever it could be seen, so that each song
of a batch gets what it would get alone, up to the order of float sums. Attention is written out as
matrix products: at these sizes that takes a third of the time of the library's kernels on a CPU.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.transformers.ace_step_transformer import _ace_step_rotary_freqs
from torch import Tensor, nn

from acestep.model.load import TIMBRE_FRAMES
from acestep.model.prompt import Prompt

FAR = -1e9  # what a masked score gets added

Rotation = tuple[Tensor, Tensor]


class Texts(NamedTuple):
    """Prompts of a batch: token ids ``[B, L]``, and which of them are real."""

    caption: Tensor
    caption_real: Tensor
    lyrics: Tensor
    lyrics_real: Tensor


class Told(NamedTuple):
    """What the transformer hears: states ``[B, L, H]``, which are real, context ``[B, T, 2C]``."""

    states: Tensor
    real: Tensor
    context: Tensor


def pad_prompts(prompts: Sequence[Prompt], caption: int = 0, lyrics: int = 0) -> Texts:
    """Prompts behind one another, filled up to at least so many tokens."""
    captions = [prompt.caption_ids for prompt in prompts]
    words = [prompt.lyrics_ids for prompt in prompts]
    return Texts(*_padded(captions, caption), *_padded(words, lyrics))


def _padded(rows: Sequence[tuple[int, ...]], width: int) -> tuple[Tensor, Tensor]:
    width = max(width, *map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    real = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        real[row, : len(tokens)] = True
    return ids, real


@torch.no_grad()
def silent_timbre(condition_encoder: Any) -> Tensor:
    """The timbre token of no reference, ``[1, 1, H]``."""
    silence = condition_encoder.silence_latent[:, :TIMBRE_FRAMES]
    order = torch.zeros(1, dtype=torch.long, device=silence.device)
    return condition_encoder.timbre_encoder(silence, order)[0]


def text_states(encoder: Any, ids: Tensor, blocks: "Blocks | None" = None) -> Tensor:
    """Last hidden states ``[B, L, D]``: the encoder is causal, so padding behind is not seen."""
    block = (blocks or PLAIN).text
    states = encoder.embed_tokens(ids)
    length = ids.shape[1]
    positions = torch.arange(length, device=ids.device)[None]
    cosine, sine = encoder.rotary_emb(states, positions)
    mask = torch.full((length, length), FAR, device=ids.device).triu(1)
    for layer in encoder.layers:
        states = block(layer, states, (cosine[0], sine[0]), mask)
    return encoder.norm(states)


def condition_states(
    text_encoder: Any, encoder: Any, timbre: Tensor, texts: Texts, blocks: "Blocks | None" = None
) -> tuple[Tensor, Tensor]:
    """The sequence that cross-attention reads, ``[B, L, H]``, and which of it is real ``[B, L]``.

    Lyrics, timbre, caption, each with its padding: the order does not matter where no position is
    told.
    """
    batch = len(texts.caption)
    caption = encoder.text_projector(text_states(text_encoder, texts.caption, blocks))
    words = text_encoder.embed_tokens(texts.lyrics)
    lyrics = _lyric_states(encoder.lyric_encoder, words, texts, blocks or PLAIN)
    timbre = timbre.expand(batch, -1, -1).to(caption.dtype)
    one = torch.ones(batch, 1, dtype=torch.bool, device=timbre.device)
    real = torch.cat([texts.lyrics_real, one, texts.caption_real], dim=1)
    return torch.cat([lyrics.to(caption.dtype), timbre, caption], dim=1), real


def _lyric_states(encoder: Any, embedded: Tensor, texts: Texts, blocks: "Blocks") -> Tensor:
    states = encoder.embed_tokens(embedded)
    length = states.shape[1]
    rotation = _rotation(encoder, length, states.device)
    mask = _window(length, encoder.sliding_window, states.device)
    mask = mask + torch.where(texts.lyrics_real, 0.0, FAR)[:, None, None, :]
    for layer in encoder.layers:
        states = blocks.lyrics(layer, states, rotation, mask)
    return encoder.norm(states)


def velocity(
    model: Any,
    noisy: Tensor,
    time: Tensor,
    told: Told,
    blocks: "Blocks | None" = None,
    between: list[Tensor] | None = None,
) -> Tensor:
    """The transformer's velocity ``[B, T, C]``; T is even, the two times are the same.

    What each block leaves, ``[B, T / 2, H]``, is added to ``between``.
    """
    block = (blocks or PLAIN).transformer
    embedded, shifts = model.time_embed(time)
    batch, frames, channels = noisy.shape
    patches = torch.cat([told.context, noisy], dim=-1).reshape(batch, frames // 2, -1)
    inlet = model.proj_in_conv
    hidden = F.linear(patches, inlet.weight.transpose(1, 2).flatten(1), inlet.bias).float()
    states = model.condition_embedder(told.states)
    heard = torch.where(told.real, 0.0, FAR)[:, None, None, :]
    rotation = _rotation(model, frames // 2, noisy.device)
    near = None
    if frames // 2 > model.config.sliding_window:
        near = _window(frames // 2, model.config.sliding_window, noisy.device)
    for layer, kind in zip(model.layers, model.layer_types, strict=True):
        mask = near if kind == "sliding_attention" else None
        hidden = block(layer, hidden, shifts, (states, heard), (rotation, mask))
        if between is not None:
            between.append(hidden)
    shift, scale = (model.scale_shift_table + embedded.unsqueeze(1)).chunk(2, dim=1)
    hidden = model.norm_out(hidden) * (1 + scale) + shift
    outlet = model.proj_out_conv
    weight = outlet.weight.permute(2, 1, 0).reshape(2 * channels, -1)
    return F.linear(hidden, weight, outlet.bias.repeat(2)).reshape(batch, frames, channels)


def transformer_block(
    layer: Any,
    hidden: Tensor,
    shifts: Tensor,
    text: tuple[Tensor, Tensor],
    place: tuple[Rotation, Tensor | None],
) -> Tensor:
    """One block of the transformer; ``text`` is what is heard of it and the mask on it."""
    table = (layer.scale_shift_table + shifts).chunk(6, dim=1)
    inner = layer.self_attn_norm(hidden) * (1 + table[1]) + table[0]
    hidden = hidden + _attention(layer.self_attn, inner, inner, *place) * table[2]
    inner = layer.cross_attn_norm(hidden)
    hidden = hidden + _attention(layer.cross_attn, inner, text[0], None, text[1])
    inner = layer.mlp_norm(hidden) * (1 + table[4]) + table[3]
    return hidden + layer.mlp(inner) * table[5]


def lyrics_block(layer: Any, states: Tensor, rotation: Rotation, mask: Tensor) -> Tensor:
    """One block of the lyric encoder."""
    inner = layer.input_layernorm(states)
    states = states + _attention(layer.self_attn, inner, inner, rotation, mask)
    return states + layer.mlp(layer.post_attention_layernorm(states))


def text_block(layer: Any, states: Tensor, rotation: Rotation, mask: Tensor) -> Tensor:
    """One block of the text encoder."""
    attention = layer.self_attn
    inner = layer.input_layernorm(states)
    query = _heads(attention.q_proj(inner), attention.head_dim, attention.q_norm)
    key = _heads(attention.k_proj(inner), attention.head_dim, attention.k_norm)
    value = _heads(attention.v_proj(inner), attention.head_dim)
    mixed = attend(_turn(query, rotation), _turn(key, rotation), value, mask)
    states = states + attention.o_proj(mixed)
    return states + layer.mlp(layer.post_attention_layernorm(states))


class Blocks(NamedTuple):
    """What computes a block of each part: the functions as they are, or compiled."""

    text: Any
    lyrics: Any
    transformer: Any


PLAIN = Blocks(text_block, lyrics_block, transformer_block)


def compiled_blocks() -> Blocks:
    """Blocks that are compiled at first use, once for each shape and not for each layer.

    Three lengths of crops, with and without a mask, with and without a gradient.
    """
    torch._dynamo.config.recompile_limit = 16
    return Blocks(*(torch.compile(block, dynamic=False) for block in PLAIN))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention with fewer keys than queries' heads: ``[B, H, T, D]`` on ``[B, G, L, D]``.

    The queries that share a key's head are put one behind the other. ``mask`` is added to the
    scores, ``[T, L]`` or ``[B, 1, 1 or T, L]``. Returns ``[B, T, H · D]``.
    """
    batch, heads, length, size = query.shape
    groups = key.shape[1]
    folded = query.reshape(batch * groups, heads // groups * length, size).to(value.dtype)
    keys = key.reshape(batch * groups, -1, size).to(value.dtype)
    scores = torch.bmm(folded * size**-0.5, keys.transpose(1, 2)).float()
    if mask is not None:
        wide = scores.view(batch, groups * (heads // groups), length, -1)
        scores = (wide + mask).view_as(scores)
    shares = scores.softmax(dim=-1).to(value.dtype)
    mixed = torch.bmm(shares, value.reshape(batch * groups, -1, size))
    return mixed.view(batch, heads, length, size).transpose(1, 2).flatten(2)


def _attention(
    part: Any, inner: Tensor, source: Tensor, rotation: Rotation | None, mask: Tensor | None
) -> Tensor:
    query = _heads(part.to_q(inner), part.head_dim, part.norm_q)
    key = _heads(part.to_k(source), part.head_dim, part.norm_k)
    if rotation is not None:
        query, key = _turn(query, rotation), _turn(key, rotation)
    value = _heads(part.to_v(source), part.head_dim)
    return part.to_out[0](attend(query, key, value, mask))


def _heads(states: Tensor, size: int, norm: nn.Module | None = None) -> Tensor:
    """``[B, T, H · D]`` as ``[B, H, T, D]``."""
    parted = states.unflatten(-1, (-1, size))
    return (parted if norm is None else norm(parted)).transpose(1, 2)


def _turn(states: Tensor, rotation: Rotation) -> Tensor:
    cosine, sine = rotation
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat([-second, first], dim=-1) * sine


def _rotation(part: Any, length: int, device: torch.device) -> Rotation:
    cosine, sine = _ace_step_rotary_freqs(
        length, part.head_dim, part.rope_theta, device, torch.float32
    )
    return cosine, sine


def _window(length: int, reach: int, device: torch.device) -> Tensor:
    """A mask ``[T, T]`` that lets each see those at most ``reach`` away."""
    place = torch.arange(length, device=device)
    return torch.where((place[:, None] - place[None]).abs() <= reach, 0.0, FAR)
