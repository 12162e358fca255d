from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep.errors import RunError
from acestep.events import Event
from acestep.mini.train import vae as stages
from acestep.mini.train import vae_forward, vae_scale
from acestep.mini.train.vae import WEIGHTS, DecoderConfig, VaeConfig, freeze_encoder, train
from acestep.mini.train.vae_forward import encode

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
TINY = {"batch": 2, "frames": 2, "context": 1, "songs": 2, "seconds": 1.0001, "refresh": 1}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Songs that cost nothing."""

    def song(number: int, seconds: float, sampled: float = 0.0) -> torch.Tensor:
        rng = np.random.default_rng(number)
        walk = rng.normal(size=(2, round(48_000 * min(seconds, 1)))).cumsum(1)
        return torch.from_numpy((0.1 * walk / np.abs(walk).max()).astype(np.float32))

    def held_out(seconds: float, *, sampled: bool = False) -> tuple[torch.Tensor, list[float]]:
        return torch.stack([song(900 + number, 1) for number in range(2)]), [120.0, 90.0]

    monkeypatch.setattr(stages, "training_song", song)
    monkeypatch.setattr(stages, "held_out_songs", held_out)
    monkeypatch.setattr(stages, "has_fluidsynth", lambda: False)
    monkeypatch.setattr(stages, "START_SECONDS", 0.96)
    monkeypatch.setattr(stages, "pulse_kept", lambda made, source, bpm: 1.0)
    monkeypatch.setattr(vae_scale, "CLIP_FRAMES", 2)
    monkeypatch.setattr(vae_forward, "LARGE", 10**9)  # compiles nothing


def trained(kind: type[VaeConfig], root: Path, steps: int) -> list[Event]:
    return list(train(kind(resume=root, steps=steps, **TINY)))


def weights(root: Path, file: str) -> dict[str, torch.Tensor]:
    return load_file(root / file)


def test_both_stages_resumed_are_the_uninterrupted_ones_bit_by_bit(tmp_path):
    for root, stops in ((tmp_path / "whole", [3]), (tmp_path / "parts", [1, 3])):
        for kind in (VaeConfig, DecoderConfig):
            for steps in stops:
                trained(kind, root, steps)
    for file in ("training/vae.safetensors", "training/decoder.safetensors", f"vae/{WEIGHTS}"):
        whole, parts = weights(tmp_path / "whole", file), weights(tmp_path / "parts", file)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole), file


def test_the_encoder_stays_as_it_was_frozen(tmp_path):
    trained(VaeConfig, tmp_path, 2)
    assert not (tmp_path / "vae").exists()
    frozen = freeze_encoder(tmp_path).state_dict()
    trained(DecoderConfig, tmp_path, 2)
    stored = weights(tmp_path, f"vae/{WEIGHTS}")
    assert all(value.dtype == torch.bfloat16 for value in stored.values())
    same = {key: torch.equal(frozen[key], stored[key].float()) for key in stored}
    assert all(same[key] for key in stored if key.startswith("encoder."))
    assert not all(same.values())
    audio = stages.held_out_songs(1.0)[0]
    with torch.no_grad():
        latents = encode(stages.load_vae_folder(tmp_path / "vae"), audio).flatten(0, 1)
    assert latents.mean(0).abs().max() < 0.1
    assert float(latents.square().mean()) == pytest.approx(1, abs=0.1)


def test_the_decoder_needs_an_encoder(tmp_path):
    with pytest.raises(RunError, match="vae.safetensors is missing"):
        trained(DecoderConfig, tmp_path, 1)
