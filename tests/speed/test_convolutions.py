"""The autoencoder with channels last against ``AutoencoderOobleck`` as diffusers has it."""

import time
import warnings
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderOobleck
from diffusers.models.autoencoders.autoencoder_oobleck import Snake1d
from torch import nn

from acestep.model.base import find_model, load_vae
from acestep.model.load import fold_weight_norm
from acestep.speed import convolutions
from acestep.speed.convolutions import Snake, fast_convolutions, layout

CPU = torch.device("cpu")
# Strides and widths of the published autoencoder; a quarter of its first channels
PUBLISHED = {"downsampling_ratios": [2, 4, 4, 6, 10], "sampling_rate": 48000}

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def random_vae(channels=32, seed=0, device=CPU):
    torch.manual_seed(seed)
    vae = AutoencoderOobleck(
        encoder_hidden_size=channels,
        decoder_channels=channels,
        decoder_input_channels=channels // 2,
        **PUBLISHED,
    ).eval()
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if "alpha" in name or "beta" in name:
                parameter.normal_(0, 0.3)
    return vae.requires_grad_(False).to(device)


def plain_twin(vae):
    twin = AutoencoderOobleck.from_config(vae.config).eval()
    twin.load_state_dict(vae.state_dict())
    return twin.requires_grad_(False)


def fast_twin(vae, device=CPU):
    twin = plain_twin(vae)
    fold_weight_norm(twin)
    fast_convolutions(twin, device)
    return twin


def apart(one, other):
    """Root mean square of the difference, as a share of what it should be."""
    assert one.shape == other.shape and one.dtype == other.dtype
    return float((one.double() - other.double()).norm() / other.double().norm())


@torch.no_grad()
@pytest.mark.parametrize("samples", [1920, 1920 * 7, 1920 * 9 + 37])
@pytest.mark.parametrize("clips", [1, 3])
def test_both_ways_equal_the_published_shape_to_rounding(samples, clips):
    vae = random_vae()
    fast = fast_twin(vae)
    audio = torch.randn(clips, 2, samples, generator=torch.Generator().manual_seed(1)) * 0.2
    want, have = vae.encode(audio).latent_dist, fast.encode(audio).latent_dist
    assert apart(have.mean, want.mean) < 5e-6 and apart(have.std, want.std) < 5e-6
    assert apart(fast.decode(want.mean).sample, vae.decode(want.mean).sample) < 5e-6


@torch.no_grad()
def test_the_small_models_autoencoder_as_it_is_loaded():
    model = find_model()
    plain = AutoencoderOobleck.from_pretrained(model.vae_folder, torch_dtype=torch.float32)
    loaded = load_vae(model, CPU)
    audio = torch.randn(1, 2, 1920 * 30 + 5, generator=torch.Generator().manual_seed(2)) * 0.1
    want, have = plain.encode(audio).latent_dist, loaded.encode(audio).latent_dist
    assert apart(have.mean, want.mean) < 5e-6 and apart(have.std, want.std) < 5e-6
    assert apart(loaded.decode(want.mean).sample, plain.decode(want.mean).sample) < 5e-6


@torch.no_grad()
def test_bfloat16_is_as_far_off_as_diffusers_own():
    vae = random_vae()
    fast = fast_twin(vae).to(torch.bfloat16)
    audio = torch.randn(1, 2, 1920 * 20, generator=torch.Generator().manual_seed(3)) * 0.2
    exact = vae.encoder(audio)
    theirs = plain_twin(vae).to(torch.bfloat16).encoder(audio.bfloat16()).float()
    ours = fast.encoder(audio.bfloat16()).float()
    assert apart(ours, exact) < 1.2 * apart(theirs, exact) < 0.1


def test_there_is_nothing_left_to_turn_and_the_weights_are_the_same():
    vae = random_vae(8)
    fast = fast_twin(vae)
    kinds = {type(module) for module in fast.modules()}
    assert not kinds & {nn.Conv1d, nn.ConvTranspose1d, Snake1d}
    fold_weight_norm(vae)
    plain = vae.encoder.block[2].conv1
    turned = fast.encoder[2].stage.conv1
    assert turned.weight[:, :, 0].equal(plain.weight) and turned.bias.equal(plain.bias)
    assert not any(parameter.requires_grad for parameter in fast.parameters())


