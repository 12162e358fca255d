"""The flow's mathematics against the original's numbers."""

import math
from pathlib import Path

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from safetensors.torch import load_file

from acestep.model import flow

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def tiny_transformer():
    model = AceStepTransformer1DModel.from_pretrained(GOLDEN / "diffusers_tiny" / "transformer")
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("shift", "table"),
    [
        (1.0, [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (2.0, [1, 0.9333, 0.8571, 0.7692, 0.6667, 0.5455, 0.4, 0.2222]),
        (3.0, [1, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3]),
    ],
)
def test_eight_steps_are_the_turbo_tables(shift, table):
    assert flow.schedule(8, shift) == pytest.approx(table, abs=5e-5)


def test_golden_schedules():
    turbo = load_file(GOLDEN / "generation_turbo.safetensors")
    base = load_file(GOLDEN / "generation_base.safetensors")
    assert flow.schedule(8, 3.0) == pytest.approx(turbo["t2m_shift3.schedule"].tolist(), abs=1e-6)
    assert flow.schedule(10, 3.0) == pytest.approx(
        base["apg7_shift3_10.schedule"].tolist(), abs=1e-6
    )
    custom = [0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085, 0]
    wanted = turbo["t2m_custom_timesteps.schedule"].tolist()
    assert flow.snap_times(custom) == pytest.approx(wanted, abs=1e-6)


def test_twenty_valid_turbo_times():
    times = flow.valid_turbo_times()
    assert len(times) == 20 and times == sorted(times, reverse=True)


def test_turbo_draws_cover_the_eight_steps_evenly():
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([flow.draw_turbo_time(3.0, generator) for _ in range(4000)])
    values, counts = draws.unique(return_counts=True)
    assert values.tolist() == pytest.approx(sorted(flow.schedule(8, 3.0)))
    assert counts.min() > 400 and counts.max() < 600


def test_continuous_draws_have_the_pretraining_quantiles():
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([flow.draw_continuous_time(1.0, -0.4, 1.0, generator) for _ in range(20_000)])
    quantiles = draws.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])).tolist()
    assert quantiles == pytest.approx([0.239, 0.401, 0.536, 0.670, 0.825], abs=0.012)


def test_shift_moves_continuous_times_toward_noise():
    low = flow.draw_continuous_time(1.0, -0.4, 1.0, torch.Generator().manual_seed(3))
    high = flow.draw_continuous_time(3.0, -0.4, 1.0, torch.Generator().manual_seed(3))
    assert high.item() == pytest.approx(3 * low.item() / (1 + 2 * low.item()))


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(0.04, 1), (0.0399, 0), (12.32, 308), (13.0, 325), (240, 6000), (2.0, 50)],
)
def test_frames_in_a_duration(seconds, frames):
    assert flow.frames_in(seconds) == frames


def test_every_frame_count_survives_the_way_through_seconds():
    assert all(flow.frames_in(n / flow.FRAMES_PER_SECOND) == n for n in range(1, 15_001))


def test_original_training_forward(tiny_transformer):
    golden = load_file(GOLDEN / "training_forward.safetensors")
    time = golden["mid.timestep"]
    mixed = flow.interpolate(golden["hidden_states"], golden["rand.noise_x1"], time)
    assert torch.allclose(mixed, golden["mid.xt"], atol=1e-6)
    losses = flow.frame_losses(
        tiny_transformer,
        golden["hidden_states"],
        golden["rand.noise_x1"],
        time,
        golden["mid.encoder_hidden_states_after_cfg_dropout"],
        golden["mid.context_latents"],
    )
    assert torch.allclose(losses.mean(1), golden["per_sample_loss"], atol=2e-5)
    assert losses.mean().item() == pytest.approx(golden["loss"].item(), abs=2e-5)


def test_original_gradients(tiny_transformer):
    golden = load_file(GOLDEN / "training_forward.safetensors")
    names = {
        "decoder.layers.0.self_attn.q_proj.weight": "layers.0.self_attn.to_q.weight",
        "decoder.layers.2.mlp.down_proj.weight": "layers.2.mlp.down_proj.weight",
        "decoder.layers.3.cross_attn.o_proj.weight": "layers.3.cross_attn.to_out.0.weight",
        "decoder.proj_in.1.weight": "proj_in_conv.weight",
        "decoder.time_embed.linear_1.weight": "time_embed.linear_1.weight",
    }
    parameters = dict(tiny_transformer.named_parameters())
    wanted = [parameters[name].requires_grad_(True) for name in names.values()]
    losses = flow.frame_losses(
        tiny_transformer,
        golden["hidden_states"],
        golden["rand.noise_x1"],
        golden["mid.timestep"],
        golden["mid.encoder_hidden_states_after_cfg_dropout"],
        golden["mid.context_latents"],
    )
    gradients = torch.autograd.grad(losses.mean(), wanted)
    tiny_transformer.requires_grad_(False)
    for original, gradient in zip(names, gradients, strict=True):
        assert torch.allclose(gradient, golden[f"grad.{original}"], atol=2e-5), original


def test_times_are_rounded_to_the_models_precision():
    seen = []

    class Recorder(torch.nn.Module):
        def forward(self, hidden_states, timestep, timestep_r, **_):
            seen.append((timestep, timestep_r, hidden_states))
            return (torch.zeros_like(hidden_states),)

    data, noise = torch.zeros(1, 4, 8), torch.ones(1, 4, 8)
    context = torch.zeros(1, 4, 16, dtype=torch.bfloat16)
    time = torch.tensor([0.9545454])
    flow.frame_losses(Recorder(), data, noise, time, torch.zeros(1, 3, 8), context)
    timestep, timestep_r, mixed = seen[0]
    assert timestep.dtype == torch.bfloat16 and timestep.item() == timestep_r.item() == 0.953125
    assert mixed[0, 0, 0].item() == 0.953125


def test_loss_is_mean_squared_error_of_noise_minus_data():
    class Zero(torch.nn.Module):
        def forward(self, hidden_states, **_):
            return (torch.zeros_like(hidden_states),)

    data = torch.full((1, 3, 2), 1.0)
    noise = torch.tensor([[[2.0, 2.0], [3.0, 1.0], [1.0, 1.0]]])
    losses = flow.frame_losses(
        Zero(), data, noise, torch.tensor([0.5]), torch.zeros(1, 1, 1), torch.zeros(1, 3, 4)
    )
    assert losses.tolist() == [[1.0, 2.0, 0.0]]
    assert math.isclose(losses.mean().item(), 1.0)
