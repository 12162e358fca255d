"""The prompts of previews: the user's, or three from the labels of the training songs."""

import pytest
import torch

from acestep.config import TrainConfig
from acestep.data.tensors import Sample
from acestep.training.clips import make_clips
from acestep.training.prompts import NEUTRAL, new_caption, preview_requests, usual_seconds

DATASET = {"tag": "zztune", "tag_position": "append"}
SONGS = [
    ("one", {"caption": "warm jazz, piano, slow", "bpm": "90", "keyscale": "Am", "lyrics": "La"}),
    ("two", {"caption": "bright funk. Bass. Fast", "bpm": 120, "timesignature": "3/4"}),
]


def clips(songs=SONGS, frames=200, origin=""):
    samples = [
        Sample(
            f"{name}.pt", name, torch.zeros(frames, 8), torch.zeros(2, 16), torch.zeros(frames, 16),
            labels, origin,
        )
        for name, labels in songs
    ]  # fmt: skip
    return make_clips(samples, torch.device("cpu"), torch.float32)


def requests(*args, dataset=DATASET, **knobs):
    config = TrainConfig(tensors="unused", seed=7, **knobs)
    return preview_requests(config, *args or [clips()], dataset)


def test_a_songs_prompt_a_new_one_with_the_tag_and_without():
    first, new, untagged = requests()
    assert [r.kind for r in (first, new, untagged)] == ["training", "new", "untagged"]
    assert first.config.caption == "warm jazz, piano, slow, zztune"
    assert (first.config.bpm, first.config.keyscale) == (90, "A minor")
    assert first.config.lyrics == "La" and first.config.duration == 8.0
    assert new.config.caption == "warm jazz, Bass, Fast, zztune"
    assert untagged.config == new.config.model_copy(update={"caption": "warm jazz, Bass, Fast"})
    assert (new.config.bpm, new.config.timesignature) == (120, "3")
    assert {r.config.seed for r in (first, new, untagged)} == {7}


def test_without_a_tag_there_is_nothing_to_leave_out():
    assert [request.kind for request in requests(dataset={})] == ["training", "new"]
    assert [r.kind for r in requests(dataset={"tag": None})] == ["training", "new"]


def test_a_tag_that_replaces_captions_stands_before_the_new_one():
    first, new, _ = requests(dataset={"tag": "zztune", "tag_position": "replace"})
    assert first.config.caption == "zztune" and new.config.caption.startswith("zztune, warm jazz")


def test_own_captions_are_taken_as_they_are():
    own = requests(preview=["my words", "zztune"], preview_seconds=3.5)
    assert [(r.kind, r.config.caption, r.config.duration) for r in own] == [
        ("own", "my words", 3.5),
        ("own", "zztune", 3.5),
    ]


@pytest.mark.parametrize(
    "captions, new",
    [
        (["a, b", "c, d"], "a, d"),
        (["warm jazz", "slow blues"], "warm jazz, slow blues"),
        (["A, b.", "c. B", "x, y"], "A, B"),
        (["same", "same"], NEUTRAL),
        (["a, b", "b"], NEUTRAL),
        (["only"], NEUTRAL),
        (["", ""], NEUTRAL),
        (["", "bare"], NEUTRAL),
    ],
)
def test_a_new_caption_is_none_of_the_songs(captions, new):
    if captions[0] == "A, b.":
        new = "A, y"  # "A, B" is the first song's own in other signs
    assert new_caption(captions) == new


def test_variants_count_only_where_there_is_nothing_else():
    variant = [("fast", {"caption": "fast one"})]
    assert requests(clips() + clips(variant, origin="one"))[0].config.caption.startswith("warm")
    assert requests(clips(variant, origin="one"))[0].config.caption == "fast one, zztune"


def test_labels_may_be_missing_or_odd():
    odd = [("x", {"caption": 5, "bpm": "quick", "keyscale": [], "language": None, "lyrics": " "})]
    for songs in (odd, [("y", {})]):
        first, new, untagged = requests(clips(songs))
        assert first.config.caption == "zztune" and first.config.bpm is None
        assert untagged.config.caption == NEUTRAL and "zztune" in new.config.caption


@pytest.mark.parametrize("frames, seconds", [(3, 1.0), (60, 2.0), (25 * 240, 30.0)])
def test_pieces_are_as_long_as_the_songs_within_limits(frames, seconds):
    assert usual_seconds(clips(frames=frames)) == seconds
