"""What is trained on and what is held out."""

import pytest
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


# Variants


def family(song, number, speed=1.0, frames=250, start=0.0, part=0):
    """A clip of a song (number 0) or of one of its variants."""
    name = song if number == 0 else f"{song}v{number}"
    origin = "" if number == 0 else song
    stretched = round(frames / speed)
    tensors = (torch.randn(stretched, 8), torch.randn(5, 16), torch.randn(stretched, 16))
    return Sample(f"sample_{name}_{part}", name, *tensors, {}, origin, speed, start)


def seconds_of(clip):
    """When each trained or held-out frame of a clip begins and ends, in its root song."""
    edges = (clip.start + torch.arange(clip.latents.shape[1] + 1).double() / 25) * clip.speed
    return [
        (edges[i].item(), edges[i + 1].item()) for i in range(clip.frames.start, clip.frames.stop)
    ]


def assert_nothing_held_out_is_trained_on(split):
    for held in split.held_out:
        for first, last in seconds_of(held):
            for clip in split.train:
                if clip.root == held.root:
                    for begin, end in seconds_of(clip):
                        assert end <= first + 1e-6 or begin >= last - 1e-6, (clip.name, held.name)


@pytest.mark.parametrize("songs", [10, 12, 25])
def test_no_variant_of_a_held_out_song_is_trained_on(songs):
    names = [f"song{number}" for number in range(songs)]
    samples_ = [family(name, number, frames=20) for name in names for number in range(4)]
    for seed in range(5):
        split = split_clips(make_clips(samples_, CPU, torch.float32), 0.1, seed)
        held = {clip.song for clip in split.held_out}
        assert len(held) == max(1, round(songs / 10)) and held <= set(names)
        assert held.isdisjoint(clip.root for clip in split.train)
        assert len(split.train) == 4 * (songs - len(held))
        assert split.how == f"{len(held)} of {songs} songs, with their variants"


def test_the_songs_held_out_are_the_same_with_variants_and_without():
    alone = [family(f"song{number}", 0, frames=20) for number in range(20)]
    with_variants = alone + [family(f"song{number}", 1, frames=20) for number in range(20)]
    first, second = (
        {clip.song for clip in split_clips(make_clips(each, CPU, torch.float32), 0.1, 3).held_out}
        for each in (alone, with_variants)
    )
    assert first == second


@pytest.mark.parametrize("speed", [0.97, 1.0, 1.03, 1.2])
@pytest.mark.parametrize("frames", [250, 253, 251])
def test_few_songs_hold_the_same_music_out_of_their_variants(speed, frames):
    samples_ = [family(name, n, speed if n else 1.0, frames) for name in "ab" for n in range(3)]
    split = split_clips(make_clips(samples_, CPU, torch.float32), 0.1, seed=1)
    assert [clip.song for clip in split.held_out] == ["a", "b"]
    assert len(split.train) == 6 and "of its variants (only 2 songs)" in split.how
    assert_nothing_held_out_is_trained_on(split)
    if speed == 1.0:  # a variant of the same length trains on as much as its song
        assert len({clip.frames.stop for clip in split.train}) == 1
    assert all(clip.frames.stop >= 0.85 * clip.latents.shape[1] for clip in split.train)


@pytest.mark.parametrize("speed", [0.9, 0.97, 1.03, 1.1])
def test_segments_of_a_faster_variant_meet_other_seconds_of_their_song(speed):
    samples_ = [
        family("a", number, 1.0, 100, start=4.0 * part, part=part)
        for number in range(1)
        for part in range(8)
    ]
    samples_ += [
        Sample(
            f"sample_av1_{part}",
            "av1",
            torch.randn(100, 8),
            torch.randn(5, 16),
            torch.randn(100, 16),
            {},
            "a",
            speed,
            4.0 * part,
        )
        for part in range(8)
    ]
    split = split_clips(make_clips(samples_, CPU, torch.float32), 0.1, seed=1)
    assert len(split.held_out) == 8 and len(split.train) == 16
    assert_nothing_held_out_is_trained_on(split)
    trained = sum(clip.frames.stop - clip.frames.start for clip in split.train if clip.origin)
    assert trained >= 8 * 50


def test_of_a_song_that_is_not_there_one_variant_stands_for_it():
    samples_ = [family("gone", 1, 1.03), family("gone", 2, 0.97), family("b", 0)]
    split = split_clips(make_clips(samples_, CPU, torch.float32), 0.1, seed=1)
    assert [clip.song for clip in split.held_out] == ["gonev1", "b"]
    assert_nothing_held_out_is_trained_on(split)
    many = [family(f"song{i}", n, frames=20) for i in range(12) for n in (1, 2)]
    split = split_clips(make_clips(many, CPU, torch.float32), 0.1, seed=1)
    assert len(split.held_out) == 1 and len(split.train) == 22
