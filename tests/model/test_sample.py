"""The sampler against latents of the original program (tests/golden/README.md)."""

from pathlib import Path

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from safetensors.torch import load_file

from acestep.model.flow import schedule, snap_times
from acestep.model.sample import (
    Condition,
    Guidance,
    adaptive_projected,
    angle_guided,
    denoise,
    draw_noise,
    rounded_times,
    side_by_side,
    start_from_source,
)
from acestep.speed.attention import install_attention

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "diffusers_tiny"
FRAMES = 50


@pytest.fixture(scope="module")
def turbo() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "generation_turbo.safetensors")


@pytest.fixture(scope="module")
def base() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "generation_base.safetensors")


@pytest.fixture(scope="module")
def transformer() -> torch.nn.Module:
    model = AceStepTransformer1DModel.from_pretrained(TINY / "transformer").eval()
    install_attention(model)
    return model


@pytest.fixture(scope="module")
def encoder() -> torch.nn.Module:
    return AceStepConditionEncoder.from_pretrained(TINY / "condition_encoder").eval()


@pytest.fixture(scope="module")
def states(encoder, turbo) -> torch.Tensor:
    return encode(encoder, turbo, "text")


@pytest.fixture(scope="module")
def silent(encoder) -> torch.Tensor:
    return encoder.silence_latent[:, :FRAMES].expand(2, -1, -1)


@pytest.fixture(scope="module")
def text2music(states, silent) -> Condition:
    return with_mask(states, silent)


def encode(encoder, turbo, text: str) -> torch.Tensor:
    with torch.no_grad():
        return encoder(
            turbo[f"{text}_hidden_states"],
            turbo[f"{text}_attention_mask"],
            turbo["lyric_hidden_states"],
            turbo["lyric_attention_mask"],
            encoder.silence_latent[:, :750].expand(2, -1, -1),
            torch.arange(2),
        )[0]


def with_mask(states, source, mask=None) -> Condition:
    mask = torch.ones_like(source) if mask is None else mask
    return Condition(states, torch.cat([source, mask], dim=-1))


def last(steps) -> torch.Tensor:
    return list(steps)[-1]


def assert_golden(latents, expected):
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, rtol=0, atol=1e-4)


def test_noise_is_one_draw_per_seed(turbo):
    noise = torch.cat([draw_noise(seed, FRAMES, 8) for seed in (1234, 77)])
    assert torch.equal(noise, turbo["noise_seed_1234_77"])


@pytest.mark.parametrize("shift", [1, 3])
def test_turbo(shift, transformer, turbo, text2music):
    times = schedule(8, shift)
    torch.testing.assert_close(torch.tensor(times), turbo[f"t2m_shift{shift}.schedule"])
    latents = last(denoise(transformer, turbo["noise_seed_1234_77"], times, text2music))
    assert_golden(latents, turbo[f"t2m_shift{shift}.target_latents"])


def test_every_turbo_step(transformer, turbo, text2music):
    noise = turbo["noise_seed_1234_77"]
    before = [noise, *denoise(transformer, noise, schedule(8, 3), text2music)][:-1]
    assert_golden(torch.stack(before), turbo["t2m_shift3.xt_before_step"])


def test_custom_times(transformer, turbo, text2music):
    times = snap_times([0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085, 0])
    torch.testing.assert_close(torch.tensor(times), turbo["t2m_custom_timesteps.schedule"])
    latents = last(denoise(transformer, turbo["noise_seed_1234_77"], times, text2music))
    assert_golden(latents, turbo["t2m_custom_timesteps.target_latents"])


def test_repaint(transformer, turbo, states):
    condition = with_mask(states, turbo["repaint_src_latents"], turbo["repaint_chunk_masks"])
    latents = last(denoise(transformer, turbo["noise_seed_1234_77"], schedule(8, 3), condition))
    assert_golden(latents, turbo["repaint.target_latents"])


@pytest.fixture(scope="module")
def cover(states, encoder, turbo) -> Condition:
    tokenizer = AceStepAudioTokenizer.from_pretrained(TINY / "audio_tokenizer").eval()
    detokenizer = AceStepAudioTokenDetokenizer.from_pretrained(
        TINY / "audio_token_detokenizer"
    ).eval()
    with torch.no_grad():
        codes, _ = tokenizer.tokenize(turbo["cover_src_latents"], encoder.silence_latent)
        return with_mask(states, detokenizer(codes)[:, :FRAMES])


def test_cover(transformer, turbo, cover):
    latents = last(denoise(transformer, turbo["noise_seed_1234_77"], schedule(8, 3), cover))
    assert_golden(latents, turbo["cover.target_latents"])


def test_cover_strength_switches_text_and_source(transformer, turbo, cover, encoder, silent):
    later = with_mask(encode(encoder, turbo, "non_cover_text"), silent)
    steps = denoise(
        transformer, turbo["noise_seed_1234_77"], schedule(8, 3), cover, later=later, switch_step=4
    )
    assert_golden(last(steps), turbo["cover_strength_0.5.target_latents"])


