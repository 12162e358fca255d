"""The two sides that benchmarks of training compare, on random weights and songs.

*ours* is the package's session and :func:`acestep.training.step.optimizer_step`. *plain* is the
loop one would write first: the diffusers transformer, PEFT, a batch of one copied to the device
each step, the default AdamW, and a read of the loss every step.
"""

import tempfile
from pathlib import Path

import torch
from diffusers import AceStepTransformer1DModel
from peft import LoraConfig, get_peft_model
from torch import nn

from acestep.adapters.attach import attach, trainable_parameters
from acestep.config import TrainConfig
from acestep.data.tensors import Manifest, Sample
from acestep.model.base import find_model
from acestep.model.flow import draw_turbo_time, interpolate
from acestep.processes import Processes
from acestep.speed.attention import install_attention
from acestep.speed.linear import quicken
from acestep.speed.pace import Choice
from acestep.speed.stream import smooth
from acestep.training.clips import make_clips, split_clips
from acestep.training.filling import Before
from acestep.training.optim import make_optimizer
from acestep.training.pacing import choose_pace, set_pace
from acestep.training.run import RunFolder
from acestep.training.session import Session
from acestep.training.settings import make_plan

# hidden, MLP, layers, heads, KV heads, head size, encoder width
SHAPES = {
    "tiny": (192, 512, 6, 6, 3, 32, 192),
    "cpu": (512, 1536, 6, 8, 4, 64, 512),
    "2b": (2048, 6144, 24, 16, 8, 128, 2048),
    "xl": (2560, 9728, 32, 32, 8, 128, 2048),
}
CONDITION_TOKENS = 200
SONGS = 8


def transformer_of(
    shape: str, device: torch.device, dtype: torch.dtype
) -> AceStepTransformer1DModel:
    hidden, inter, layers, heads, kv, size, encoder = SHAPES[shape]
    torch.manual_seed(0)
    with torch.device(device):
        model = AceStepTransformer1DModel(
            hidden_size=hidden,
            intermediate_size=inter,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv,
            head_dim=size,
            encoder_hidden_size=encoder,
            is_turbo=True,
        )
    return model.to(device, dtype).requires_grad_(False)


def songs_of(shape: str, seconds: float) -> list[Sample]:
    generator = torch.Generator().manual_seed(1)
    frames, width = round(seconds * 25), SHAPES[shape][-1]

    def randn(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator)

    return [
        Sample(
            f"s{n}",
            f"s{n}",
            randn(frames, 64),
            randn(CONDITION_TOKENS, width),
            randn(frames, 128),
            {},
        )
        for n in range(SONGS)
    ]


def session_of(
    config: TrainConfig,
    transformer: nn.Module,
    songs: list[Sample],
    device: torch.device,
    dtype: torch.dtype,
) -> Session:
    """A session over parts that were never on a disk; the transformer has no adapter yet."""
    model = find_model("mini")  # only its variant is looked at
    install_attention(transformer)
    smooth(transformer)
    precision = quicken(transformer, Choice(str(dtype).removeprefix("torch."), "as asked for"))
    modules = attach(transformer, config)
    parameters = trainable_parameters(transformer)
    clips = make_clips(songs, device, dtype)
    plan = make_plan(config, model, len(songs), 1)
    here = plan.samples_per_step
    pace = choose_pace(config, transformer, clips, here, device, precision, Before())
    set_pace(transformer, pace)
    width = clips[0].condition.shape[-1]
    return Session(
        config,
        RunFolder(Path(tempfile.gettempdir())),
        model,
        Manifest(),
        Processes(0, 1, device),
        dtype,
        plan,
        split_clips(clips, 0.0, 0),
        transformer,
        transformer,  # and so the loss sees it
        modules,
        parameters,
        make_optimizer(config, list(parameters.values())),
        torch.zeros(1, 1, width, device=device, dtype=dtype),
        pace,
    )


class Plain:
    """What one would write first."""

    def __init__(
        self,
        base: AceStepTransformer1DModel,
        songs: list[Sample],
        rank: int,
        dropout: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=dropout, target_modules=targets)
        self.model = get_peft_model(base, lora).train()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0.01)
        self.songs, self.device, self.dtype = songs, device, dtype
        self.clips = 1  # an optimizer step, one after another
        self.losses: list[float] = []

    def step(self) -> None:
        for number in range(self.clips):
            loss = self.loss((len(self.losses) * self.clips + number) % SONGS) / self.clips
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.losses.append(loss.item())

    def loss(self, number: int) -> torch.Tensor:
        song = self.songs[number]
        data = song.latents[None].to(self.device)
        condition, context = (
            t[None].to(self.device, self.dtype) for t in (song.condition, song.context)
        )
        noise = torch.randn_like(data)
        time_ = draw_turbo_time(3.0, torch.default_generator).to(self.device)
        mixed = interpolate(data, noise, time_).to(self.dtype)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            velocity = self.model(
                hidden_states=mixed,
                timestep=time_.to(self.dtype),
                timestep_r=time_.to(self.dtype),
                encoder_hidden_states=condition,
                context_latents=context,
                return_dict=False,
            )[0]
            return torch.nn.functional.mse_loss(velocity.float(), noise - data)
