import json

import numpy as np
import pytest
from style_folders import GROUPS, SIZE, all_kinds, clips, cluster, folder, known

from acestep.errors import RunError
from acestep.judging.style import learn_style
from acestep.judging.whitening import Clips, gather

CLUSTERS = {"groups": GROUPS, "aspects": {"timbre": ("one",), "space": ("two",)}}


def named(found: Clips, prefix: str = "") -> Clips:
    """The same under the names of prompts: 0, 1, …"""
    return Clips(found.values, tuple(f"{prefix}{place}" for place in range(len(found.names))))


@pytest.fixture(scope="module")
def judge():
    """Songs of a style that the base does not know, beside all that it knows."""
    again = named(all_kinds(16, 340), "again ")
    return learn_style(folder("cumbia"), all_kinds(16), again=again, other=folder("march", 4))


@pytest.fixture(scope="module")
def learned(judge):
    return judge.judge(clips("cumbia", 16))


# Real music


def test_other_songs_of_the_style_are_there(learned):
    assert learned.word == "nearer than base" and learned.nearer
    assert learned.p < 0.01 and learned.left.high < 0.5
    assert learned.position.value == pytest.approx(1, abs=0.25)
    assert learned.position.low > 0.6
    assert learned.comparison.paired and learned.notes == ()
    assert not learned.guard.alarm and learned.wrong.specific
    words = {aspect.name: aspect.word for aspect in learned.aspects}
    assert words["timbre"] == words["rhythm"] == "there"
    assert learned.sentence.startswith("Nearer to your songs than the base")
    assert "Timbre" in learned.sentence and "Production:" in learned.sentence


def test_an_adapter_that_changes_nothing(judge):
    found = judge.judge(judge.base)
    assert found.word == "no difference that 16 clips can show"
    assert found.p == 1 and found.position.value == pytest.approx(0, abs=1e-9)
    assert "there" not in {aspect.word for aspect in found.aspects}


def test_another_style_is_farther(judge):
    found = judge.judge(clips("march", 16))
    assert found.word in ("farther", "no difference that 16 clips can show")
    assert found.wrong.specific is False
    assert found.wrong.position.value == pytest.approx(1, abs=0.3)


def test_half_of_the_clips_in_style_stand_half_way(judge):
    near, far = clips("cumbia", 16), all_kinds(16, 380)
    values = np.where(np.arange(16)[:, None] % 2, near.values, far.values)
    found = judge.judge(Clips(values, tuple(f"new {place}" for place in range(16))))
    assert not found.comparison.paired
    assert found.position.value == pytest.approx(0.5, abs=0.25)
    assert 0.05 < found.left.value < 0.6
    high, low = np.array(found.positions)[1::2], np.array(found.positions)[::2]
    assert np.mean(high[:, None] > low[None]) > 0.9


def test_replaying_the_songs_is_an_alarm(judge):
    songs = judge.reference.clips
    found = judge.judge(named(Clips(np.repeat(songs.values, 2, axis=0), songs.names * 2)))
    assert found.guard.alarm and "copying" in found.guard.sentence
    assert found.guard.nearest and found.guard.below


def test_controls_come_out_right(judge):
    rows = judge.controls.rows()
    assert [row["name"] for row in rows if not row["fine"]] == []
    assert len(rows) == 2 + 7
    assert judge.controls.again.position.value == pytest.approx(0, abs=0.35)
    assert max(judge.controls.disguises.values()) < 0.15


def test_everything_is_plain_json(learned, judge):
    text = json.dumps([learned.as_dict(), judge.controls.as_dict()], allow_nan=False)
    assert {"word", "energy", "position", "aspects", "guard", "wrong"} <= json.loads(text)[0].keys()


# Clusters, where the truth is known


def worlds(songs=8, base=16, gap=2.0, **options):
    """Songs around ``gap``, base clips around 0, and a way to make clips between them."""
    return learn_style(
        known(cluster(0, songs, 2, at=gap)),
        named(cluster(1, base, 1)),
        **{**CLUSTERS, **options},
    )


def made(count=16, at=2.0, seed=2):
    return named(cluster(seed, count, 1, at=at))


def test_fewer_clips_show_only_much():
    assert worlds(base=8).judge(made(8)).word == "much nearer than base"
    assert worlds(base=8).judge(made(8, at=0.4)).word == "no difference that 8 clips can show"
    few = worlds(base=7).judge(made(7))
    assert few.word == "cannot be told" and "7 clips" in few.sentence
    assert {aspect.word for aspect in few.aspects} == {"not known"}
    assert few.position.value > 0.5  # the numbers are there all the same


def test_few_songs():
    assert any("6 songs" in note for note in worlds(6).judge(made()).notes)
    for songs in (1, 2, 4):
        found = worlds(songs).judge(made())
        assert found.word == "cannot be told" and f"{songs} songs" in found.sentence
        json.dumps(found.as_dict(), allow_nan=False)


def test_silent_clips_are_left_out_and_counted():
    judge_, clips_ = worlds(), made()
    clips_.values[[2, 5]] = np.nan
    found = judge_.judge(clips_)
    assert found.left_out == 2 and found.numbers.clips == 14 and found.comparison.paired
    assert np.isnan(found.positions[2]) and found.as_dict()["positions"][2] is None
    assert any("2 clips are silent" in note for note in found.notes)
    clips_.values[:] = np.nan
    assert judge_.judge(clips_).word == "cannot be told"


def test_a_silent_base_and_silent_songs():
    silent = named(cluster(1, 16, 1))
    silent.values[:] = np.nan
    found = learn_style(known(cluster(0, 8, 2)), silent, **CLUSTERS).judge(made())
    assert found.word == "cannot be told" and np.isnan(found.positions).all()
    with pytest.raises(RunError, match="none of the songs has sound"):
        learn_style(gather([]), made(), **CLUSTERS)


def test_the_more_are_compared_the_less_counts_as_chance():
    judge_ = worlds()
    one = judge_.judge(made(at=0.25))
    many = judge_.judge(made(at=0.25), compared=40)
    assert many.p == pytest.approx(min(1, 40 * one.p))
    assert one.nearer and not many.nearer


def test_production_or_quality_is_not_style():
    """Clips that come as near to other songs as to the user's."""
    both = worlds(other=known(cluster(5, 8, 2, at=2.2))).judge(made())
    assert both.nearer and not both.wrong.specific
    assert any("production or quality" in note for note in both.notes)
    own = worlds(other=known(cluster(5, 8, 2, at=-2.0))).judge(made())
    assert own.wrong.specific and own.notes == both.notes[1:]


def test_one_aspect_can_be_there_and_another_not():
    judge_, clips_ = worlds(), made()
    clips_.values[:, GROUPS["one"] :] = judge_.base.values[:, GROUPS["one"] :]
    words = {aspect.name: aspect.word for aspect in judge_.judge(clips_).aspects}
    assert words == {"timbre": "there", "space": "not yet"}


def test_several_passages_of_one_clip_count_once():
    judge_, clips_ = worlds(), made()
    twice = Clips(np.repeat(clips_.values, 3, axis=0), tuple(np.repeat(clips_.names, 3)))
    once, again = judge_.judge(clips_), judge_.judge(twice)
    assert again.numbers.made == 16 and len(again.positions) == 48
    assert again.energy.value == pytest.approx(once.energy.value)


def test_points_are_for_others_to_use():
    assert worlds().embed(made().values).shape == (16, SIZE)
