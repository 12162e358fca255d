"""A batch of padded prompts gives each song what the classes give it alone."""

import pytest
import torch

from acestep.mini.train.network import (
    Told,
    condition_states,
    pad_prompts,
    silent_timbre,
    text_states,
    velocity,
)
from acestep.mini.train.shapes import (
    build_condition_encoder,
    build_text_encoder,
    build_transformer,
)
from acestep.model.condition import encode_condition
from acestep.model.condition import text_states as one_text
from acestep.model.prompt import Prompt

PROMPTS = [
    Prompt("", "", tuple(range(5, 5 + caption)), tuple(range(50, 50 + lyrics)))
    for caption, lyrics in ((60, 14), (33, 40), (70, 150))
]


@pytest.fixture(scope="module")
def parts():
    silence = torch.randn(1, 800, 64, generator=torch.Generator().manual_seed(1))
    modules = build_text_encoder(), build_condition_encoder(silence), build_transformer()
    return tuple(module.eval().requires_grad_(False) for module in modules)


def test_text_states_are_the_text_encoders(parts):
    ids = torch.randint(700, (2, 30))
    expected = parts[0](input_ids=ids).last_hidden_state
    torch.testing.assert_close(text_states(parts[0], ids), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("frames", [64, 300])
def test_padding_changes_nothing(parts, frames):
    text, condition, transformer = parts
    texts = pad_prompts(PROMPTS, caption=80, lyrics=160)
    states, real = condition_states(text, condition, silent_timbre(condition), texts)
    noisy, context = torch.randn(3, frames, 64), torch.randn(3, frames, 128)
    time = torch.tensor([0.2, 0.9, 1.0])
    found = velocity(transformer, noisy, time, Told(states, real, context))
    for number, prompt in enumerate(PROMPTS):
        alone = encode_condition(condition, *one_text(text, prompt, torch.device("cpu")))
        mine = states[number][real[number]]
        torch.testing.assert_close(mine, alone[0], rtol=0, atol=2e-5)
        one = slice(number, number + 1)
        expected = transformer(
            hidden_states=noisy[one], timestep=time[one], timestep_r=time[one],
            encoder_hidden_states=alone, context_latents=context[one],
        ).sample  # fmt: skip
        torch.testing.assert_close(found[one], expected, rtol=0, atol=2e-5)
