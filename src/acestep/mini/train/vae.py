"""The small autoencoder's two stages: encoder and decoder together, then the decoder alone.

``--stage vae`` trains both. The first ``--stage decoder`` freezes the encoder: its weights are
rounded as they will be shipped, its latents scaled, and ``vae/`` of the training folder holds the
result, to encode with; from there on only decoder weights in it change.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from acestep.config import knob
from acestep.data.files import atomic
from acestep.errors import RunError
from acestep.events import Event
from acestep.mini.measures import chroma_cosine, pulse_kept
from acestep.mini.soundfont import has_fluidsynth
from acestep.mini.train.config import StageConfig
from acestep.mini.train.loop import load_means, run
from acestep.mini.train.vae_data import Pool, crops, held_out_songs, training_song
from acestep.mini.train.vae_forward import decode, encode
from acestep.mini.train.vae_losses import low_band, mr_stft, onset_error, signal_to_distortion
from acestep.mini.train.vae_scale import scale_latents
from acestep.mini.train.vae_shapes import HOP, build_vae, trained_parameters
from acestep.mini.train.vae_start import start_vae
from acestep.model.device import choose_device

WEIGHTS = "diffusion_pytorch_model.safetensors"
HELD_OUT_SECONDS = 4.8
START_SONGS, START_SECONDS = 40, 3.84  # that the linear start is fitted to; whole latent frames


class VaeConfig(StageConfig):
    """Train the autoencoder, encoder and decoder together."""

    batch: int = knob(8, "Clips in a step.", ge=1)
    frames: int = knob(16, "Latent frames of a clip that count (40 ms each).", ge=2)
    context: int = knob(1, "Frames on either side of a clip that do not count.", ge=1)
    songs: int = knob(120, "Songs in memory at a time.", ge=1)
    seconds: float = knob(8.0, "Length of a song in memory.", gt=1)
    refresh: int = knob(20, "Steps after which one of the songs is replaced.", ge=1)
    rate: float = knob(8e-4, "Learning rate.", gt=0)
    noise: float = knob(0.15, "Noise on the latents, as a share of their deviation.", ge=0)
    low: float = knob(0.3, "Weight of the low band's waveform in the loss.", ge=0)
    level: float = knob(0.1, "Weight of what keeps the latents' variance near 1.", ge=0)
    precision: Literal["bfloat16", "float32"] = knob("bfloat16", "Of the states in between.")


class DecoderConfig(VaeConfig):
    """Train the decoder alone; the first run freezes the encoder."""

    rate: float = knob(6e-4, "Learning rate.", gt=0)
    noise: float = knob(0.1, "Noise on the latents, as a share of their deviation.", ge=0)
    context: int = knob(3, "Frames on either side of a clip that do not count.", ge=1)
    refresh: int = knob(2, "Steps after which one of the songs is replaced.", ge=1)
    sampled: float = knob(0.5, "Share of songs that sampled instruments play.", ge=0, le=1)
    onsets: float = knob(0.3, "Weight of the onset strengths in the loss.", ge=0)


def train(config: VaeConfig, begun: float | None = None) -> Iterator[Event]:
    """Train the stage that the config is of."""
    torch.set_num_threads(config.threads)
    stage = DecoderStage(config) if isinstance(config, DecoderConfig) else VaeStage(config)
    yield from run(stage, config, begun)


class VaeStage:
    """Encoder and decoder."""

    name = "vae"

    def __init__(self, config: VaeConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        self.vae = self._first_vae().to(self.device)
        self.modules: dict[str, nn.Module] = {"vae": self.vae}
        parameters = trained_parameters(self.vae.encoder) + trained_parameters(self.vae.decoder)
        self.optimizers: list[torch.optim.Optimizer] = [optimizer(parameters, config.rate)]
        self._pool = Pool(
            lambda number: training_song(number, config.seconds), config.songs, config.refresh
        )
        self._judge = Judge(self.device)

    def _first_vae(self) -> Any:
        songs = [training_song(number, START_SECONDS) for number in range(START_SONGS)]
        return start_vae(torch.stack(songs), self.config.seed)

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The loss of a step on fresh crops."""
        config = self.config
        dtype = vars(torch)[config.precision]
        length = HOP * (config.frames + 2 * config.context)
        audio = crops(self._pool.at(step), config.batch, length, rng).to(self.device)
        latents = encode(self.vae, audio, dtype)
        spread = latents.flatten(0, 1).std(0) + 1e-4
        noise = spread * noise_like(latents, config.noise, rng)  # relative, or latents would grow
        inner = slice(HOP * config.context, -HOP * config.context)
        heard, original = decode(self.vae, latents + noise, dtype)[..., inner], audio[..., inner]
        level = spread.log().square().mean()
        distance = mr_stft(heard, original) + config.low * low_band(heard, original)
        return distance + config.level * level

    def evaluate(self) -> dict[str, float]:
        """Held-out songs through the autoencoder."""
        return self._judge.figures(self.vae)

    def export(self, root: Path) -> None:
        """Nothing: the latents are not final before the encoder is frozen."""


