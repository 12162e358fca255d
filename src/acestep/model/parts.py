"""The parts of a base model, each loaded when it is first asked for."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from acestep.model.base import (
    BaseModel,
    load_audio_tokenizer,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from acestep.model.device import free_memory

PART_NAMES = ("text_encoder", "condition_encoder", "audio_tokenizer", "transformer", "vae")


class Parts:
    """One base model on one device, a part at a time if need be.

    With ``offload`` asking for a part puts the others away: into the host's memory where the
    device has its own, out of memory altogether on a CPU. The numbers do not change by it. The VAE
    encodes in float32, everything else is in ``dtype``. ``rate`` is the audio's (Hz), ``hop`` the
    samples a latent frame stands for, ``channels`` the latents' width, ``patch`` the latent frames
    that the transformer takes as one.
    """

    def __init__(
        self, model: BaseModel, device: torch.device, dtype: torch.dtype, *, offload: bool = False
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.offload = offload
        self._loaded: dict[str, tuple[Any, ...]] = {}
        self._silence: Tensor | None = None
        vae = model.config("vae")
        self.rate: int = vae["sampling_rate"]
        self.hop: int = math.prod(vae["downsampling_ratios"])
        self.channels: int = vae["decoder_input_channels"]
        self.patch: int = model.config("transformer")["patch_size"]

    @property
    def silence(self) -> Tensor:
        """Latents of silence ``[1, 15000, C]`` in the model's precision, on the CPU."""
        if self._silence is None:
            self._silence = load_silence(self.model).to(self.dtype)
        return self._silence

    def text_encoder(self) -> tuple[Any, nn.Module]:
        """The tokenizer and the text encoder."""
        tokenizer, encoder = self._take("text_encoder")
        return tokenizer, encoder

    def condition_encoder(self) -> nn.Module:
        return self._take("condition_encoder")[0]

    def audio_tokenizer(self) -> tuple[nn.Module, nn.Module]:
        """Latents to 5 Hz codes, and back."""
        tokenizer, detokenizer = self._take("audio_tokenizer")
        return tokenizer, detokenizer

    def transformer(self) -> nn.Module:
        return self._take("transformer")[0]

    def vae(self) -> nn.Module:
        return self._take("vae")[0]

    def loaded(self) -> list[str]:
        """The parts in memory (on whichever side)."""
        return [name for name in PART_NAMES if name in self._loaded]

    def free(self) -> None:
        """Drop every part; the next one asked for is loaded again."""
        self._loaded.clear()
        free_memory(self.device)

    def load(self, part: str) -> tuple[Any, ...]:
        """Read a part from disk onto the device."""
        where = (self.model, self.device, self.dtype)
        match part:
            case "text_encoder":
                return load_text_encoder(*where)
            case "condition_encoder":
                return (load_condition_encoder(*where),)
            case "audio_tokenizer":
                return load_audio_tokenizer(*where)
            case "transformer":
                return (load_transformer(*where),)
            case "vae":
                return (self._quick_decoder(load_vae(self.model, self.device)),)
        raise ValueError(f"no such part: {part}")

    def _quick_decoder(self, vae: nn.Module) -> nn.Module:
        """On a GPU a model in half precision decodes in float16: the difference lies 60 dB below
        the music (bfloat16: 42 dB), and it takes half of the memory and of its traffic."""
        if self.device.type == "cuda" and self.dtype != torch.float32:
            vae.get_submodule("decoder").to(torch.float16)
        return vae

    def _take(self, part: str) -> tuple[Any, ...]:
        if self.offload:
            self._put_away(except_for=part)
        if part not in self._loaded:
            self._loaded[part] = self.load(part)
        elif self.offload:
            _each_module(self._loaded[part], lambda module: module.to(self.device))
        return self._loaded[part]

    def _put_away(self, except_for: str) -> None:
        others = [name for name in self._loaded if name != except_for]
        for name in others:
            if self.device.type == "cpu":
                del self._loaded[name]
            else:
                _each_module(self._loaded[name], lambda module: module.to("cpu"))
        if others:
            free_memory(self.device)


def _each_module(part: tuple[Any, ...], act: Callable[[nn.Module], Any]) -> None:
    for item in part:
        if isinstance(item, nn.Module):
            act(item)
