"""Padded batches: what lies behind a clip, and where it ends."""

import pytest
import torch

from acestep.speed.padding import ends_of, lengthened, together, upload


@pytest.mark.parametrize("more", [(), (4,), (3, 2)])
def test_zeros_lie_behind_in_the_second_dimension(more):
    tensor = torch.randn(2, 5, *more)
    longer = lengthened(tensor, 8)
    assert longer.shape == (2, 8, *more)
    assert longer[:, :5].equal(tensor) and not longer[:, 5:].any()
    assert lengthened(tensor, 5).equal(tensor)


def test_clips_lie_one_under_another():
    clips = [torch.randn(1, count, 4) for count in (3, 7, 5)]
    batch = together(clips)
    assert batch.shape == (3, 7, 4)
    for row, clip in zip(batch, clips, strict=True):
        count = clip.shape[1]
        assert row[:count].equal(clip[0]) and not row[count:].any()
    assert together(clips[:1]) is clips[0]


def test_padding_is_a_stretch_of_its_own():
    assert ends_of((5, 3, 5), 5).tolist() == [0, 5, 5, 8, 10, 15, 15]
    assert ends_of((5, 5), 5, padded=False).tolist() == [0, 5, 10]
    assert ends_of((1,), 4).dtype == torch.int32


def test_what_is_uploaded_is_the_same():
    tensor = torch.randn(3)
    assert upload(tensor, torch.device("cpu")).equal(tensor)
