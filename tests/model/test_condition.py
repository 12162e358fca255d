import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from acestep.data.song import PromptLabels
from acestep.model.base import (
    find_model,
    load_condition_encoder,
    load_silence,
    load_text_encoder,
)
from acestep.model.condition import (
    encode_condition,
    silence_context,
    silence_frames,
    text_states,
)
from acestep.model.prompt import build_prompt
from tests.model.xl_checkpoint import make_xl

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")
FLOAT = torch.float32


@pytest.fixture(scope="module", params=["upstream_tiny/acestep-v15-turbo", "diffusers_tiny"])
def model(request):
    return find_model(str(GOLDEN / request.param))


@pytest.fixture(scope="module")
def encoder(model):
    return load_condition_encoder(model, CPU, FLOAT)


def furthest(ours, golden):
    assert ours.shape == golden.shape
    return (ours - golden).abs().max().item()


@pytest.mark.parametrize("index", [0, 1])
def test_text_states_equal_the_original(model, index):
    golden = load_file(GOLDEN / "text.safetensors")
    text = json.loads((GOLDEN / "text.json").read_text())
    metas = {key: None if value == "N/A" else value for key, value in text["metas"][index].items()}
    labels = PromptLabels(
        caption=text["captions"][index],
        lyrics=text["lyrics"][index],
        bpm=metas["bpm"],
        keyscale=metas["keyscale"],
        timesignature=metas["timesignature"],
        language=text["languages"][index],
        seconds=metas["duration"],
    )
    tokenizer, text_encoder = load_text_encoder(model, CPU, FLOAT)
    caption, lyrics = text_states(text_encoder, build_prompt(labels, tokenizer), CPU)
    valid = golden["text_attention_mask"][index]
    assert furthest(caption[0], golden["text_hidden_states"][index][valid]) < 2e-5
    valid = golden["lyric_attention_mask"][index]
    assert lyrics[0].equal(golden["lyric_hidden_states"][index][valid])
    assert not caption.requires_grad and not lyrics.requires_grad


def test_silence_is_the_reference_where_there_is_none(encoder):
    golden = load_file(GOLDEN / "condition.safetensors")
    text, lyrics = golden["b.text_hidden_states"], golden["b.lyric_hidden_states"]
    states = encode_condition(encoder, text, lyrics)
    assert furthest(states, golden["b.encoder_hidden_states"]) < 2e-5
    assert furthest(states[:, 40:41], golden["b.timbre_unpacked"]) < 2e-5  # behind the lyrics
    silence = encoder.silence_latent[:, :750]
    assert encode_condition(encoder, text, lyrics, silence).equal(states)


def test_a_given_reference_is_used(encoder):
    golden = load_file(GOLDEN / "condition.safetensors")
    text, lyrics = golden["b.text_hidden_states"], golden["b.lyric_hidden_states"]
    states = encode_condition(encoder, text, lyrics, torch.zeros(1, 1, 8))
    assert furthest(states, golden["c.encoder_hidden_states"]) < 2e-5
    two = encode_condition(encoder, text, lyrics, torch.randn(2, 30, 8))
    assert two.shape == (1, 40 + 2 + 12, 32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_contexts_are_silence_and_the_chunk_mask(model, dtype):
    silence = load_silence(model).to(dtype)
    context = silence_context(silence, 130)
    assert context.shape == (1, 130, 16) and context.dtype == dtype
    assert context[..., :8].equal(silence[:, :130]) and bool((context[..., 8:] == 1).all())
    assert bool((silence_context(silence, 3, chunk_mask=2.0)[..., 8:] == 2).all())


def test_silence_begins_again_where_it_ends():
    silence = torch.arange(10.0).reshape(1, 5, 2)
    again = silence_frames(silence, 12)
    assert again.equal(torch.cat([silence, silence, silence[:, :2]], dim=1))
    assert silence_frames(silence, 5).equal(silence)


def rotated(states, theta):
    """Rotary positions in Qwen3's layout: the first half of a head turns against the second."""
    length, half = states.shape[1], states.shape[-1] // 2
    angles = torch.outer(torch.arange(length), theta ** -(torch.arange(half) / half))
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    first, second = states[..., :half], states[..., half:]
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return torch.cat(turned, dim=-1)


def normed(states, weight):
    return states * (states.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


def attention(weights, prefix, states, heads, kv_heads, window):
    def project(name, count):
        return (states @ weights[f"{prefix}.{name}_proj.weight"].T).unflatten(-1, (count, -1))

    query = rotated(normed(project("q", heads), weights[f"{prefix}.q_norm.weight"]), 1e6)
    key = rotated(normed(project("k", kv_heads), weights[f"{prefix}.k_norm.weight"]), 1e6)
    key = key.repeat_interleave(heads // kv_heads, dim=2)
    value = project("v", kv_heads).repeat_interleave(heads // kv_heads, dim=2)
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    if window is not None:
        place = torch.arange(states.shape[1])
        scores = scores.masked_fill((place[:, None] - place).abs() > window, -torch.inf)
    mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value).flatten(2)
    return mixed @ weights[f"{prefix}.o_proj.weight"].T


def xl_timbre(tensors, reference):
    """The XL timbre token, written out from the original's tensors: token first, then the clip."""
    prefix = "encoder.timbre_encoder."
    weights = {
        key.removeprefix(prefix): value.double()
        for key, value in tensors.items()
        if key.startswith(prefix)
    }
    states = reference.double() @ weights["embed_tokens.weight"].T + weights["embed_tokens.bias"]
    states = torch.cat([weights["special_token"].expand(len(states), -1, -1), states], dim=1)
    for layer, window in enumerate((4, None)):
        path = f"layers.{layer}"
        inner = normed(states, weights[f"{path}.input_layernorm.weight"])
        states = states + attention(weights, f"{path}.self_attn", inner, 4, 2, window)
        inner = normed(states, weights[f"{path}.post_attention_layernorm.weight"])
        gate = inner @ weights[f"{path}.mlp.gate_proj.weight"].T
        up = inner @ weights[f"{path}.mlp.up_proj.weight"].T
        states = states + (gate.sigmoid() * gate * up) @ weights[f"{path}.mlp.down_proj.weight"].T
    return normed(states, weights["norm.weight"])[:, 0]


def test_xl_reads_the_timbre_from_its_own_token(tmp_path):
    model, tensors = make_xl(tmp_path / "models")
    encoder = load_condition_encoder(model, CPU, FLOAT)
    generator = torch.Generator().manual_seed(5)
    text = torch.randn(1, 7, 24, generator=generator)
    lyrics = torch.randn(1, 11, 24, generator=generator)
    plain = encode_condition(encoder, text, lyrics)
    states = encode_condition(encoder, text, lyrics, is_xl=model.is_xl)
    timbre = xl_timbre(tensors, load_silence(model)[:, :750])
    assert furthest(states[:, 11].double(), timbre) < 1e-4
    others = [*range(11), *range(12, 19)]
    assert states[:, others].equal(plain[:, others])
    assert furthest(plain[:, 11], states[:, 11]) > 0.1
    assert encode_condition(encoder, text, lyrics).equal(plain)  # nothing is left behind

    clips = torch.randn(2, 30, 8, generator=generator)
    both = encode_condition(encoder, text, lyrics, clips, is_xl=True)
    assert furthest(both[0, 11:13].double(), xl_timbre(tensors, clips)) < 1e-4
