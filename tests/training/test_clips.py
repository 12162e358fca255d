"""What is trained on and what is held out."""

import torch

from acestep.data.tensors import Sample
from acestep.training.clips import make_clips, split_clips

CPU = torch.device("cpu")


def samples(songs, frames=20, per_song=1):
    return [
        Sample(
            f"sample_{song}_{part}",
            f"song{song}",
            torch.randn(frames, 8),
            torch.randn(5, 16),
            torch.randn(frames, 16),
            {},
        )
        for song in range(songs)
        for part in range(per_song)
    ]


def clips(*args, **kwargs):
    return make_clips(samples(*args, **kwargs), CPU, torch.float32)


def test_latents_stay_float32_over_a_half_precision_base():
    clip = make_clips(samples(1), CPU, torch.bfloat16)[0]
    assert clip.latents.dtype == torch.float32
    assert clip.condition.dtype == clip.context.dtype == torch.bfloat16
    assert clip.latents.shape == (1, 20, 8) and clip.condition.shape == (1, 5, 16)


def test_few_songs_hold_out_the_last_tenth_of_each_and_say_so():
    split = split_clips(clips(8), 0.1, seed=1)
    assert len(split.train) == len(split.held_out) == 8
    for trained, held in zip(split.train, split.held_out, strict=True):
        assert trained.frames == slice(0, 18) and held.frames == slice(18, 20)
    assert "8 songs" in split.how and "10%" in split.how


def test_one_song_and_small_shares_are_said_as_they_are():
    how = split_clips(clips(1, frames=200), 0.005, seed=1).how
    assert how == "the last 0.5% of each (only 1 song)"


def test_many_songs_hold_out_whole_songs_with_all_their_segments():
    split = split_clips(clips(20, per_song=3), 0.1, seed=1)
    held = {clip.song for clip in split.held_out}
    assert len(held) == 2 and len(split.held_out) == 6
    assert held.isdisjoint(clip.song for clip in split.train)
    assert all(clip.frames == slice(0, 20) for clip in (*split.train, *split.held_out))


def test_the_choice_of_songs_is_the_seeds_alone():
    def held(seed):
        return {clip.song for clip in split_clips(clips(40), 0.1, seed).held_out}

    assert held(1) == held(1) != held(2)


def test_nothing_held_out_on_request():
    split = split_clips(clips(3), 0.0, seed=1)
    assert split.held_out == [] and len(split.train) == 3


def test_one_frame_clips_still_train():
    split = split_clips(clips(2, frames=1), 0.1, seed=1)
    assert all(clip.frames == slice(0, 1) for clip in split.train) and split.held_out == []
