from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep.errors import AceStepWarning, AudioError
from acestep.model import vae as tiles
from acestep.model.base import find_model, load_vae
from acestep.model.vae import (
    decode_audio,
    decoder_reach,
    encode_audio,
    encode_tiles,
    encoder_reach,
)

GOLDEN = Path(__file__).parents[1] / "golden"
HOP = 1920
PUBLISHED = {"downsampling_ratios": [2, 4, 4, 6, 10]}


@pytest.fixture(scope="module")
def tiny():
    model = find_model(str(GOLDEN / "upstream_tiny" / "acestep-v15-turbo"))
    return load_vae(model, torch.device("cpu"))


@pytest.fixture(scope="module")
def mini():
    return load_vae(find_model(), torch.device("cpu"))


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, (2, samples)).astype(np.float32)


def joined(vae, audio, tile_seconds):
    means, deviations = zip(*encode_tiles(vae, audio, tile_seconds=tile_seconds), strict=True)
    return torch.cat(means), torch.cat(deviations), len(means)


@torch.no_grad()
def in_one_pass(vae, audio):
    posterior = vae.encode(torch.from_numpy(audio)[None]).latent_dist
    return posterior.mean[0].T, posterior.std[0].T


def furthest(one, other):
    assert one.shape == other.shape
    return float(abs(one - other).max())


def test_the_golden_waveform_without_its_tail_of_37_samples(tiny):
    golden = load_file(GOLDEN / "vae.safetensors")
    mean, deviation, _ = joined(tiny, golden["waveform"][0].numpy(), 30.0)
    assert furthest(mean, golden["latent_mean"][0].T) < 1e-5
    assert furthest(deviation, golden["latent_std"][0].T) < 1e-5
    decoded = decode_audio(tiny, golden["latents_to_decode"].transpose(1, 2))
    assert decoded.dtype == np.float32
    assert furthest(torch.from_numpy(decoded), golden["decoded"][0]) < 1e-5


@pytest.mark.parametrize("samples", [HOP * 97, HOP * 97 + 37, HOP * 98 - 1, HOP * 50])
@pytest.mark.parametrize("tile_seconds", [0.04, 0.36, 1.0, 2.0])
def test_tiles_give_what_one_pass_gives(tiny, samples, tile_seconds):
    audio = noise(samples)
    mean, deviation = in_one_pass(tiny, audio)
    assert len(mean) == samples // HOP
    ours = joined(tiny, audio, tile_seconds)
    assert ours[2] > 1 or tile_seconds == 2.0
    assert furthest(ours[0], mean) < 1e-5 and furthest(ours[1], deviation) < 1e-5


@pytest.mark.parametrize("tile_seconds", [0.48, 1.2])
def test_tiles_of_the_small_models_autoencoder(mini, tile_seconds):
    audio = noise(HOP * 60 + 1001)
    mean, deviation = in_one_pass(mini, audio)
    ours = joined(mini, audio, tile_seconds)
    assert ours[2] > 1
    assert furthest(ours[0], mean) < 1e-5 and furthest(ours[1], deviation) < 1e-5


@pytest.mark.parametrize("at_once", [2, 3, 8])
@pytest.mark.parametrize("samples", [HOP * 97 + 37, HOP * (7 + 12 * 6), HOP * 11])
def test_several_tiles_in_one_pass_give_the_same(tiny, at_once, samples):
    audio, sizes = noise(samples), []
    hook = tiny.encoder.register_forward_pre_hook(
        lambda module, inputs: sizes.append(inputs[0].shape[0])
    )
    one = encode_audio(tiny, audio, seed=5, tile_seconds=0.48)
    alone, together = len(sizes), encode_audio(
        tiny, audio, seed=5, tile_seconds=0.48, at_once=at_once
    )  # fmt: skip
    hook.remove()
    assert furthest(together, one) < 1e-5
    assert sum(sizes[alone:]) == alone and max(sizes[alone:]) <= at_once
    assert samples == HOP * 11 or max(sizes[alone:]) == min(at_once, alone - 1)


