import pytest

from acestep.labellers.octaves import octave_outliers


def test_the_song_at_half_the_others_tempo_is_named_with_the_other_octave():
    (found,) = octave_outliers([128, 126, 64, 130, 124, 127])
    assert (found.index, found.bpm, found.other) == (2, 64, 128)
    assert 120 < found.usual < 130


def test_double_tempo_too():
    (found,) = octave_outliers([70, 72, 68, 142, 75])
    assert (found.index, found.other) == (3, 71)


def test_a_slow_song_that_is_not_an_octave_off_is_left_alone():
    assert octave_outliers([128, 126, 90, 130, 124]) == []
    assert octave_outliers([100, 110, 120, 130, 140, 150]) == []


def test_where_songs_have_any_tempo_none_is_odd():
    assert octave_outliers([60, 75, 95, 118, 150, 185]) == []


@pytest.mark.parametrize("bpms", [[], [120], [60, 120], [60, 120, 120], [None, None, 120, 60, 0]])
def test_few_songs_say_nothing(bpms):
    assert octave_outliers(bpms) == []


def test_songs_without_a_tempo_keep_their_place():
    (found,) = octave_outliers([None, 128, 126, None, 64, 130, 124])
    assert found.index == 4
