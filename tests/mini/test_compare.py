"""Rows of the demo's table: clips against a folder, and the folder through the VAE."""

import numpy as np
import pytest
import torch

from acestep.data.tensors import Manifest, save_record, write_manifest
from acestep.mini.compare import Row, compare, table, through_the_vae
from acestep.mini.songs import make_song
from acestep.mini.statistics import chroma, cosine
from acestep.mini.synth import exact_bpm
from acestep.model.base import find_model, load_vae
from acestep.model.vae import encode_audio


def songs(style: str, seeds: range) -> list[np.ndarray]:
    return [make_song(style, seed, 6.0)[0] for seed in seeds]


def test_clips_of_the_style_lie_near_and_beat_at_its_tempo():
    folder = songs("cumbia", range(3))
    same, other = songs("cumbia", range(3, 6)), songs("techno", range(3))
    near, far = (compare(clips, folder, exact_bpm(94)) for clips in (same, other))
    assert near.distance < 0.7 * far.distance
    assert near.pulse > 0.5 > 0.2 > far.pulse
    itself = compare(folder, folder, exact_bpm(94))
    assert itself.distance == 0 and itself.chroma == pytest.approx(1)


def test_the_table_shows_every_row():
    text = table({"base": Row(1.5, 0.1, 0.8), "adapter": Row(0.25, 0.7, 0.975)}, 94)
    assert [line.split() for line in text.splitlines()] == [
        ["distance", "pulse", "at", "94", "chroma"],
        ["base", "1.50", "0.10", "0.80"],
        ["adapter", "0.25", "0.70", "0.97"],
    ]


def test_a_song_comes_back_from_its_tensors(tmp_path):
    audio, _ = make_song("cumbia", 0, 4.0)
    latents = encode_audio(load_vae(find_model("mini"), torch.device("cpu")), audio, seed=0)[0]
    record = {
        "target_latents": latents,
        "encoder_hidden_states": torch.zeros(1, 192),
        "context_latents": torch.zeros(len(latents), 2 * latents.shape[1]),
        "metadata": {},
        "fingerprints": {},
    }
    save_record(tmp_path / "sample_a.pt", record)
    samples = [{"file": "sample_a.pt", "fingerprints": {}}]
    model = {"name": "mini", "source": "mini", "variant": "turbo", "fingerprint": "0"}
    write_manifest(tmp_path, Manifest(model=model, samples=samples))
    (heard,) = through_the_vae(tmp_path, 2.0)
    assert heard.shape == (2, 2 * 48000)
    assert cosine(chroma(heard), chroma(audio[:, : 2 * 48000])) > 0.95
