"""The attention processor on the transformer: golden velocities, batches, no dense mask."""

from pathlib import Path

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from diffusers.models.transformers import ace_step_transformer
from safetensors.torch import load_file
from torch.nn.functional import pad

from acestep.model.find import find_model
from acestep.model.load import load_transformer
from acestep.speed.attention import (
    choose_kernel,
    clip_lengths,
    install_attention,
    processor_of,
    same_condition,
)

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def transformer():
    return load_transformer(find_model(str(GOLDEN / "diffusers_tiny")), CPU, torch.float32).eval()


def small(window=128, **more):
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "in_channels": 24,
        "audio_acoustic_hidden_dim": 8, "encoder_hidden_size": 32,
    }  # fmt: skip
    return AceStepTransformer1DModel(sliding_window=window, **{**sizes, **more})


def inputs_of(frames, tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(1, frames, 8, generator=generator),
        "context_latents": torch.randn(1, frames, 16, generator=generator),
        "encoder_hidden_states": torch.randn(1, tokens, 32, generator=generator),
        "timestep": torch.rand(1, generator=generator),
    } | {"timestep_r": torch.tensor([0.25])}


def padded(members):
    longest = {name: max(one[name].shape[1] for one in members) for name in list(members[0])[:3]}
    batch = {
        name: torch.cat([pad(one[name], (0, 0, 0, size - one[name].shape[1])) for one in members])
        for name, size in longest.items()
    }
    times = ("timestep", "timestep_r")
    return batch | {name: torch.cat([one[name] for one in members]) for name in times}


