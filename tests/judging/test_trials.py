"""Prompts made from the labels of songs: half as they are, half new, the same every time."""

import pytest

from acestep.judging.trials import make_trials

SONGS = [
    ("a", {"caption": "zz, slow piano", "bpm": 60, "keyscale": "Am", "lyrics": "la la"}),
    ("b", {"caption": "zz, fast drums", "bpm": 150, "keyscale": "C major", "timesignature": "3"}),
    ("c", {"caption": "zz"}),
]


def trials(**changes):
    given = {
        "songs": SONGS, "tag": "zz", "position": "prepend", "own": (), "count": 8, "seed": 42,
    }  # fmt: skip
    return make_trials(**{**given, **changes})


def test_training_prompts_are_the_songs_own_and_new_ones_mix_two_songs():
    first, second, third, fourth, *_ = trials()
    assert (first.kind, first.song, first.caption) == ("training", "a", "zz, slow piano")
    assert (first.plain, first.bpm, first.keyscale) == ("slow piano", 60, "A minor")
    assert (second.kind, second.caption) == ("new", "zz, slow piano")
    assert (second.bpm, second.keyscale, second.timesignature) == (150, "C major", "3")
    assert second.lyrics == "[Instrumental]" and first.lyrics == "la la"
    assert (third.kind, third.song) == ("training", "b")
    assert fourth.bpm is None  # of song c, which has nothing but the tag


def test_a_song_with_nothing_but_the_tag_has_an_empty_plain_prompt():
    fifth = trials()[4]
    assert (fifth.song, fifth.caption, fifth.plain) == ("c", "zz", "")


def test_more_rounds_pair_other_songs():
    new = [(t.song, t.bpm) for t in trials(count=12) if t.kind == "new"]
    assert new == [("a", 150), ("b", None), ("c", 60), ("a", None), ("b", 60), ("c", 150)]


def test_fewer_prompts_are_the_first_of_more():
    assert trials(count=16)[:6] == trials(count=6)
    assert len({t.seed for t in trials(count=16)}) == 16


def test_own_captions_come_on_top_and_bear_the_tag_once():
    *_, one, two = trials(count=2, own=["a quiet song", "loud, zz"])
    assert (one.kind, one.caption, one.plain, one.id) == (
        "own", "zz, a quiet song", "a quiet song", "03",
    )  # fmt: skip
    assert (two.caption, two.plain) == ("zz, loud", "loud")


def test_one_song_and_no_tag():
    made = trials(songs=SONGS[:1], tag="", count=3)
    assert [t.caption for t in made] == ["zz, slow piano"] * 3
    assert [t.plain for t in made] == ["zz, slow piano"] * 3


@pytest.mark.parametrize("odd", [None, 7, "", "N/A", "fast", [1], float("nan"), 10**9])
def test_odd_labels_are_left_out(odd):
    (trial,) = trials(
        songs=[("x", {"caption": odd, "bpm": odd, "keyscale": odd, "lyrics": odd})], count=1
    )
    assert trial.bpm in (None, 7) and trial.caption.startswith("zz")
