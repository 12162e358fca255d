"""Rows of clips against a folder, and the folder through the VAE."""

import numpy as np
import pytest
import torch

from acestep.data.tensors import Manifest, save_record, write_manifest
from acestep.mini.compare import compare, scale_share, through_the_vae
from acestep.mini.corpus import RATE, TESTS, compose, render
from acestep.mini.statistics import chroma, cosine
from acestep.model.base import find_model, load_vae
from acestep.model.vae import encode_audio


def songs(style: str, seeds: range) -> list[np.ndarray]:
    return [render(compose(TESTS + seed, 6.0, style=style, bpm=96)) for seed in seeds]


def noise(seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((2, 6 * RATE))
    return (0.1 * draws).astype(np.float32)


def test_clips_of_the_style_lie_near_and_beat_at_its_tempo():
    folder = songs("cumbia", range(4))
    near = compare(songs("cumbia", range(4, 8)), folder, 4 * [[96]])
    far = compare(songs("ambient", range(4)), folder, 4 * [[96]])
    assert near.distance < 0.5 * far.distance
    assert near.pulse > 0.3 > far.pulse
    assert near.scale > 0.95
    itself = compare(folder, folder, 4 * [[96]])
    assert itself.distance == 0 and itself.pulse == pytest.approx(near.pulse, abs=0.2)


def test_of_several_tempi_the_one_where_a_clip_beats_most_counts():
    (clip,) = songs("house", range(1))
    right, wrong, either = (compare([clip], [clip], [bpms]) for bpms in ([96], [81], [81, 96]))
    assert wrong.pulse < right.pulse == either.pulse


def test_a_scale_is_kept_by_songs_and_not_by_noise():
    for style in ("ballad", "bossa"):
        assert all(scale_share(clip) > 0.95 for clip in songs(style, range(2)))
    assert 0.5 < scale_share(noise(0)) < 0.75
    assert scale_share(np.zeros((2, RATE), np.float32)) == 0


def test_a_song_comes_back_from_its_tensors(tmp_path):
    audio = render(compose(TESTS, 4.0, style="cumbia"))
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
    assert heard.shape == (2, 2 * RATE)
    assert cosine(chroma(heard), chroma(audio[:, : 2 * RATE])) > 0.9
