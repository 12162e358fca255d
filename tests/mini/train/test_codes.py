import pytest
import torch

from acestep.errors import RunError
from acestep.events import Step
from acestep.mini.train.codes import CodesConfig, load_codes, soft_codes, train
from acestep.mini.train.shapes import build_codes
from tests.mini.train.conftest import ENDLESS


def test_soft_codes_have_the_classes_values_and_a_gradient():
    tokenizer, _ = build_codes()
    windows = torch.randn(2, 3, 5, 64)
    found = soft_codes(tokenizer, windows)
    torch.testing.assert_close(found, tokenizer(windows)[0], rtol=0, atol=1e-5)
    found.sum().backward()
    assert tokenizer.audio_acoustic_proj.weight.grad.abs().sum() > 0


def test_it_learns_and_leaves_both_parts(root):
    config = CodesConfig(resume=root, steps=20, batch=64, warmup=1)
    losses = [event.loss for event in train(config, ENDLESS) if isinstance(event, Step)]
    assert losses[-1] < losses[0]
    tokenizer, detokenizer = load_codes(root)
    codes, _ = tokenizer.tokenize(torch.randn(1, 20, 64))
    assert detokenizer(codes).shape == (1, 20, 64)


def test_without_songs_or_codes_it_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match="has no songs"):
        list(train(CodesConfig(resume=tmp_path), ENDLESS))
    with pytest.raises(RunError, match="codes.safetensors is missing"):
        load_codes(tmp_path)
