import pytest
import torch

from acestep.errors import RunError
from acestep.events import Step
from acestep.mini.train.text import TextConfig, load_text_encoder, train
from tests.mini.train.conftest import ENDLESS


def test_it_learns_and_leaves_an_encoder(root):
    (root / "text" / "encoder.safetensors").unlink()
    with pytest.raises(RunError, match="encoder.safetensors is missing"):
        load_text_encoder(root)
    config = TextConfig(resume=root, steps=12, batch=8, songs=24, warmup=1, minutes=5)
    losses = [event.loss for event in train(config, ENDLESS) if isinstance(event, Step)]
    assert losses[-1] < 0.9 * losses[0]
    states = load_text_encoder(root)(input_ids=torch.tensor([[5, 6, 7]])).last_hidden_state
    assert torch.isfinite(states).all()
    assert "tempo" in (root / "training" / "text.jsonl").read_text()
