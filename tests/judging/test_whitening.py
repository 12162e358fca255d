import numpy as np
import pytest
from style_folders import GROUPS, SIZE, cluster, known

from acestep.judging.whitening import Clips, Heard, fit_space, gather, unit_means


def test_clips_by_name_without_the_silent():
    rows = np.ones((4, 3), np.float32)
    rows[1] = np.nan
    clips = Clips(rows, ("b", "a", "b", "c"))
    assert clips.units == ("b", "c") and clips.sound.tolist() == [True, False, True, True]
    assert clips.keep(["c", "b", "a"]).names == ("c", "b", "b")
    assert Clips.of([]).units == () and Clips.of({"a": rows[0]}).units == ("a",)


def test_a_folder_is_its_clips_that_have_sound():
    silent = Heard(np.full(3, np.nan, np.float32))
    reference = gather([("a", Heard(np.zeros(3))), ("b", silent), ("c", Heard(np.ones(3)))])
    assert reference.units == ("a", "c") and reference.kinds == ()
    assert reference.keep({"c"}).clips.names == ("c",)


def test_standardised_numbers_are_deviations_of_the_songs_and_groups_count_alike():
    clips = cluster(0, 20, 4, at=5.0)
    space = fit_space(known(clips), GROUPS)
    scaled = space.standardise(clips.values)
    weight = np.repeat(1 / np.sqrt(list(GROUPS.values())), list(GROUPS.values()))
    assert scaled.mean(0) == pytest.approx(np.zeros(SIZE), abs=0.1)
    assert scaled.std(0) == pytest.approx(weight, rel=0.05)
    far = space.standardise(np.full((1, SIZE), 1e6))
    assert far[0] == pytest.approx(4 * weight)


def test_whitened_the_spread_inside_songs_is_the_same_in_all_directions():
    clips = cluster(1, 60, 8)
    clips.values[:, 0] += np.random.default_rng(9).standard_normal(len(clips.values)) * 3
    space = fit_space(known(clips), GROUPS, ridge=1e-6)
    points = space.embed(clips.values)
    names = list(clips.names)
    rest = points - unit_means(points, names)[[names.index(name) // 8 for name in names]]
    covariance = rest.T @ rest / (len(points) - 60)
    assert covariance == pytest.approx(np.eye(SIZE), abs=0.08)


def test_a_direction_of_disguise_counts_less():
    clips = cluster(2, 8, 2)
    change = np.zeros(SIZE)
    change[3] = 3.0
    disguised = gather(
        (name, Heard(value, {"worn": value + change}))
        for name, value in zip(clips.names, clips.values, strict=True)
    )
    plain, aware = (fit_space(one, GROUPS) for one in (known(clips), disguised))

    def moved(space):
        there, here = (space.embed(rows) for rows in (clips.values + change, clips.values))
        apart = np.linalg.norm(here[::2, None] - here[None, ::2], axis=2)
        return np.linalg.norm(there - here, axis=1).mean() / apart[apart > 0].mean()

    assert moved(aware) < 0.4 * moved(plain)


def test_one_clip_a_song_varies_by_its_halves():
    clips = cluster(3, 40, 1)
    random = np.random.default_rng(4)
    spread = np.linspace(0.2, 1.5, SIZE)
    single = gather(
        (name, Heard(value, halves=list(value + spread * random.standard_normal((2, SIZE)))))
        for name, value in zip(clips.names, clips.values, strict=True)
    )
    assert fit_space(known(clips), GROUPS).within == "nothing"
    assert fit_space(known(cluster(3, 40, 2)), GROUPS).within == "passages"
    space = fit_space(single, GROUPS)
    assert space.within == "halves"
    stretch = np.diag(space.matrix)  # what varies more inside a song counts less
    assert stretch[0] > 1.2 * stretch[GROUPS["one"] - 1] and stretch[6] > stretch[9]


def test_a_number_that_never_changes_counts_nothing():
    clips = cluster(5, 8, 2)
    clips.values[:, 2] = -40
    space = fit_space(known(clips), GROUPS)
    moved = clips.values.copy()
    moved[:, 2] = 10
    assert space.embed(moved) == pytest.approx(space.embed(clips.values))


def test_groups_can_be_chosen():
    clips = cluster(6, 8, 2)
    space = fit_space(known(clips), GROUPS, ["two"])
    other = clips.values.copy()
    other[:, : GROUPS["one"]] = 7
    assert space.embed(other).shape == (16, GROUPS["two"])
    assert space.embed(other) == pytest.approx(space.embed(clips.values))
    assert space.embed(clips.values[:0]).shape == (0, GROUPS["two"])


def test_no_clip_has_no_space():
    with pytest.raises(ValueError, match="no clip"):
        fit_space(gather([]), GROUPS)