@torch.no_grad()
@pytest.mark.parametrize("logscale", [True, False])
def test_snake(logscale):
    snake = Snake1d(6, logscale=logscale)
    snake.alpha.uniform_(0.1, 2)
    snake.beta.uniform_(0.1, 2)
    x = torch.randn(2, 6, 501)
    wide = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    ours = Snake(snake)(wide)
    torch.testing.assert_close(ours.squeeze(2), snake(x), rtol=1e-6, atol=1e-6)
    assert wide.squeeze(2).equal(x), "the input is needed again"
    assert ours.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
@pytest.mark.parametrize("clips", [1, 2])
@pytest.mark.parametrize("extra", [0, 1, 1919])
def test_pieces_give_what_the_whole_gives(monkeypatch, clips, extra):
    """Of the least length; a reach that is one frame too short would be seen."""
    vae = fast_twin(random_vae(8))
    audio = torch.randn(clips, 2, 1920 * 16 + extra) * 0.2
    calls = []
    first = vae.encoder[0].stage
    first.register_forward_hook(lambda *_: calls.append(1))
    whole = vae.encoder(audio)
    sound = vae.decoder(whole[:, :4])
    assert len(calls) == 1
    monkeypatch.setattr(convolutions, "PIECE", 1)
    pieces = vae.encoder(audio)
    assert len(calls) > 10
    assert apart(pieces, whole) < 3e-6 and apart(vae.decoder(whole[:, :4]), sound) < 3e-6
    for stage in vae.encoder:
        if isinstance(stage, convolutions.InPieces):
            stage.reach -= 6
    assert apart(vae.encoder(audio), whole) > 1e-5


def test_gradients_go_through():
    vae = random_vae(8)
    fast = fast_twin(vae)
    gradients = []
    for one in (vae, fast):
        audio = torch.randn(1, 2, 1920 * 3, generator=torch.Generator().manual_seed(4))
        audio.requires_grad_()
        one.encoder(audio).square().sum().backward()
        gradients.append(audio.grad)
    assert apart(gradients[1], gradients[0]) < 1e-5


def test_elsewhere_it_stays_as_it_comes_and_says_so():
    vae = random_vae(8)
    before = str(vae)
    fast_convolutions(vae, torch.device("mps"))
    assert str(vae) == before
    choice = layout(torch.device("mps"))
    assert choice.slower and "mps" in choice.why
    assert layout(CPU).value == layout(torch.device("cuda")).value == "channels last"


@torch.no_grad()
def test_it_is_not_slower():
    """Five rounds in turn, the best of each; what is gained is measured by the benchmark."""
    loaded = load_vae(find_model(), CPU)
    plain = AutoencoderOobleck.from_pretrained(
        find_model().vae_folder, torch_dtype=torch.float32
    ).eval()
    fold_weight_norm(plain)
    latents = torch.randn(1, 64, 25)
    best = {"plain": 1e9, "fast": 1e9}
    for _ in range(5):
        for name, vae in (("plain", plain), ("fast", loaded)):
            start = time.process_time()
            vae.decoder(latents)
            best[name] = min(best[name], time.process_time() - start)
    assert best["fast"] < 0.9 * best["plain"], best


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_on_a_gpu_it_equals_the_cpu():
    vae = random_vae()
    cuda = torch.device("cuda")
    fast = fast_twin(vae, cuda).to(cuda)
    audio = torch.randn(2, 2, 1920 * 20 + 11, generator=torch.Generator().manual_seed(5)) * 0.2
    exact = vae.encoder(audio)
    with torch.backends.cudnn.flags(allow_tf32=False):
        assert apart(fast.encoder(audio.to(cuda)).cpu(), exact) < 1e-5
    with torch.backends.cudnn.flags(allow_tf32=True):
        assert apart(fast.encoder(audio.to(cuda)).cpu(), exact) < 5e-3


def test_warnings_stay_away():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        made = fast_twin(random_vae(8)).encoder(torch.zeros(1, 2, 1920))
    assert made.shape[-1] == 1 and made.isfinite().all()


def test_golden_data_is_checked_elsewhere_with_this_very_autoencoder():
    golden = Path(__file__).parents[1] / "golden" / "upstream_tiny" / "acestep-v15-turbo"
    vae = load_vae(find_model(str(golden)), CPU)
    assert isinstance(vae.encoder, convolutions.ChannelsLast)  # tests/model/test_vae.py
