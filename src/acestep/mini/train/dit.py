"""Transformer, condition encoder and text encoder together, by flow matching.

The velocity, its target and the loss are those of :mod:`acestep.model.flow`; times lean to the
noisy end, where rhythm and harmony are decided, and include the eight that a turbo model samples
at. A turbo model generates without guidance, so it is taught what guidance would make
(:mod:`acestep.training.guidance`). Heads, thrown away afterwards, have to read beat and bar from
what the second block leaves, and drum strokes from the fourth. Every save writes the base model to
``pipeline/`` of the training folder.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep.config import knob
from acestep.errors import RunError
from acestep.events import Event
from acestep.mini.styles import DRUMS
from acestep.mini.train.assemble import write_pipeline
from acestep.mini.train.codes import FILE as CODES_FILE
from acestep.mini.train.codes import load_codes
from acestep.mini.train.config import StageConfig
from acestep.mini.train.dit_data import Library, Sampler, held_out_batch
from acestep.mini.train.latents import frozen_vae, silence_latents
from acestep.mini.train.loop import run
from acestep.mini.train.network import (
    PLAIN,
    Blocks,
    Texts,
    Told,
    compiled_blocks,
    condition_states,
    pad_prompts,
    silent_timbre,
    velocity,
)
from acestep.mini.train.shapes import (
    CHANNELS,
    TRANSFORMER,
    build_condition_encoder,
    build_transformer,
    split_parameters,
)
from acestep.mini.train.shards import HELD_OUT, load_shard
from acestep.mini.train.text import load_text_encoder
from acestep.mini.train.text_prompts import Tokens
from acestep.mini.train.text_tokens import open_tokenizer
from acestep.model import flow
from acestep.model.device import choose_device
from acestep.training.guidance import less_guidance

PROBES = (0.1, 0.3, 0.5, 0.7, 0.9)  # times of the held-out loss
SHIFT = 3.0
CAPTION_TOKENS = 80
CLOCK = 0.1  # amplitude of the position code, if there is one
NOISY = 0.3  # share of samples at the noisy end
REFRESH = 100  # steps between looks for new songs


class Batch(NamedTuple):
    """Prompts, target and noise ``[B, T, C]``, times and null flags ``[B]``, context; rhythm
    ``[B, T, 4]`` and ``[B, T, D]``, and ``[B]`` whether it is to be foreseen.
    """

    texts: Texts
    data: Tensor
    noise: Tensor
    time: Tensor
    null: Tensor
    context: Tensor
    beat: Tensor
    struck: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        texts = Texts(*(part.to(device) for part in self.texts))
        return Batch(texts, *(part.to(device) for part in self[1:]))


class DitConfig(StageConfig):
    """Train the diffusion transformer with the encoders that condition it."""

    average: float = knob(0.998, "Decay of the weights' running mean, which is exported.", lt=1)
    clip: float = knob(1.0, "Longest gradient (its norm).", gt=0)
    batch: int = knob(32, "Crops of 128 frames in a step; fewer of longer ones.", ge=1)
    long: float = knob(0.25, "Share of steps with crops of 250 frames.", ge=0, le=1)
    longest: float = knob(0.05, "Share of steps with crops of 400 frames.", ge=0, le=1)
    songs: int | None = knob(None, "Use no more than the first so many songs.", ge=1)
    rate: float = knob(1e-3, "Learning rate; matrices take three times as much.", gt=0)
    guidance: float = knob(1.6, "Scale of the guidance that is taught; 1 is none.", ge=1)
    null: float = knob(0.1, "Share of samples without a condition.", ge=0, le=1)
    turbo: float = knob(0.25, "Share of samples at one of the turbo times.", ge=0, le=1)
    lessons: float = knob(0.5, "Weight of foreseeing the rhythm inside the transformer.", ge=0)
    clock: bool = knob(True, "Add a position code to the silence latent.")
    fused: bool = knob(True, "Compile the step (a minute or two, then three times as fast).")


def train(config: DitConfig, begun: float) -> Iterator[Event]:
    """Train the stage."""
    torch.set_num_threads(config.threads)
    yield from run(DitStage(config), config, begun)


class DitStage:
    """The part of the base model that is learnt by diffusion."""

    name = "dit"

    def __init__(self, config: DitConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        root = config.resume
        library = Library(root / "latents")
        library.refresh(config.songs)
        if not library.songs:
            raise RunError(f"{library.folder} has no songs", hint="run --stage latents first")
        text = load_text_encoder(root)
        silence = silence_latents(frozen_vae(root))
        if config.clock:
            silence = (silence + CLOCK * clock(silence.shape[1])).bfloat16().float()
        condition = build_condition_encoder(silence, config.seed)
        condition.timbre_encoder.requires_grad_(False)
        transformer = build_transformer(config.seed)
        if config.clock:
            with torch.no_grad():
                transformer.proj_in_conv.weight[:, :CHANNELS] *= 0.7 / CLOCK
        parts = {"text": text, "condition": condition, "transformer": transformer}
        self.modules: dict[str, nn.Module] = {k: v.to(self.device) for k, v in parts.items()}
        width = TRANSFORMER["hidden_size"]
        heads = {"beat": nn.Linear(width, 2 * 4), "struck": nn.Linear(width, 2 * len(DRUMS))}
        self.modules["heads"] = nn.ModuleDict(heads).to(self.device)
        self.optimizers = self._optimizers()
        codes = load_codes(root) if (root / "codes" / CODES_FILE).exists() else None
        tokens = Tokens(open_tokenizer(root / "text"))
        self.sampler = Sampler(library, tokens, silence, codes)
        self._timbre = silent_timbre(condition)
        self._held_out = load_shard(root / "latents", HELD_OUT)
        self._blocks = compiled_blocks() if config.fused else PLAIN

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        matrices, rest = split_parameters(self.modules)
        rate = self.config.rate
        return [
            torch.optim.Muon(
                matrices, lr=3 * rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The mean loss of a step's crops, all of one length."""
        if step % REFRESH == 0:
            self.sampler.library.refresh(self.config.songs)
        draw = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        frames, count = self._size(draw)
        spaces = CAPTION_TOKENS, _lyrics_tokens(frames)
        samples = [self.sampler.draw(frames, draw, spaces) for _ in range(count)]
        data = torch.stack([sample.target for sample in samples])
        context = torch.stack([sample.context for sample in samples])
        texts = pad_prompts([sample.prompt for sample in samples], *spaces)
        noise = torch.randn(data.shape, generator=rng)
        time = draw_times(count, self.config.turbo, rng)
        null = torch.rand(count, generator=rng) < self.config.null
        beat, struck = (torch.stack([s.rhythm[part] for s in samples]) for part in (0, 1))
        counts = torch.tensor([sample.counts for sample in samples]) & ~null
        batch = Batch(texts, data, noise, time, null, context, beat, struck, counts)
        batch = batch.to(self.device)
        between: list[Tensor] = []
        error = self._losses(batch, self._blocks, between, self.config.guidance).mean()
        return error + self.config.lessons * self._lessons(batch, between)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss on songs never seen, text2music, at fixed times and noise."""
        generator = torch.Generator().manual_seed(7)
        frames = 128
        data, context, prompts = held_out_batch(
            self._held_out, self.sampler.silence, self.sampler.tokens, frames
        )
        texts = pad_prompts(prompts)
        null = torch.zeros(len(data), dtype=torch.bool)
        found = {}
        for probe in PROBES:
            noise = torch.randn(data.shape, generator=generator)
            time = torch.full((len(data),), probe)
            batch = Batch(texts, data, noise, time, null, context, null, null, null)
            batch = batch.to(self.device)
            found[f"v{probe:g}"] = self._losses(batch, PLAIN).mean().item()
        songs = len(self.sampler.library.songs)
        return {**found, "mean": sum(found.values()) / len(found), "songs": float(songs)}

    def export(self, root: Any) -> None:
        """Write the base model as it is."""
        write_pipeline(root, self.modules)

    def _lessons(self, batch: Batch, between: list[Tensor]) -> Tensor:
        """How badly beat, bar and strokes are read from the blocks."""
        heads: Any = self.modules["heads"]
        shape = (*batch.data.shape[:2], -1)
        beat = heads["beat"](between[1].float()).view(shape)
        struck = heads["struck"](between[3].float()).view(shape)
        rare = torch.tensor(3.0, device=struck.device)
        missed = F.binary_cross_entropy_with_logits(
            struck, batch.struck, pos_weight=rare, reduction="none"
        )
        errors = (beat - batch.beat).square().mean((1, 2)) + 2 * missed.mean((1, 2))
        return (errors * batch.counts).sum() / batch.counts.sum().clamp(min=1)

    def _size(self, draw: np.random.Generator) -> tuple[int, int]:
        """Frames of the step's crops, and how many there are."""
        config, chance = self.config, draw.random()
        if chance < config.longest:
            return 400, max(1, config.batch * 5 // 16)
        if chance < config.longest + config.long:
            return 250, max(1, config.batch // 2)
        return 128, config.batch

    def _losses(
        self,
        batch: Batch,
        blocks: Blocks,
        between: list[Tensor] | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """Loss of each frame ``[B, T]``; what the blocks leave is added to ``between``."""
        modules: dict[str, Any] = self.modules
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            states, real = condition_states(
                modules["text"], modules["condition"], self._timbre, batch.texts, blocks
            )
            nothing = modules["condition"].null_condition_emb.to(states.dtype)
            states = torch.where(batch.null[:, None, None], nothing, states)
            told = Told(states, real, batch.context)
            untold = Told(nothing.expand_as(states), real, batch.context)

            def model(*, hidden_states: Tensor, timestep: Tensor, **_: Any) -> tuple[Tensor]:
                place = modules["transformer"], hidden_states, timestep
                found = velocity(*place, told, blocks, between)
                if guidance > 1:
                    with torch.no_grad():
                        alone = velocity(*place, untold, blocks)
                    found = less_guidance(found, alone, guidance)
                return (found,)

            seen: Any = model
            return flow.frame_losses(
                seen, batch.data, batch.noise, batch.time, states, batch.context
            )


def draw_times(count: int, turbo: float, rng: torch.Generator) -> Tensor:
    """Times ``[count]``: the turbo steps, the noisy end, and a logit-normal that leans to it.

    At time 1 there is nothing to go by but the prompt and the place: what is learnt there (when
    beats come) is what the first steps of sampling build on.
    """
    steps = torch.tensor(flow.schedule(flow.TURBO_STEPS, SHIFT))
    kind = torch.rand(count, generator=rng)
    table = steps[torch.randint(len(steps), (count,), generator=rng)]
    noisy = (0.85 + 0.3 * torch.rand(count, generator=rng)).clamp(max=1)  # half of them are 1
    normal = torch.sigmoid(1.2 * torch.randn(count, generator=rng) + 0.8)
    return torch.where(kind < turbo, table, torch.where(kind < turbo + NOISY, noisy, normal))


def clock(frames: int) -> Tensor:
    """A position code ``[1, frames, C]``: metronomes of 25 tempi, and seven slow hands.

    For each round tempo from 60 to 180 bpm there is a pair of cosine and sine that turns once a
    beat, with smaller ones on top that turn once in four and in three beats. The slow hands turn
    once in 32 s down to 4 s.
    """
    seconds = torch.arange(frames, dtype=torch.float64)[:, None] / flow.FRAMES_PER_SECOND
    beats = seconds * torch.arange(60, 181, 5) / 60
    turns = seconds / (32 * 2 ** (-torch.arange(7) / 2))
    parts = []
    for wave in (torch.cos, torch.sin):
        beat, four, three = (wave(2 * torch.pi * beats / count) for count in (1, 4, 3))
        parts += [beat + 0.5 * four + 0.5 * three, wave(2 * torch.pi * turns)]
    return torch.cat(parts, dim=1).float()[None]


def _lyrics_tokens(frames: int) -> int:
    """Room for the lyrics of a crop: one length of prompt for each length of crop."""
    return {128: 48, 250: 80}.get(frames, 112)