class DecoderStage:
    """The decoder, on latents of the frozen encoder."""

    name = "decoder"

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self.device = choose_device(config.device)
        folder = config.resume / "vae"
        if not folder.exists():
            save_vae(freeze_encoder(config.resume), folder)
        self.vae = load_vae_folder(folder).to(self.device)
        self.vae.encoder.requires_grad_(False)
        self.modules: dict[str, nn.Module] = {"decoder": self.vae.decoder}
        parameters = trained_parameters(self.vae.decoder)
        self.optimizers: list[torch.optim.Optimizer] = [optimizer(parameters, config.rate)]
        self._pool = Pool(self._song, config.songs, config.refresh)
        self._judge = Judge(self.device)
        self._deviation = torch.cat([z for _, z in Pool(self._song, 24, 1).at(0)]).std(0)

    @torch.no_grad()
    def _song(self, number: int) -> tuple[Tensor, Tensor]:
        """A song's audio ``[2, n]`` and latents ``[T, 64]``."""
        audio = training_song(number, self.config.seconds, self.config.sampled)
        audio = audio[:, : audio.shape[1] // HOP * HOP]
        return audio, encode(self.vae, audio[None].to(self.device))[0]

    def loss(self, step: int, rng: torch.Generator) -> Tensor:
        """The loss of a step on crops whose latents know what stands around them."""
        config = self.config
        frames, context = config.frames + 2 * config.context, config.context
        songs = self._pool.at(step)
        heard, original = [], []
        for number in torch.randint(len(songs), (config.batch,), generator=rng).tolist():
            audio, latents = songs[number]
            first = int(torch.randint(len(latents) - frames + 1, (), generator=rng))
            heard.append(latents[first : first + frames])
            original.append(
                audio[:, HOP * (first + context) : HOP * (first + frames - context)]
            )
        latents, target = torch.stack(heard), torch.stack(original).to(self.device)
        noise = self._deviation * noise_like(latents, config.noise, rng)
        inner = slice(HOP * context, -HOP * context)
        made = decode(self.vae, latents + noise, vars(torch)[config.precision])[..., inner]
        distance = mr_stft(made, target) + config.low * low_band(made, target)
        return distance + config.onsets * onset_error(made, target)

    def evaluate(self) -> dict[str, float]:
        """Held-out songs through the autoencoder."""
        return self._judge.figures(self.vae)

    def export(self, root: Path) -> None:
        """Write ``vae/`` with the decoder as it is; its encoder stays as it was frozen."""
        save_vae(self.vae, root / "vae")


class Judge:
    """Held-out songs to measure an autoencoder by: the corpus, and sampled instruments."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sets = {"": held_out_songs(HELD_OUT_SECONDS)}
        if has_fluidsynth():
            self._sets["sampled_"] = held_out_songs(HELD_OUT_SECONDS, sampled=True)

    @torch.no_grad()
    def figures(self, vae: Any) -> dict[str, float]:
        """Distance (MR-STFT), SDR in dB, chroma cosine, share of the pulse that is kept."""
        found: dict[str, float] = {}
        for name, (songs, tempi) in self._sets.items():
            length = songs.shape[2] // HOP * HOP
            source = songs[..., :length].to(self._device)
            made = torch.cat([decode(vae, encode(vae, song[None])) for song in source])
            pairs = list(zip(made.cpu().numpy(), source.cpu().numpy(), tempi, strict=True))
            found |= {
                f"{name}mr_stft": float(mr_stft(made, source)),
                f"{name}sdr": signal_to_distortion(made, source),
                f"{name}chroma": sum(chroma_cosine(a, b) for a, b, _ in pairs) / len(pairs),
                f"{name}pulse": sum(pulse_kept(*pair) for pair in pairs) / len(pairs),
            }
        return found


def optimizer(parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """AdamW with a short memory, as waveform models want it."""
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.8, 0.98), weight_decay=1e-3)


def noise_like(latents: Tensor, size: float, rng: torch.Generator) -> Tensor:
    """Noise for ``[B, T, C]``, from 0.3 to 1.3 × ``size`` by clip."""
    sizes = size * (0.3 + torch.rand(len(latents), 1, 1, generator=rng))
    return (sizes * torch.randn(latents.shape, generator=rng)).to(latents.device)


def freeze_encoder(root: Path) -> Any:
    """The autoencoder of stage ``vae`` with its latents scaled, in weights as they are stored.

    Raises ``RunError`` where that stage was never trained.
    """
    state = root / "training" / "vae.safetensors"
    if not state.exists():
        raise RunError(f"{state} is missing", hint="train --stage vae first")
    vae = build_vae()
    vae.load_state_dict(load_means(state, "vae"))
    round_weights(vae.encoder)
    scale_latents(vae, held_out_songs(HELD_OUT_SECONDS)[0])
    round_weights(vae)
    return vae.eval()


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round weights to bfloat16, in which they are stored."""
    for value in module.state_dict().values():
        value.copy_(value.bfloat16())


def save_vae(vae: Any, folder: Path) -> None:
    """Write a diffusers folder in bfloat16, over the one that is there."""
    vae.save_config(folder)
    stored = {
        key: value.detach().cpu().bfloat16().contiguous()
        for key, value in vae.state_dict().items()
    }
    with atomic(folder / WEIGHTS) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})


def load_vae_folder(folder: Path) -> Any:
    """The autoencoder of a folder that :func:`save_vae` wrote, to be trained."""
    vae = build_vae()
    vae.load_state_dict(load_file(folder / WEIGHTS))
    return vae