def test_all_tiles_but_the_last_are_of_one_length(tiny):
    lengths = []
    hook = tiny.encoder.register_forward_pre_hook(
        lambda module, inputs: lengths.append(inputs[0].shape[-1])
    )
    for _ in encode_tiles(tiny, noise(HOP * 100 + 900), tile_seconds=0.6):
        pass
    hook.remove()
    assert len(lengths) > 4 and set(lengths[:-1]) == {29 * HOP} and lengths[-1] < 44 * HOP


@pytest.mark.filterwarnings("ignore:.*tiles of audio at once")
def test_tiles_that_do_not_fit_into_memory_together_are_halved(tiny):
    audio = noise(HOP * 100)
    wanted = encode_audio(tiny, audio, seed=1, tile_seconds=0.48)
    sizes = []

    def full(module, inputs):
        sizes.append(inputs[0].shape[0])
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("no more")

    hook = tiny.encoder.register_forward_pre_hook(full)
    with pytest.warns(AceStepWarning, match="4 tiles of audio at once do not fit"):
        halved = encode_audio(tiny, audio, seed=1, tile_seconds=0.48, at_once=4)
    hook.remove()
    assert halved.equal(wanted) and sizes[:4] == [4, 2, 1, 1]


def test_noise_at_once_is_noise_frame_by_frame():
    for frames, channels in ((1, 64), (77, 64), (40, 16), (5, 8), (3, 48)):
        one, other = (torch.Generator().manual_seed(3) for _ in range(2))
        single = torch.stack([torch.randn(channels, generator=one) for _ in range(frames)])
        assert tiles._noise(frames, channels, other).equal(single)
        assert torch.randn(8, generator=one).equal(torch.randn(8, generator=other))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("at_once", [1, 4])
def test_a_gpu_gives_what_the_cpu_gives(tiny, at_once):
    model = find_model(str(GOLDEN / "upstream_tiny" / "acestep-v15-turbo"))
    there = load_vae(model, torch.device("cuda"))
    audio = noise(HOP * 150 + 77)
    with torch.backends.cudnn.flags(allow_tf32=False):
        have = encode_audio(there, audio, seed=2, tile_seconds=0.6, at_once=at_once)
    assert have.device.type == "cpu"
    assert furthest(have, encode_audio(tiny, audio, seed=2)) < 1e-4


def test_reaches(tiny, mini):
    assert encoder_reach(PUBLISHED) == encoder_reach(tiny.config) == (7, 7)
    assert encoder_reach(mini.config) == (11, 11)
    assert decoder_reach(PUBLISHED) == (9, 9)


def test_one_frame_less_than_the_reach_is_not_exact(tiny, monkeypatch):
    audio = noise(HOP * 60)
    mean, _ = in_one_pass(tiny, audio)
    monkeypatch.setattr(tiles, "encoder_reach", lambda config: (6, 6))
    short = joined(tiny, audio, 1.0)[0]
    monkeypatch.undo()
    exact = joined(tiny, audio, 1.0)[0]
    assert furthest(short, mean) > 3 * furthest(exact, mean)


@torch.no_grad()
def test_what_a_frame_hears_ends_at_the_reach(tiny):
    audio = torch.from_numpy(noise(HOP * 40))[None].requires_grad_()
    with torch.enable_grad():
        tiny.encoder(audio)[0, :, 20].sum().backward()
    heard = audio.grad[0].abs().sum(0).nonzero()
    before, after = encoder_reach(tiny.config)
    assert (20 - before) * HOP <= heard.min() < (20 - before + 1) * HOP
    assert (20 + after) * HOP <= heard.max() < (20 + after + 1) * HOP
    latents = torch.randn(1, 8, 40).requires_grad_()
    with torch.enable_grad():
        tiny.decoder(latents)[0, :, 20 * HOP : 21 * HOP].sum().backward()
    used = latents.grad[0].abs().sum(0).nonzero()
    assert (int(used.min()), int(used.max())) == (11, 29)


