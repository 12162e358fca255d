"""Pieces side by side: what each is alone, in what order, and what happens without memory."""

import numpy as np
import pytest
import torch

from acestep import playing
from acestep.adapters.stack import AdaptedParts
from acestep.config import GenerateConfig
from acestep.events import Notice, Progress
from acestep.model.base import find_model
from acestep.playing import Piece, Rendition, pieces_at_once, play_all
from acestep.render import Sounds, render_all, set_scenes

CPU = torch.device("cpu")
CAPTIONS = ("techno, 125 bpm", "a soft waltz for piano, slow and sad, with strings", "funk")


@pytest.fixture(scope="module")
def mini() -> AdaptedParts:
    return AdaptedParts(find_model("mini"), CPU, torch.float32)


def returned(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def pieces_of(parts, configs, sounds=None) -> list[Piece]:
    scenes = returned(set_scenes(parts, configs, sounds or Sounds(), set()))
    return list(map(Piece, configs, scenes))


@pytest.fixture(scope="module")
def pieces(mini) -> list[Piece]:
    """Three prompts of unequal lengths, then one that goes another way."""
    common = {"duration": 3, "steps": 3}
    configs = [GenerateConfig(caption=c, seed=n, **common) for n, c in enumerate(CAPTIONS)]
    return pieces_of(mini, [*configs, GenerateConfig(caption="jazz", duration=2, steps=2)])


@pytest.fixture(scope="module")
def alone(mini, pieces) -> list[Rendition]:
    return [played(mini, [piece])[0][0] for piece in pieces]


def played(parts, pieces) -> tuple[list[Rendition], list]:
    items = list(play_all(parts, pieces))
    renditions = [item for item in items if isinstance(item, Rendition)]
    return renditions, [item for item in items if not isinstance(item, Rendition)]


def test_on_a_cpu_pieces_are_what_they_are_alone_to_the_bit(mini, pieces, alone):
    assert pieces_at_once(mini, pieces[0].scene) == 1
    together, events = played(mini, pieces)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.audio, other.audio) and one.facts == other.facts
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done) and done[-1] == 3 * 3 + 2
    assert {event.total for event in events} == {11}


def test_side_by_side_they_are_the_same_to_rounding(mini, pieces, alone, monkeypatch):
    sizes = watch(monkeypatch, at_once=8)
    together, events = played(mini, pieces)
    assert sizes == [3, 1]  # the last has another length
    for one, other in zip(alone, together, strict=True):
        assert one.facts == other.facts
        torch.testing.assert_close(one.latents, other.latents, rtol=0, atol=1e-4)
        difference = np.abs(one.audio - other.audio).max()
        assert difference < 1e-3 * np.abs(one.audio).max()
    assert [event.done for event in events][-1] == 11


def watch(monkeypatch, at_once: int) -> list[int]:
    """As on a device that takes so many at once; the sizes of batches as they are made."""
    sizes = []
    sample = playing._sample

    def watched(parts, group, done, total):
        sizes.append(len(group))
        return sample(parts, group, done, total)

    monkeypatch.setattr(playing, "pieces_at_once", lambda parts, scene: at_once)
    monkeypatch.setattr(playing, "_sample", watched)
    return sizes


def test_without_memory_for_a_batch_half_of_it_goes_on(mini, pieces, alone, monkeypatch):
    sizes = watch(monkeypatch, at_once=8)
    fails_from(monkeypatch, 2)
    together, events = played(mini, pieces)
    assert sizes == [3, 1, 1, 1, 1]
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "3 pieces" in notice.message
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.audio, other.audio)


def test_without_memory_for_one_piece_it_is_an_error(mini, pieces, monkeypatch):
    fails_from(monkeypatch, 1)
    with pytest.raises(torch.OutOfMemoryError):
        played(mini, pieces)


def fails_from(monkeypatch, most: int) -> None:
    """Batches of so many pieces and more do not fit into memory."""
    denoise = playing.denoise

    def failing(transformer, latents, *rest, **more):
        if len(latents) >= most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoise(transformer, latents, *rest, **more)

    monkeypatch.setattr(playing, "denoise", failing)


def test_with_offload_each_part_comes_to_the_device_once(mini, pieces, alone):
    parts = AdaptedParts(find_model("mini"), CPU, torch.float32, offload=True)
    loaded = []
    load = parts.load
    parts.load = lambda part: loaded.append(part) or load(part)
    together, _ = played(parts, pieces)
    assert loaded == ["transformer", "vae"]
    assert all(
        np.array_equal(one.audio, other.audio) for one, other in zip(alone, together, strict=True)
    )


def test_a_prompt_is_encoded_once_for_all_its_seeds(mini):
    configs = [GenerateConfig(caption="techno", duration=1, seed=seed) for seed in range(20)]
    first, *others = pieces_of(mini, configs)
    assert all(piece.scene is first.scene for piece in others)
    other = GenerateConfig(caption="techno", duration=1, bpm=90)
    assert pieces_of(mini, [configs[0], other])[1].scene is not first.scene


def test_with_a_source_each_seed_has_its_own(mini):
    time = np.arange(96000) / 48000
    sound = np.stack([np.sin(1382 * time), np.sin(2764 * time)]).astype(np.float32) / 3
    knobs = {"task": "cover", "steps": 4, "cover_strength": 0.5, "cover_noise_strength": 0.4}
    configs = [GenerateConfig(seed=seed, **knobs) for seed in (3, 4)]
    items = list(render_all(mini, configs, Sounds(source=sound)))
    together = [item for item in items if isinstance(item, Rendition)]
    progress = [item for item in items if isinstance(item, Progress)]
    assert progress[-1].done == progress[-1].total
    for config, one in zip(configs, together, strict=True):
        (other,) = [
            item
            for item in render_all(mini, [config], Sounds(source=sound))
            if isinstance(item, Rendition)
        ]
        assert one.seed == config.seed and np.array_equal(one.audio, other.audio)
    assert not np.array_equal(together[0].audio, together[1].audio)


def test_covers_side_by_side(mini, monkeypatch):
    """Each has its own source, its own switch of text and its own start under the noise."""
    time = np.arange(96000) / 48000
    sound = np.stack([np.sin(1382 * time), np.sin(2764 * time)]).astype(np.float32) / 3
    knobs = {"task": "cover", "steps": 4, "cover_strength": 0.5, "cover_noise_strength": 0.4}
    configs = [GenerateConfig(seed=seed, **knobs) for seed in (3, 4)]
    pieces = pieces_of(mini, configs, Sounds(source=sound))
    alone = [played(mini, [piece])[0][0] for piece in pieces]
    sizes = watch(monkeypatch, at_once=8)
    together, _ = played(mini, pieces)
    assert sizes == [2]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.latents, other.latents, rtol=0, atol=1e-4)


def test_a_gpu_gets_batches_that_fill_it(mini, pieces):
    scene = pieces[0].scene  # three seconds: 38 patches
    there = AdaptedParts(find_model("mini"), torch.device("cuda"), torch.bfloat16)
    assert pieces_at_once(there, scene) == playing.PATCHES_AT_ONCE // 38


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_side_by_side_is_near_alone(pieces):
    parts = AdaptedParts(find_model("mini"), torch.device("cuda"), torch.float32)
    configs = [piece.config for piece in pieces[:3]]
    several = pieces_of(parts, configs)
    alone = [played(parts, [piece])[0][0] for piece in several]
    together, _ = played(parts, several)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.latents, other.latents, rtol=0, atol=1e-3)
