import numpy as np
import pytest
from style_folders import cluster

from acestep.judging.axis import Axis

ALONE = -1


def means(clips, each):
    return clips.values.astype(float).reshape(-1, each, clips.values.shape[1]).mean(1)


def draw(seed, gap=1.5):
    songs, base = means(cluster(seed, 8, 2, at=gap), 2), means(cluster(500 + seed, 12, 1), 1)
    return Axis(songs, base)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_unheard_clips_stand_where_they_belong(share):
    """Without the leave-outs the songs' kind stands near .8 and the base's near .2."""
    found = []
    for seed in range(40):
        made = means(cluster(900 + seed, 16, 1), 1)
        made[: round(16 * share)] += 1.5
        found.append(draw(seed).places(made, np.full(16, ALONE)).mean())
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(share, abs=max(3 * error, 0.06))


def test_an_adapter_that_changes_nothing_stands_at_the_base_exactly():
    axis = draw(0)
    found = axis.position(axis.base, np.arange(12))
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.low == pytest.approx(0, abs=1e-9) and found.high == pytest.approx(0, abs=1e-9)
    # As strangers the same clips would stand off: they helped to lay the line
    assert axis.position(axis.base, np.full(12, ALONE)).value < -0.02


def test_places_sort_clips():
    axis = draw(1)
    near, far = means(cluster(900, 30, 1, at=1.5), 1), means(cluster(901, 30, 1), 1)
    places = axis.places(np.concatenate([near, far]), np.full(60, ALONE))
    assert np.mean(places[:30, None] > places[None, 30:]) > 0.9
    assert np.mean(places) == pytest.approx(
        axis.position(np.concatenate([near, far]), np.full(60, ALONE)).value
    )


def test_the_interval_holds_the_place():
    held = []
    for seed in range(10):
        made = means(cluster(900 + seed, 16, 1), 1)
        made[:8] += 1.5
        found = draw(seed).position(made, np.full(16, ALONE))
        held.append(found.low <= 0.5 <= found.high)
    assert np.mean(held) >= 0.7


def test_nothing_to_stand_between():
    axis = draw(0)
    alone = Axis(axis.songs[:1], axis.base)
    assert np.isnan(alone.places(axis.base, np.arange(12))).all()
    assert np.isnan(alone.position(axis.base, np.arange(12)).value)
    same = Axis(axis.base[:6], axis.base[6:])
    assert np.isnan(
        Axis(np.zeros((3, 2)), np.zeros((3, 2))).position(np.ones((2, 2)), np.full(2, ALONE)).value
    )
    assert not np.isinf(same.position(axis.base, np.full(12, ALONE)).value)
    assert np.isnan(axis.position(axis.base[:0], np.arange(0)).value)
