"""Held-out loss: the same draws every time, only held-out frames, no dropout, no trace."""

import pytest
import torch

from acestep.data.tensors import Sample
from acestep.training.clips import make_clips, split_clips
from acestep.training.draws import TimeLaw
from acestep.training.evaluate import held_out_losses, is_sound, mean

CPU = torch.device("cpu")
LAW = TimeLaw("turbo", 3.0)


class Guess(torch.nn.Module):
    """Predicts a constant velocity, and shows whether dropout was on."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))
        self.modes = []

    def forward(self, hidden_states, **_):
        self.modes.append(self.training)
        return (torch.full_like(hidden_states, self.value.item()),)


def split(songs=3, frames=20):
    generator = torch.Generator().manual_seed(0)
    samples = [
        Sample(
            f"s{n}",
            f"song{n}",
            torch.randn(frames, 4, generator=generator),
            torch.zeros(2, 4),
            torch.zeros(frames, 8),
            {},
        )
        for n in range(songs)
    ]
    return split_clips(make_clips(samples, CPU, torch.float32), 0.1, 0)


def test_two_calls_differ_by_the_weights_alone():
    clips = split().held_out
    torch.manual_seed(1)
    first = held_out_losses(Guess(0.0), clips, LAW, 42, CPU)
    torch.manual_seed(2)
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU) == first
    assert held_out_losses(Guess(0.5), clips, LAW, 42, CPU) != first
    assert held_out_losses(Guess(0.0), clips, LAW, 43, CPU) != first
    assert first.keys() == {"song0", "song1", "song2"}


def test_only_held_out_frames_count():
    clips = split().held_out
    before = held_out_losses(Guess(0.0), clips, LAW, 42, CPU)
    for clip in clips:
        clip.latents[:, : clip.frames.start] += 100.0
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU) == before
    clips[0].latents[:, clip.frames.start :] += 100.0
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU)["song0"] > 1000


def test_a_zero_guess_costs_the_velocitys_power():
    losses = held_out_losses(Guess(0.0), split(8, 400).held_out, LAW, 42, CPU)
    assert mean(losses) == pytest.approx(2.0, abs=0.1)  # noise − data, both of variance 1


def test_dropout_is_off_and_the_mode_is_given_back():
    for training in (True, False):
        model = Guess(0.0).train(training)
        held_out_losses(model, split().held_out, LAW, 42, CPU)
        assert not any(model.modes) and model.training == training


@pytest.mark.parametrize(("value", "sound"), [(0.5, True), (float("inf"), False)])
def test_a_model_is_sound_while_its_losses_are_finite(value, sound):
    guess = Guess(value).train()
    assert is_sound(guess, split().train[0], LAW, CPU) is sound
    assert guess.modes == [False] and guess.training