def lengths_of(members):
    return (
        [-(-one["hidden_states"].shape[1] // 2) for one in members],
        [one["encoder_hidden_states"].shape[1] for one in members],
    )


@pytest.mark.parametrize("times", range(5))
def test_golden_clips_of_three_lengths_in_one_batch(transformer, times):
    """Velocities that the original computed for each case by itself."""
    golden = load_file(GOLDEN / "dit.safetensors")
    members, wanted = [], []
    for case in ("odd", "even", "short"):
        for row in range(golden[f"{case}.hidden_states"].shape[0]):
            names = ("hidden_states", "context_latents", "encoder_hidden_states")
            one = {name: golden[f"{case}.{name}"][row : row + 1] for name in names}
            for name in ("timestep", "timestep_r"):
                one[name] = golden[f"{case}.{times}.{name}"][row : row + 1]
            members.append(one)
            wanted.append(golden[f"{case}.{times}.velocity"][row])
    patches, conditions = lengths_of(members)
    assert len(set(patches)) == len(set(conditions)) == 3
    with torch.no_grad(), clip_lengths(transformer, patches, conditions):
        found = transformer(**padded(members)).sample
    assert found.isfinite().all()
    for velocity, one in zip(found, wanted, strict=True):
        assert (velocity[: one.shape[0]] - one).abs().max() < 5e-5


@pytest.mark.parametrize("frames", [1, 2, 257, 513, 1101])
def test_it_equals_diffusers_forward_and_gradients(frames):
    theirs, ours = small(), small()
    install_attention(ours)
    inputs = inputs_of(frames, 11)
    for model in (theirs, ours):
        model(**inputs).sample.square().mean().backward()
    found = {name: part.grad for name, part in ours.named_parameters() if part.grad is not None}
    assert found
    for name, part in theirs.named_parameters():
        if part.grad is not None:
            assert (found[name] - part.grad).abs().max() <= 1e-5 * part.grad.abs().max() + 1e-6
    difference = (ours(**inputs).sample - theirs(**inputs).sample).abs().max()
    assert difference < 1e-5


def test_a_batch_gives_the_gradients_of_its_members():
    model = small(window=8)
    install_attention(model)
    members = [inputs_of(*sizes, seed=n) for n, sizes in enumerate([(61, 9), (17, 4), (40, 12)])]
    patches, conditions = lengths_of(members)
    with clip_lengths(model, patches, conditions):
        found = model(**padded(members)).sample
    parameters = [part for part in model.parameters() if part.requires_grad]
    ups = [torch.randn(1, one["hidden_states"].shape[1], 8) for one in members]
    together = sum((found[row : row + 1, : up.shape[1]] * up).sum() for row, up in enumerate(ups))
    alone = sum((model(**one).sample * up).sum() for one, up in zip(members, ups, strict=True))
    assert together.item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-4)
    pairs = zip(
        torch.autograd.grad(together, parameters, allow_unused=True),
        torch.autograd.grad(alone, parameters, allow_unused=True),
        strict=True,
    )
    for a, b in pairs:
        assert a is None or (a - b).abs().max() <= 1e-5 * b.abs().max() + 1e-5


def test_what_lies_in_the_padding_is_not_heard():
    model = small(window=8)
    install_attention(model)
    members = [inputs_of(60, 12), inputs_of(30, 5, seed=1)]
    batch, lengths = padded(members), lengths_of(members)
    other = {name: part.clone() for name, part in batch.items()}
    other["hidden_states"][1, 30:] = 100
    other["context_latents"][1, 30:] = -100
    other["encoder_hidden_states"][1, 5:] = 100
    with torch.no_grad(), clip_lengths(model, *lengths):
        quiet, loud = model(**batch).sample, model(**other).sample
    assert quiet[0].equal(loud[0]) and quiet[1, :30].equal(loud[1, :30])
    with torch.no_grad():  # and without the lengths it is
        assert not model(**batch).sample[1, :30].allclose(model(**other).sample[1, :30])


def test_lengths_last_as_long_as_the_context_and_their_spans_until_the_next_pass():
    model = small()
    install_attention(model)
    with clip_lengths(model, [3, 2], [4, 1]):
        model(**padded([inputs_of(6, 4), inputs_of(4, 1)]))
    assert processor_of(model).lengths is None
    assert processor_of(model).spans[True].keys == (4, 1)
    model(**inputs_of(6, 4))
    assert processor_of(model).spans[True].keys == (4,)


def test_no_dense_mask_is_built(monkeypatch):
    model = small()
    install_attention(model)

    def forbidden(*args, **knobs):
        raise AssertionError("a dense mask was built")

    monkeypatch.setattr(ace_step_transformer, "_create_4d_mask", forbidden)
    assert model(**inputs_of(40, 5)).sample.isfinite().all()
    with pytest.raises(AssertionError, match="a dense mask was built"):
        small()(**inputs_of(40, 5))


def test_the_kernel_fits_the_device(monkeypatch):
    assert choose_kernel(CPU, torch.float32) == ("local", "true windows, in blocks")
    cuda = torch.device("cuda")
    assert choose_kernel(cuda, torch.float32)[0] == "local"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr("acestep.speed.attention.has_varlen", lambda: True)
    assert choose_kernel(cuda, torch.bfloat16)[0] == "varlen"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr("acestep.speed.attention._has_triton", lambda: True)
    kernel, why = choose_kernel(cuda, torch.float16)
    assert kernel == "flex" and "slower" in why
    monkeypatch.setattr("acestep.speed.attention._has_triton", lambda: False)
    kernel, why = choose_kernel(cuda, torch.float16)
    assert kernel == "local" and "Triton" in why


def test_steps_with_one_condition_compute_its_keys_once_and_the_same_numbers():
    model = small().eval()
    install_attention(model)
    first, second = inputs_of(37, 9), inputs_of(37, 9, seed=1)
    second["encoder_hidden_states"] = first["encoder_hidden_states"]
    calls = []
    for layer in model.layers:
        layer.cross_attn.to_k.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        alone = [model(**one, return_dict=False)[0] for one in (first, second)]
        assert len(calls) == 8
        told = {}
        with same_condition(model, told):
            shared = [model(**one, return_dict=False)[0] for one in (first, second)]
        assert len(calls) == 12 and len(told) == 4
        assert all(map(torch.equal, alone, shared))
        other = inputs_of(37, 5)
        model(**other, return_dict=False)  # the context is over: nothing is remembered
    assert len(calls) == 16
