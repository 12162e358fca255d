"""The audio tokenizer and detokenizer, trained as an autoencoder of latents.

A code stands for five frames; what it can keep of them is little (16 bits), and the error counts
as it stands, since latents are the larger the more of the sound they carry. A cover hears its
source through them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from acestep.config import knob
from acestep.data.files import atomic
from acestep.errors import RunError
from acestep.events import Event
from acestep.mini.train.config import StageConfig
from acestep.mini.train.loop import run
from acestep.mini.train.shapes import build_codes
from acestep.mini.train.shards import HELD_OUT, load_shard, shard_names
from acestep.model.device import choose_device

WINDOW = 5  # frames of a code
FILE = "codes.safetensors"


class CodesConfig(StageConfig):
    """Train the codes that covers hear their source by."""

    batch: int = knob(512, "Codes in a step.", ge=1)
    rate: float = knob(2e-3, "Learning rate.", gt=0)


def train(config: CodesConfig, begun: float) -> Iterator[Event]:
    """Train the stage."""
    torch.set_num_threads(config.threads)
    yield from run(CodesStage(config), config, begun)


class CodesStage:
    """Tokenizer and detokenizer; writes ``codes/`` of the training folder."""

    name = "codes"

    def __init__(self, config: CodesConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        folder = config.resume / "latents"
        names = shard_names(folder)
        if not names:
            raise RunError(f"{folder} has no songs", hint="run --stage latents first")
        self._songs = _stacked(folder, names)
        self._held_out = _stacked(folder, [HELD_OUT])
        tokenizer, detokenizer = (part.to(self.device) for part in build_codes(config.seed))
        self.modules: dict[str, nn.Module] = {"tokenizer": tokenizer, "detokenizer": detokenizer}
        parameters = [*tokenizer.parameters(), *detokenizer.parameters()]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(parameters, lr=config.rate, weight_decay=0.01)
        ]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """Mean squared error of windows through the codes."""
        songs, frames, _ = self._songs.shape
        which = torch.randint(songs, (self.config.batch, 1), generator=rng)
        first = torch.randint(frames - WINDOW + 1, (self.config.batch, 1), generator=rng)
        windows = self._songs[which, first + torch.arange(WINDOW)].float().to(self.device)
        quantized = soft_codes(self.modules["tokenizer"], windows[:, None])
        return F.mse_loss(self.modules["detokenizer"](quantized), windows)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out songs: the share of variance that is lost, and how many codes occur."""
        latents = self._held_out.float().to(self.device)
        latents = latents[:, : latents.shape[1] // WINDOW * WINDOW]
        tokenizer: Any = self.modules["tokenizer"]
        codes, indices = tokenizer.tokenize(latents)
        heard = self.modules["detokenizer"](codes)
        lost = (F.mse_loss(heard, latents) / latents.var()).item()
        return {"lost": lost, "codes": float(indices.unique().numel())}

    def export(self, root: Path) -> None:
        """Write both parts' weights."""
        stored = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        with atomic(root / "codes" / FILE) as temporary:
            save_file(stored, temporary)


def load_codes(root: Path) -> tuple[Any, Any]:
    """Tokenizer and detokenizer that the stage has exported, ready to use.

    Raises ``RunError`` where it has not.
    """
    file = root / "codes" / FILE
    if not file.exists():
        raise RunError(f"{file} is missing", hint="train --stage codes first")
    stored = load_file(file)
    tokenizer, detokenizer = build_codes()
    for name, module in (("tokenizer.", tokenizer), ("detokenizer.", detokenizer)):
        own = {key.removeprefix(name): v for key, v in stored.items() if key.startswith(name)}
        module.load_state_dict(own)
        module.eval().requires_grad_(False)
    return tokenizer, detokenizer


def soft_codes(tokenizer: Any, windows: Tensor) -> Tensor:
    """Codes ``[B, N, D]`` of windows ``[B, N, 5, C]``, through which a gradient passes.

    The same values as the class computes, whose rounding has no gradient.
    """
    states = tokenizer.attention_pooler(tokenizer.audio_acoustic_proj(windows))
    quantizer = tokenizer.quantizer
    inner = quantizer.project_in(states)
    reach = 1 + 1 / (quantizer._levels.to(inner.dtype) - 1)
    inner = (inner / reach).tanh() * reach
    rounded = quantizer._quantize(inner)
    return quantizer.project_out(inner + (rounded - inner).detach())


def _stacked(folder: Path, names: list[str]) -> Tensor:
    """Latents of shards, ``[songs, T, C]`` float16."""
    return torch.stack([song.latents for name in names for song in load_shard(folder, name)])
