"""The level of checkpointing and the clips at once that fill the memory there is."""

from types import SimpleNamespace

import pytest
import torch

from acestep.config import TrainConfig
from acestep.data.tensors import Sample
from acestep.speed.levels import LEVELS
from acestep.speed.measured import Line
from acestep.speed.memory import GIB
from acestep.training import filling
from acestep.training.clips import make_clips
from acestep.training.filling import Before, choose_filling

CONFIG = SimpleNamespace(
    num_hidden_layers=24,
    hidden_size=2048,
    intermediate_size=6144,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    patch_size=2,
    audio_acoustic_hidden_dim=64,
)
# Bytes: what lies there, and what a patch brings, at each level
LINES = {"none": 3.4e6, "products": 1.3e6, "attention": 0.5e6, "full": 0.27e6}


def real_model(device, dtype=torch.bfloat16):
    """What is asked of the 2B model, without its weights."""
    weight = SimpleNamespace(device=torch.device(device), dtype=dtype)
    return SimpleNamespace(config=CONFIG, patch_size=2, proj_in_conv=SimpleNamespace(weight=weight))


def clips(*seconds):
    samples = [
        Sample(
            f"s{number}",
            "s",
            torch.zeros(round(25 * length), 8),
            torch.zeros(200, 16),
            torch.zeros(1, 16).expand(round(25 * length), 16),
            {},
        )
        for number, length in enumerate(seconds)
    ]
    return make_clips(samples, torch.device("cpu"), torch.float32)


@pytest.fixture
def fill(monkeypatch):
    """What is chosen with so many GiB of room; and which levels were measured."""
    measured = []

    def line(transformer, level, condition, optimizer, meter):
        assert 0 < condition < 1 and optimizer == "adamw"
        measured.append(level)
        return Line(3.6 * GIB, LINES[level])

    def choose(gib, device="cuda", seconds=(60,), samples=4, before=None, **knobs):
        measured.clear()
        monkeypatch.setattr(filling, "measure", line)
        monkeypatch.setattr(filling, "room", lambda device, limit: gib * GIB)
        config = TrainConfig(tensors="-", **knobs)
        model, songs = real_model(device), clips(*seconds)
        level, at_once = choose_filling(
            config, model, songs, samples, torch.device(device), before or Before()
        )
        return level, at_once, list(measured)

    return choose


@pytest.mark.parametrize(
    ("gib", "seconds", "level", "at_once"),
    [
        (140, 60, "none", 3000),
        (7, 60, "none", 1073),  # 3.4 GiB are left, of 3.4 MB each
        (5, 60, "products", 1156),
        (140, 240, "none", 3000),
        (12, 240, "products", 3000),
        (5.2, 240, "attention", 3000),
        (4.4, 240, "full", 3000),
        (6, 20, "none", 758),
    ],
)
def test_on_a_card_two_passes_at_each_level_in_question_decide(fill, gib, seconds, level, at_once):
    chosen, together, measured = fill(gib, seconds=(seconds, 5))
    assert chosen.value == level and not chosen.slower and "measured" in chosen.why
    assert together.value == pytest.approx(at_once, abs=2)
    assert tuple(measured) == LEVELS[: LEVELS.index(level) + 1]


def test_what_is_asked_for_is_done_and_nothing_is_measured_for_it(fill):
    level, at_once, measured = fill(1, gradient_checkpointing="none", patches_at_once=70)
    assert (level.value, level.why) == ("none", "as asked for")
    assert (at_once.value, at_once.why) == (70, "as asked for") and not measured
    level, at_once, measured = fill(5, gradient_checkpointing="full")
    assert level.why == "as asked for" and at_once.value == 3000 and measured == ["full"]
    # With so many at once more memory is needed than for a clip
    assert fill(8, patches_at_once=3000)[0].value == "products"
    assert fill(8, patches_at_once=3000, samples=1)[0].value == "none"


def test_one_clip_and_a_cpu_go_one_by_one(fill):
    level, at_once, _ = fill(40, samples=1)
    assert at_once.value == 0 and level.value == "none"
    level, at_once, measured = fill(40, device="cpu")
    assert at_once.value == 0 and level.value == "none" and "predicted" in level.why
    assert not measured
    assert fill(4.5, device="cpu", seconds=(240,))[0].value == "full"
    assert fill(4.5, device="cpu", seconds=(240,), base_precision="int8")[0].value == "attention"


def test_what_does_not_fit_is_said(fill):
    level, at_once, _ = fill(3)
    assert level.value == "full" and level.slower and "3.0 GiB" in level.why
    assert at_once.value == 0 and at_once.slower


def test_a_resumed_run_keeps_what_it_came_down_to_and_what_goes_together(fill):
    level, at_once, _ = fill(40, before=Before("attention", 750))
    assert level.value == "attention" and level.slower and at_once.value == 750
    level, at_once, _ = fill(40, before=Before(None, 0))
    assert level.value == "none" and not level.slower and at_once.value == 0
    level, _, _ = fill(5, seconds=(240,), before=Before("products"))
    assert level.value == "attention"  # less than before is there now
