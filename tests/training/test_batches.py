"""Who goes through the model with whom, and what a batch is."""

import pytest
import torch

from acestep.training.batches import gather, groups, patches_of
from acestep.training.clips import Clip
from acestep.training.draws import Draw


def clip(frames, tokens, counted=None, value=1.0):
    return Clip(
        "s", "s",
        torch.full((1, frames, 4), value),
        torch.full((1, tokens, 6), value),
        torch.full((1, frames, 8), value),
        slice(*(counted or (0, frames))),
    )  # fmt: skip


def draw(frames, drop=False):
    return Draw(torch.tensor([0.5]), torch.full((1, frames, 4), 2.0), drop)


def test_one_by_one_keeps_the_order():
    assert groups([5, 900, 7], 0) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("lengths", "at_once", "wanted"),
    [
        ([750] * 4, 3000, [[0, 1, 2, 3]]),
        ([750] * 5, 3000, [[0, 1, 2, 3], [4]]),
        ([100, 3000, 100], 3000, [[1], [0, 2]]),
        ([4000], 3000, [[0]]),
        ([10, 1000, 990, 20], 2000, [[1, 2], [3, 0]]),
        ([], 3000, []),
    ],
)
def test_like_goes_with_like(lengths, at_once, wanted):
    assert groups(lengths, at_once) == wanted


def test_every_clip_goes_once_and_no_group_is_too_large():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        lengths = torch.randint(1, 3000, (17,), generator=generator).tolist()
        found = groups(lengths, 3000)
        assert sorted(place for group in found for place in group) == list(range(17))
        assert all(
            len(group) == 1 or len(group) * max(lengths[place] for place in group) <= 3000
            for group in found
        )


def test_a_batch_is_padded_and_knows_what_counts():
    nothing = torch.full((1, 1, 6), 9.0)
    batch = gather([clip(7, 3, (1, 5)), clip(4, 5)], [draw(7), draw(4, drop=True)], nothing, 2)
    assert batch.data.shape == batch.noise.shape == (2, 7, 4) and batch.time.shape == (2,)
    assert batch.condition.shape == (2, 5, 6) and batch.context.shape == (2, 7, 8)
    assert (batch.patches, batch.conditions) == ((4, 2), (3, 5))
    for part in (batch.data, batch.noise, batch.context):
        assert part[0].all() and part[1, :4].all() and not part[1, 4:].any()
    assert not batch.condition[0, 3:].any() and (batch.condition[1] == 9).all()
    losses = torch.arange(14.0).view(2, 7)
    wanted = losses[0, 1:5].mean() + losses[1, :4].mean()
    assert (losses * batch.weights).sum().item() == pytest.approx(wanted.item())


def test_an_odd_frame_is_a_patch_of_its_own():
    assert [patches_of(clip(frames, 1), 2) for frames in (1, 2, 3)] == [1, 1, 2]
