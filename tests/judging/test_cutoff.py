import numpy as np

from acestep.judging.cutoff import common_cut_off


def test_sets_that_reach_equally_high():
    found = common_cut_off({"songs": [9000, 9500, 100], "base": [10_000, 10_000]})
    assert found.limit is None and found.medians == {"songs": 9000, "base": 10_000}
    assert "equally" in found.sentence


def test_all_are_limited_to_the_lowest():
    found = common_cut_off(
        {"songs": [9000] * 3, "base": [9500] * 3, "epoch_10": [6000, 6100, 9000]}
    )
    assert found.limit == 6100
    assert "epoch_10" in found.sentence and "6.1 kHz" in found.sentence
    assert found.as_dict()["limit"] == 6100


def test_silent_sets_do_not_count():
    found = common_cut_off({"songs": [9000.0], "base": [np.nan, np.nan], "none": []})
    assert found.limit is None and found.as_dict()["medians"]["base"] is None
    assert common_cut_off({}).limit is None
