import numpy as np
import pytest
from style_folders import GROUPS, SIZE, cluster, known

from acestep.judging.controls import Again, Controls, Floor, find_floor, shifts
from acestep.judging.intervals import Estimate
from acestep.judging.whitening import Heard, fit_space, gather


def test_songs_that_were_left_out_are_at_no_distance_on_average():
    shares = [
        find_floor(known(cluster(seed, 12, 2)), GROUPS, cluster(seed + 90, 10, 1, at=2.0)).share
        for seed in range(12)
    ]
    assert np.mean(shares) == pytest.approx(0, abs=0.12)


@pytest.mark.parametrize(("songs", "folds"), [(1, 0), (3, 0), (4, 6), (7, 15), (8, 12), (20, 12)])
def test_pairs_of_few_songs_and_quarters_of_many_are_left_out(songs, folds):
    floor = find_floor(known(cluster(0, songs, 2)), GROUPS, cluster(1, 10, 1, at=2.0))
    assert floor.folds == folds
    assert np.isfinite(floor.value) == (folds > 0)
    if folds:
        assert floor.low <= floor.value <= floor.high
    else:
        assert floor.as_dict()["value"] is None


def disguised(change):
    clips = cluster(0, 8, 2)
    return gather(
        (name, Heard(row, {"worn": row + change}))
        for name, row in zip(clips.names, clips.values, strict=True)
    )


def test_disguises_shift_by_what_they_change():
    none = disguised(np.zeros(SIZE))
    assert shifts(none, fit_space(none, GROUPS))["worn"] == pytest.approx(0, abs=1e-5)
    large = disguised(np.full(SIZE, 1.5))
    plain = fit_space(known(cluster(0, 8, 2)), GROUPS)
    found = shifts(large, plain)["worn"]
    assert found > 0.5
    assert shifts(large, fit_space(large, GROUPS))["worn"] < found
    assert shifts(known(cluster(0, 8, 2)), plain) == {}


def test_one_song_in_disguise_shows_nothing():
    one = disguised(np.ones(SIZE)).keep({"song 0"})
    assert shifts(one, fit_space(one, GROUPS)) == {}


def test_rows_of_a_table_say_what_is_fine():
    floor = Floor(0.1, -0.2, 0.4, 0.02, 12)
    again = Again(Estimate(0.0, -1, 1), Estimate(3.0), 0.01, Estimate(0.1, -0.2, 0.3))
    controls = Controls(floor, again, {"mono": 0.4, "MP3": 0.01})
    rows = {row["name"]: row for row in controls.rows()}
    assert [row["fine"] for row in rows.values()] == [True, False, False, True]
    assert rows["your songs: mono"]["found"] == "0.40"
    assert "10 % [-20 to 30]" in rows["the base against itself"]["found"]
    assert set(rows["your songs: mono"]) == {"name", "what", "expected", "found", "fine"}
    assert controls.as_dict()["again"]["fine"] is False
    bare = Controls(Floor(np.nan, np.nan, np.nan, np.nan, 0), None, {"mono": np.nan})
    assert [row["fine"] for row in bare.rows()] == [False]
