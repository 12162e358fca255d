"""Audio as the codes that the base model's audio tokenizer gives it: five a second."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.errors import LabelError
from acestep.model.parts import Parts
from acestep.model.vae import encode_audio

_SILENCE = 1e-6  # the original program's: a peak below it is silence


def audio_codes(parts: Parts, audio: np.ndarray, seed: int) -> list[int]:
    """Codes from 0 to 63999 of ``audio`` ``[2, N]`` at 48 kHz, clipped to ±1; the same by seed.

    Raises :class:`LabelError` for silence and :class:`~acestep.errors.AudioError` for less than a
    latent frame (0.04 s).
    """
    if not np.isfinite(audio).all():
        raise LabelError("the audio holds values that are no numbers", hint="Export it again.")
    if not audio.size or float(np.abs(audio).max()) < _SILENCE:
        raise LabelError("the audio is silent: there is nothing to describe")
    latents = encode_audio(parts.vae(), np.clip(audio, -1, 1).astype(np.float32), seed=seed)
    return latent_codes(parts, latents)


@torch.inference_mode()
def latent_codes(parts: Parts, latents: Tensor) -> list[int]:
    """Codes of latents ``[1, T, C]``, one for five frames; golden data: ``tokenizer``."""
    tokenizer: Any
    tokenizer, _ = parts.audio_tokenizer()
    _, codes = tokenizer.tokenize(latents.to(parts.device, parts.dtype), parts.silence)
    found: list[int] = codes.flatten().tolist()
    return found
