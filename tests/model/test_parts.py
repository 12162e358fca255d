"""Parts are loaded once, one at a time with offload, and know the VAE's numbers."""

from pathlib import Path

import pytest
import torch

from acestep.model.base import find_model, load_vae
from acestep.model.parts import PART_NAMES, Parts

TINY = str(Path(__file__).parents[1] / "golden/upstream_tiny/acestep-v15-turbo")


def open_parts(dtype=torch.float32, **options) -> Parts:
    return Parts(find_model(TINY), torch.device("cpu"), dtype, **options)


def test_numbers_of_the_model():
    parts = open_parts()
    assert (parts.rate, parts.hop, parts.channels) == (48000, 1920, 8)
    assert parts.silence.shape == (1, 15000, 8)
    assert parts.loaded() == []


def test_a_part_is_loaded_once():
    parts = open_parts()
    assert parts.transformer() is parts.transformer()
    assert parts.vae() is parts.vae()
    assert parts.loaded() == ["transformer", "vae"]
    parts.free()
    assert parts.loaded() == []


def test_offload_keeps_one_part():
    parts = open_parts(offload=True)
    for name in PART_NAMES:
        taken = {
            "text_encoder": parts.text_encoder,
            "condition_encoder": parts.condition_encoder,
            "audio_tokenizer": parts.audio_tokenizer,
            "transformer": parts.transformer,
            "vae": parts.vae,
        }[name]()
        assert taken is not None
        assert parts.loaded() == [name]


def test_the_vae_stays_in_float32():
    parts = open_parts(torch.bfloat16)
    assert next(parts.vae().parameters()).dtype == torch.float32
    assert next(parts.transformer().parameters()).dtype == torch.bfloat16
    assert parts.silence.dtype == torch.bfloat16


def test_an_unknown_part():
    with pytest.raises(ValueError, match="drums"):
        open_parts().load("drums")


@pytest.mark.parametrize(
    ("device", "dtype", "decoder"),
    [
        ("cpu", torch.bfloat16, torch.float32),
        ("cuda", torch.float32, torch.float32),
        ("cuda", torch.bfloat16, torch.float16),
    ],
)
def test_only_a_gpu_decodes_in_half_precision(device, dtype, decoder, monkeypatch):
    monkeypatch.setattr(
        "acestep.model.parts.load_vae", lambda model, device: load_vae(model, torch.device("cpu"))
    )
    parts = Parts(find_model(TINY), torch.device(device), dtype)
    assert next(parts.vae().decoder.parameters()).dtype == decoder
    assert next(parts.vae().encoder.parameters()).dtype == torch.float32