def test_cover_noise_strength_starts_from_the_source(transformer, turbo, cover):
    noise, source = turbo["noise_seed_1234_77"], turbo["cover_src_latents"]
    latents, times = start_from_source(source, noise, schedule(8, 3), 0.4)
    torch.testing.assert_close(torch.tensor(times), turbo["cover_noise_0.4.schedule"])
    latents = last(denoise(transformer, latents, times, cover))
    assert_golden(latents, turbo["cover_noise_0.4.target_latents"])


def test_no_source_noise_leaves_everything(turbo):
    noise = turbo["noise_seed_1234_77"]
    latents, times = start_from_source(turbo["cover_src_latents"], noise, schedule(8, 3), 0)
    assert torch.equal(latents, noise) and times == schedule(8, 3)


@pytest.mark.parametrize(
    ("case", "scale", "shift", "interval"),
    [
        ("nocfg_shift3_10", 1, 3, (0, 1)),
        ("apg7_shift1_10", 7, 1, (0, 1)),
        ("apg7_shift3_10", 7, 3, (0, 1)),
        ("apg4_interval_0.25_0.85", 4, 1, (0.25, 0.85)),
    ],
)
def test_base(case, scale, shift, interval, transformer, turbo, base, text2music, encoder):
    times = schedule(10, shift)
    torch.testing.assert_close(torch.tensor(times), base[f"{case}.schedule"])
    guidance = Guidance(encoder.null_condition_emb, scale, "apg", interval)
    noise = turbo["noise_seed_1234_77"]
    latents = last(denoise(transformer, noise, times, text2music, guidance=guidance))
    assert_golden(latents, base[f"{case}.target_latents"])


def test_angle_domain_guidance(transformer, turbo, base, text2music, encoder):
    one = Condition(text2music.states[:1], text2music.context[:1])
    guidance = Guidance(encoder.null_condition_emb, 4, "adg")
    noise = turbo["noise_seed_1234_77"][:1]
    latents = last(denoise(transformer, noise, schedule(10, 3), one, guidance=guidance))
    assert_golden(latents, base["adg4_shift3_10_batch1.target_latents"])


def test_angle_domain_guidance_of_equal_predictions_changes_nothing():
    latents, velocity = torch.randn(2, 1, 5, 8)
    guided = angle_guided(latents, 0.5, velocity, velocity, 7)
    torch.testing.assert_close(guided, velocity)


def test_projected_guidance_of_equal_predictions_changes_nothing():
    velocity = torch.randn(1, 5, 8)
    guided, momentum = adaptive_projected(velocity, velocity, 7, None)
    assert torch.equal(guided, velocity) and not momentum.any()


@pytest.mark.parametrize("method", [None, "apg", "adg"])
def test_pieces_side_by_side_are_what_they_are_alone(method, transformer, text2music, encoder):
    """Conditions of unequal lengths, another one from the third step on, with guidance or not."""
    generator = torch.Generator().manual_seed(0)
    states, context = text2music.states, text2music.context
    conditions = [
        Condition(states[:1], context[:1]),
        Condition(states[1:, :7], torch.randn(1, FRAMES, 16, generator=generator)),
        Condition(states[1:, :1], context[1:]),
    ]
    laters = [Condition(each.states.flip(1)[:, :5], each.context) for each in conditions]
    noises = [draw_noise(seed, FRAMES, 8) for seed in (1, 2, 3)]
    guided = Guidance(encoder.null_condition_emb, 4, method or "apg", (0.3, 1))
    how = {"guidance": guided if method else None, "switch_step": 2}
    times = schedule(5, 3)
    alone = [
        last(denoise(transformer, noise, times, condition, later=later, **how))
        for noise, condition, later in zip(noises, conditions, laters, strict=True)
    ]
    together = denoise(
        transformer,
        torch.cat(noises),
        times,
        side_by_side(conditions),
        later=side_by_side(laters),
        **how,
    )
    torch.testing.assert_close(last(together), torch.cat(alone), rtol=0, atol=2e-5)


def test_side_by_side_of_equal_lengths_pads_nothing(text2music):
    halves = [
        Condition(text2music.states[at : at + 1], text2music.context[at : at + 1]) for at in (0, 1)
    ]
    batch = side_by_side(halves)
    assert batch.lengths is None
    assert torch.equal(batch.states, text2music.states)
    assert torch.equal(batch.context, text2music.context)


def test_times_are_what_the_precision_can_say():
    assert rounded_times(schedule(8, 3), torch.bfloat16) == [
        1, 0.953125, 0.8984375, 0.83203125, 0.75, 0.64453125, 0.5, 0.30078125,
    ]  # fmt: skip


def test_a_bfloat16_model_stays_near_its_float32_self(transformer, turbo, text2music):
    half = AceStepTransformer1DModel.from_pretrained(
        TINY / "transformer", torch_dtype=torch.bfloat16
    ).eval()
    install_attention(half)
    condition = Condition(text2music.states.bfloat16(), text2music.context.bfloat16())
    noise = turbo["noise_seed_1234_77"]
    latents = last(denoise(half, noise, schedule(8, 3), condition))
    assert latents.dtype == torch.float32 and latents.isfinite().all()
    error = (latents - turbo["t2m_shift3.target_latents"]).norm() / latents.norm()
    assert error < 0.3
