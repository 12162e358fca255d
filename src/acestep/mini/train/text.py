"""The text encoder's first lessons: to tell from a prompt what the music is to be like.

Left to the diffusion alone it would take thousands of steps to learn that ``92`` is slower than
``128``. Here heads on the mean of its last states say style, tempo, key, mode, metre and players;
the heads are thrown away, the encoder goes on learning with the transformer.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from acestep.config import knob
from acestep.data.files import atomic
from acestep.data.labels import TONICS, PromptLabels
from acestep.errors import RunError
from acestep.events import Event
from acestep.mini.corpus import STYLES, VALIDATION, Song, compose
from acestep.mini.styles import VOICES
from acestep.mini.train.config import StageConfig
from acestep.mini.train.loop import run
from acestep.mini.train.network import pad_prompts, text_states
from acestep.mini.train.shapes import TEXT, build_text_encoder, split_parameters
from acestep.mini.train.text_prompts import SPELLINGS, Tokens, song_labels, song_prompt
from acestep.mini.train.text_tokens import (
    DURATIONS,
    open_tokenizer,
    some_instruction,
    train_tokenizer,
)
from acestep.model.device import choose_device

SLOWEST, BINS = 60, 31  # beats per minute; bins of 4
NOUNS = sorted(
    {voice.noun for voice in VOICES.values()}
    | {style.drums or "no drums" for style in STYLES.values()}
    | {"vocals"}
)
METRES = ("3", "4", "6")
SIZES = {"style": len(STYLES), "tempo": BINS, "speed": 1, "tonic": 12, "mode": 2, "metre": 3,
         "players": len(NOUNS)}  # fmt: skip
UNSAID = -100  # a class that the prompt does not tell


class TextConfig(StageConfig):
    """Train the tokenizer, and the text encoder to tell what a prompt asks for."""

    batch: int = knob(48, "Prompts in a step.", ge=1)
    songs: int = knob(4000, "Songs that prompts are made of.", ge=1)
    rate: float = knob(1e-3, "Learning rate; matrices take three times as much.", gt=0)


def train(config: TextConfig, begun: float) -> Iterator[Event]:
    """Train the stage."""
    torch.set_num_threads(config.threads)
    yield from run(TextStage(config), config, begun)


class TextStage:
    """Tokenizer and text encoder; writes ``text/`` of the training folder."""

    name = "text"

    def __init__(self, config: TextConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        folder = config.resume / "text"
        if not (folder / "tokenizer.json").exists():
            train_tokenizer(folder)
        self.tokens = Tokens(open_tokenizer(folder))
        encoder = build_text_encoder(config.seed)
        heads = nn.ModuleDict(
            {name: nn.Linear(TEXT["hidden_size"], size) for name, size in SIZES.items()}
        )
        self.modules: dict[str, nn.Module] = {
            "encoder": encoder.to(self.device),
            "heads": heads.to(self.device),
        }
        matrices, rest = split_parameters({"encoder": encoder})
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=3 * config.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW([*rest, *heads.parameters()], lr=config.rate, weight_decay=0.0),
        ]
        self._songs = [some_song(seed) for seed in range(config.songs)]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The heads' losses on prompts in fresh wordings."""
        draw = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        picked = draw.integers(len(self._songs), size=self.config.batch)
        losses = self._losses([self._songs[index] for index in picked], draw)[0]
        return torch.stack(list(losses.values())).sum()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """On songs never seen: how often each head is right (tempo: mean error as a share)."""
        songs = [some_song(VALIDATION + number) for number in range(256)]
        return self._losses(songs, np.random.default_rng(7))[1]

    def export(self, root: Path) -> None:
        """Write the encoder's weights beside the tokenizer."""
        encoder = self.modules["encoder"]
        state = encoder.state_dict()
        stored = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        with atomic(root / "text" / "encoder.safetensors") as temporary:
            save_file(stored, temporary)

    def _losses(
        self, songs: list[Song], rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        told = [_told(song, rng) for song in songs]
        prompts = [
            song_prompt(labels, self.tokens, some_instruction(rng)) for labels in told
        ]
        texts = pad_prompts(prompts)
        ids, real = texts.caption.to(self.device), texts.caption_real.to(self.device)
        states = text_states(self.modules["encoder"], ids)
        mean = (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        said = {name: head(mean) for name, head in self.modules["heads"].named_children()}
        wanted = _wanted(songs, told, self.device)
        losses, right = {}, {}
        for name, target in wanted.items():
            if name == "players":
                losses[name] = F.binary_cross_entropy_with_logits(said[name], target) * 4
                right[name] = ((said[name] > 0) == (target > 0)).float().mean().item()
            elif name == "speed":
                error = said[name][:, 0] - target
                losses[name] = F.smooth_l1_loss(error, torch.zeros_like(error)) * 4
                known = wanted["tempo"] != UNSAID
                right[name] = (error[known].abs() / 3).expm1().mean().item()
            else:
                losses[name] = F.cross_entropy(said[name], target, ignore_index=UNSAID)
                known = target != UNSAID
                right[name] = (said[name].argmax(1) == target)[known].float().mean().item()
        return losses, right


def load_text_encoder(root: Path) -> Any:
    """The text encoder that the stage has exported. Raises ``RunError`` where it has not."""
    file = root / "text" / "encoder.safetensors"
    if not file.exists():
        raise RunError(f"{file} is missing", hint="train --stage text first")
    encoder = build_text_encoder()
    encoder.load_state_dict(load_file(file))
    return encoder


def some_song(seed: int) -> Song:
    """A short song for its labels' sake, the styles in turn."""
    styles = list(STYLES)
    return replace(compose(seed, 4.0, style=styles[seed % len(styles)]), notes=())


def _told(song: Song, rng: np.random.Generator) -> PromptLabels:
    return replace(song_labels(song, rng), seconds=float(rng.choice(DURATIONS)))


def _wanted(
    songs: list[Song], told: list[PromptLabels], device: torch.device
) -> dict[str, Tensor]:
    """What the heads have to say; what a prompt leaves out is not asked."""
    rows: list[dict[str, Any]] = []
    for song, labels in zip(songs, told, strict=True):
        note, mode = song.keyscale.split()
        note = note if note in TONICS else SPELLINGS[note]
        rows.append({
            "style": list(STYLES).index(song.style),
            "tempo": (song.bpm - SLOWEST) // 4 if labels.bpm else UNSAID,
            "speed": 3 * float(np.log(song.bpm / 100)),
            "tonic": TONICS.index(note) if labels.keyscale else UNSAID,
            "mode": ("major", "minor").index(mode) if labels.keyscale else UNSAID,
            "metre": METRES.index(song.timesignature) if labels.timesignature else UNSAID,
            "players": [float(noun in song.tags) for noun in NOUNS],
        })  # fmt: skip
    return {name: torch.tensor([row[name] for row in rows], device=device) for name in SIZES}