@pytest.mark.parametrize("tile_frames", [1, 13, 45, 512])
def test_decoding_in_tiles_gives_what_one_pass_gives(tiny, tile_frames):
    latents = torch.randn(1, 45, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = tiny.decode(latents.transpose(1, 2)).sample[0].numpy()
    assert furthest(decode_audio(tiny, latents, tile_frames=tile_frames), whole) < 1e-5


def test_blocks_of_any_length_give_the_same_latents(tiny):
    audio = noise(HOP * 70 + 5)
    whole = encode_audio(tiny, audio, seed=3, tile_seconds=1.0)
    for cuts in ([100, 5000, 5001, 90000], [0, 0, HOP * 70], range(1000, HOP * 70, 1000)):
        blocks = np.split(audio, list(cuts), axis=1)
        assert encode_audio(tiny, iter(blocks), seed=3, tile_seconds=1.0).equal(whole)


def test_the_noise_depends_on_the_seed_alone(tiny):
    audio = noise(HOP * 60 + 77)
    one = encode_audio(tiny, audio, seed=3)
    assert one.shape == (1, 60, 8) and one.dtype == torch.float32
    for tile_seconds in (0.2, 0.52, 1.0):
        assert furthest(encode_audio(tiny, audio, seed=3, tile_seconds=tile_seconds), one) < 1e-5
    mean, deviation = in_one_pass(tiny, audio)
    drawn = (one[0] - mean) / deviation
    generator = torch.Generator("cpu").manual_seed(3)
    expected = torch.stack([torch.randn(8, generator=generator) for _ in range(60)])
    assert furthest(drawn, expected) < 1e-3
    assert furthest(encode_audio(tiny, audio, seed=4), one) > 0.1
    longer = encode_audio(tiny, np.concatenate([audio, audio], axis=1), seed=3)
    assert furthest(longer[:, :50], one[:, :50]) < 1e-5


@pytest.mark.parametrize(("samples", "frames"), [(1920, 1), (3839, 1), (48000, 25), (96000, 50)])
def test_latent_lengths(tiny, samples, frames):
    assert encode_audio(tiny, noise(samples), seed=0).shape == (1, frames, 8)


@pytest.mark.parametrize("audio", [noise(1919), noise(1), noise(0), iter(())])
def test_less_than_a_frame_is_refused(tiny, audio):
    with pytest.raises(AudioError, match="too short to encode: one frame takes 1920"):
        encode_audio(tiny, audio, seed=0)


def test_a_long_song_is_read_and_encoded_piece_by_piece(tiny):
    lengths, taken = [], 0

    def song():
        nonlocal taken
        for at in range(20):
            taken += 1
            yield noise(48000, seed=at)

    hook = tiny.encoder.register_forward_pre_hook(
        lambda module, inputs: lengths.append(inputs[0].shape[-1])
    )
    first = encode_tiles(tiny, song(), tile_seconds=2.0)
    frames = len(next(first)[0])
    assert taken == 3  # two seconds, and what their beginning and end need to hear
    frames += sum(len(mean) for mean, _ in first)
    hook.remove()
    assert frames == 500 and max(lengths) <= (50 + 7 + 7) * HOP


def test_what_half_precision_cannot_hold_is_decoded_in_float32():
    model = find_model(str(GOLDEN / "upstream_tiny" / "acestep-v15-turbo"))
    vae, exact = (load_vae(model, torch.device("cpu")) for _ in range(2))
    latents = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(3))
    vae.decoder.half()
    near, right = decode_audio(vae, latents), decode_audio(exact, latents)
    assert next(vae.decoder.parameters()).dtype == torch.float16
    assert 0 < furthest(near, right) < 0.01 * np.abs(right).max()
    loud = latents * 1e6
    right = decode_audio(exact, loud)
    assert furthest(decode_audio(vae, loud), right) < 0.05 * np.abs(right).max()
    assert next(vae.decoder.parameters()).dtype == torch.float32
