"""The audio tokenizer and detokenizer, trained as an autoencoder of latents.

A code stands for five frames and has 16 bits. Left to the error of the latents alone it would say
how loud it is and little else, since latents change with the phase of every tone; so heads, thrown
away afterwards, have to read melody, bass, chord and drums from what the detokenizer makes of it.
That is all a cover hears of its source.
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
from acestep.mini.train.scores import SIZES, Score, lesson, score_again
from acestep.mini.train.shapes import CHANNELS, build_codes
from acestep.mini.train.shards import HELD_OUT, load_shard, shard_names
from acestep.model.device import choose_device

WINDOW = 5  # frames of a code
FILE = "codes.safetensors"


class CodesConfig(StageConfig):
    """Train the codes that covers hear their source by."""

    batch: int = knob(256, "Codes in a step.", ge=1)
    rate: float = knob(2e-3, "Learning rate.", gt=0)
    score: float = knob(0.6, "Weight of reading the score from the hints.", ge=0)


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
        self._songs, self._scores = _scored(folder, names)
        self._held_out = _scored(folder, [HELD_OUT])
        tokenizer, detokenizer = build_codes(config.seed)
        heads = {name: nn.Linear(WINDOW * CHANNELS, size) for name, size in SIZES.items()}
        self.modules: dict[str, nn.Module] = {
            "tokenizer": tokenizer.to(self.device),
            "detokenizer": detokenizer.to(self.device),
            "heads": nn.ModuleDict(heads).to(self.device),
        }
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(parameters, lr=config.rate, weight_decay=0.01)
        ]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The error of windows through the codes, and of what heads read from the result."""
        songs, frames, _ = self._songs.shape
        which = torch.randint(songs, (self.config.batch, 1), generator=rng)
        first = torch.randint(frames - WINDOW + 1, (self.config.batch, 1), generator=rng)
        place = which, first + torch.arange(WINDOW)
        windows = self._songs[place].float().to(self.device)
        scores = Score(*(part[place].to(self.device) for part in self._scores))
        quantized = soft_codes(self.modules["tokenizer"], windows[:, None])
        hints = self.modules["detokenizer"](quantized)
        heads: Any = self.modules["heads"]
        return F.mse_loss(hints, windows) + self.config.score * lesson(heads, hints, scores)[0]

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out songs: share of variance lost, codes in use, how often the score is read."""
        latents, scores = self._held_out
        whole = latents.shape[1] // WINDOW * WINDOW
        latents = latents[:, :whole].float().to(self.device)
        modules: dict[str, Any] = self.modules
        tokenizer, heads = modules["tokenizer"], modules["heads"]
        codes, indices = tokenizer.tokenize(latents)
        heard = self.modules["detokenizer"](codes)
        lost = (F.mse_loss(heard, latents) / latents.var()).item()
        parted = Score(
            *(part[:, :whole].unflatten(1, (-1, WINDOW)).flatten(0, 1) for part in scores)
        )
        parted = Score(*(part.to(self.device) for part in parted))
        right = lesson(heads, heard.unflatten(1, (-1, WINDOW)).flatten(0, 1), parted)[1]
        return {"lost": lost, "codes": float(indices.unique().numel()), **right}

    def export(self, root: Path) -> None:
        """Write both parts' weights."""
        stored = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name in ("tokenizer", "detokenizer")
            for key, value in self.modules[name].state_dict().items()
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


def _scored(folder: Path, names: list[str]) -> tuple[Tensor, Score]:
    """Latents of shards, ``[songs, T, C]`` float16, and their scores."""
    songs = [encoded for name in names for encoded in load_shard(folder, name)]
    latents = torch.stack([encoded.latents for encoded in songs])
    frames = latents.shape[1]
    scores = [score_again(encoded.song, frames) for encoded in songs]
    return latents, Score(*(torch.stack(parts) for parts in zip(*scores, strict=True)))
