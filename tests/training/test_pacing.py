"""How a run's switches are chosen, and that they change no result."""

from pathlib import Path

import pytest
import torch

from acestep.config import TrainConfig
from acestep.speed.pace import Choice
from acestep.training.filling import Before
from acestep.training.pacing import choose_pace

CPU = torch.device("cpu")


def pace(samples=4, device=CPU, **knobs):
    config = TrainConfig(tensors=Path("-"), gradient_checkpointing="off", compile="off", **knobs)
    precision = Choice("float32", "a test")
    return choose_pace(config, None, [], samples, device, precision, Before())


def test_clips_go_one_by_one_unless_a_gpu_has_several():
    """How many go together there: ``test_filling``."""
    cuda = torch.device("cuda")
    assert pace().patches_at_once.value == 0
    assert pace(1, cuda).patches_at_once.value == 0
    assert pace(patches_at_once=70).patches_at_once.value == 70
    assert pace(1, cuda, patches_at_once=0).patches_at_once.why == "as asked for"


@pytest.mark.parametrize("knob", [0, 500])
def test_the_attention_is_named(knob):
    assert pace(patches_at_once=knob).attention.value == "local"
