"""From a prompt to the tensors the transformer is conditioned on; one song at a time, unpadded.

Training and generation both come here, so what a transformer learns from is bit for bit what it
is given later. Nothing is padded, since neither the text encoder nor the transformer masks
padding: a padded song would be another song.
"""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from acestep.model.load import TIMBRE_FRAMES
from acestep.model.prompt import Prompt


@torch.no_grad()
def text_states(text_encoder: Any, prompt: Prompt, device: torch.device) -> tuple[Tensor, Tensor]:
    """Caption and lyrics as the condition encoder takes them, in the text encoder's dtype.

    The caption's are last hidden states ``[1, Lt, D]``, the lyrics' are looked up in the embedding
    table ``[1, Ll, D]`` (golden data: ``text.safetensors``).
    """
    caption = torch.tensor([prompt.caption_ids], device=device)
    lyrics = torch.tensor([prompt.lyrics_ids], device=device)
    states = text_encoder(input_ids=caption, use_cache=False).last_hidden_state
    return states, text_encoder.get_input_embeddings()(lyrics)


@torch.no_grad()
def encode_condition(
    condition_encoder: Any,
    caption_states: Tensor,
    lyric_states: Tensor,
    reference: Tensor | None = None,
    *,
    is_xl: bool = False,
) -> Tensor:
    """The sequence ``[1, L, H]`` that cross-attention reads: lyrics, timbre, caption.

    ``caption_states`` ``[1, Lt, D]`` and ``lyric_states`` ``[1, Ll, D]`` come from
    :func:`text_states`. ``reference`` holds latents of reference clips ``[N, frames, C]``, each of
    which becomes one timbre token; without one it is the first 30 s of silence, as in the original
    (golden case ``condition.b``; zeros are a sound that the encoder has never heard).

    XL's timbre encoder puts its own token before each clip and reads that token's output, which
    diffusers leaves out; ``is_xl`` does it here (see :attr:`.BaseModel.is_xl`).
    """
    timbre = condition_encoder.timbre_encoder
    if reference is None:
        reference = condition_encoder.silence_latent[:, :TIMBRE_FRAMES]
    reference = reference.to(device=caption_states.device, dtype=caption_states.dtype)
    with ExitStack() as hooks:
        if is_xl:
            hook = timbre.embed_tokens.register_forward_hook(
                lambda _module, _inputs, frames: _prepended(timbre.special_token, frames)
            )
            hooks.callback(hook.remove)
        states, _ = condition_encoder(
            text_hidden_states=caption_states,
            text_attention_mask=_all_valid(caption_states),
            lyric_hidden_states=lyric_states,
            lyric_attention_mask=_all_valid(lyric_states),
            refer_audio_acoustic_hidden_states_packed=reference,
            refer_audio_order_mask=torch.zeros(
                len(reference), dtype=torch.long, device=reference.device
            ),
        )
    return states


def silence_frames(silence: Tensor, frames: int) -> Tensor:
    """The first ``frames`` of ``silence`` ``[1, N, C]``, from its beginning again where it ends."""
    repeats = -(-frames // silence.shape[1])
    return silence.repeat(1, repeats, 1)[:, :frames] if repeats > 1 else silence[:, :frames]


def silence_context(silence: Tensor, frames: int, chunk_mask: float = 1.0) -> Tensor:
    """The context of making music from nothing: silence, then the chunk mask, ``[1, T, 2C]``.

    ``silence`` is ``[1, 15000, C]``; the mask says of every frame that it is to be made (1; newer
    versions of the original send 2). Same dtype and device as ``silence``.
    """
    source = silence_frames(silence, frames)
    return torch.cat([source, torch.full_like(source, chunk_mask)], dim=-1)


def _all_valid(states: Tensor) -> Tensor:
    return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)


def _prepended(token: Tensor, frames: Tensor) -> Tensor:
    return torch.cat([token.to(frames.dtype).expand(len(frames), -1, -1), frames], dim=1)
