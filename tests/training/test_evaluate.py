"""Held-out loss: the same draws every time, only held-out frames, no dropout, no trace."""

from dataclasses import replace

import pytest
import torch

from acestep.data.tensors import Sample
from acestep.training.clips import make_clips, split_clips
from acestep.training.draws import TimeLaw
from acestep.training.evaluate import (
    fixed_losses,
    held_out_losses,
    is_sound,
    losses_by_song,
    mean,
    measure,
    training_side,
)

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


def clips_of(songs=3, share=0.1, origin=lambda n: "", frames=20):
    generator = torch.Generator().manual_seed(0)
    samples = [
        Sample(
            f"s{n}",
            f"song{n}",
            torch.randn(frames, 4, generator=generator),
            torch.zeros(2, 4),
            torch.zeros(frames, 8),
            {},
            origin(n),
        )
        for n in range(songs)
    ]
    return split_clips(make_clips(samples, CPU, torch.float32), share, 0)


def test_two_calls_differ_by_the_weights_alone():
    clips = clips_of().held_out
    torch.manual_seed(1)
    first = held_out_losses(Guess(0.0), clips, LAW, 42, CPU)
    torch.manual_seed(2)
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU) == first
    assert held_out_losses(Guess(0.5), clips, LAW, 42, CPU) != first
    assert held_out_losses(Guess(0.0), clips, LAW, 43, CPU) != first
    assert first.keys() == {"song0", "song1", "song2"}


def test_only_held_out_frames_count():
    clips = clips_of().held_out
    before = held_out_losses(Guess(0.0), clips, LAW, 42, CPU)
    for clip in clips:
        clip.latents[:, : clip.frames.start] += 100.0
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU) == before
    clips[0].latents[:, clip.frames.start :] += 100.0
    assert held_out_losses(Guess(0.0), clips, LAW, 42, CPU)["song0"] > 1000


def test_a_zero_guess_costs_the_velocitys_power():
    losses = held_out_losses(Guess(0.0), clips_of(8, frames=400).held_out, LAW, 42, CPU)
    assert mean(losses) == pytest.approx(2.0, abs=0.1)  # noise − data, both of variance 1


def test_dropout_is_off_and_the_mode_is_given_back():
    for training in (True, False):
        model = Guess(0.0).train(training)
        held_out_losses(model, clips_of().held_out, LAW, 42, CPU)
        assert not any(model.modes) and model.training == training


@pytest.mark.parametrize(("value", "sound"), [(0.5, True), (float("inf"), False)])
def test_a_model_is_sound_while_its_losses_are_finite(value, sound):
    guess = Guess(value).train()
    assert is_sound(guess, clips_of().train[0], LAW, CPU) is sound
    assert guess.modes == [False] and guess.training


def test_beside_parts_of_songs_the_rest_of_the_same_clips_is_measured():
    cut = clips_of(3)
    assert training_side(cut) == cut.train == training_side(cut, everything=True)
    found = measure(Guess(0.0), cut, LAW, 42, CPU)
    assert found.times == tuple(LAW.fixed())
    assert losses_by_song(found.held_out) == held_out_losses(Guess(0.0), cut.held_out, LAW, 42, CPU)
    for song in ("song0", "song1", "song2"):
        clip = next(clip for clip in cut.held_out if clip.song == song)
        both = [side[song].means[0] for side in (found.training, found.held_out)]
        whole = fixed_losses(Guess(0.0), [], [replace(c, frames=slice(0, 20)) for c in cut.train],
                             LAW, 42, CPU)[1]  # fmt: skip
        shares = [clip.frames.start / 20, 1 - clip.frames.start / 20]
        expected = both[0] * shares[0] + both[1] * shares[1]
        assert torch.allclose(whole[song].means[0], expected, rtol=1e-5)


def test_beside_whole_songs_as_many_training_clips_are_measured():
    whole = clips_of(20)
    assert len(whole.held_out) == 2 and len(whole.train) == 18
    assert [clip.name for clip in training_side(whole)] == [
        whole.train[0].name, whole.train[9].name,
    ]  # fmt: skip
    assert training_side(whole, everything=True) == whole.train
    assert not {clip.song for clip in whole.held_out} & {c.song for c in training_side(whole)}


def test_where_nothing_is_held_out_all_songs_are_measured():
    everything = clips_of(5, share=0)
    found = measure(Guess(0.0), everything, LAW, 42, CPU)
    assert (found.held_out, len(found.training)) == ({}, 5)


def test_variants_of_songs_are_not_measured():
    varied = clips_of(12, share=0, origin=lambda n: "song0" if n % 2 else "")
    assert {clip.song for clip in training_side(varied)} == {f"song{n}" for n in range(0, 12, 2)}
    only = clips_of(3, share=0, origin=lambda n: "lost")
    assert training_side(only) == only.train


def test_passages_are_equal_parts_of_the_frames_that_count():
    found = measure(Guess(0.3), clips_of(12, frames=32), LAW, 1, CPU, everything=True)
    for losses in [*found.held_out.values(), *found.training.values()]:
        assert losses.passages.shape == (8, 8)
        assert torch.allclose(losses.passages.mean(0), losses.means[0], rtol=1e-5)
    short = measure(Guess(0.3), clips_of(12, frames=3), LAW, 1, CPU)
    assert next(iter(short.held_out.values())).passages.shape == (3, 8)
