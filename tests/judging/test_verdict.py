import numpy as np
import pytest

from acestep.judging.intervals import Estimate
from acestep.judging.verdict import Guard, Numbers, Wrong, enough_for_a_word


@pytest.mark.parametrize(
    ("songs", "base", "made", "enough"),
    [(8, 16, 16, True), (5, 8, 8, True), (4, 16, 16, False), (8, 16, 7, False), (8, 0, 16, False)],
)
def test_minimum_numbers(songs, base, made, enough):
    assert enough_for_a_word(Numbers(songs, base, made)) is enough


@pytest.mark.parametrize(
    ("further", "specific", "said"),
    [
        (Estimate(0.5, 0.2, 0.8), True, "nearer to your songs than to other"),
        (Estimate(-0.5, -0.8, -0.2), False, "nearer to other music"),
        (Estimate(0.1, -0.2, 0.4), None, "cannot be told"),
        (Estimate(np.nan), None, "cannot be told"),
    ],
)
def test_what_the_other_folder_says(further, specific, said):
    wrong = Wrong(Estimate(0.9, 0.8, 1.0), Estimate(0.1, -0.1, 0.3), further)
    assert wrong.specific is specific and said in wrong.sentence
    assert wrong.as_dict()["specific"] is specific
    assert "10 % [-10 to 30]" in wrong.sentence


def test_the_guard_warns_for_either_reason():
    assert not Guard(1.0, 0.8, False, False).alarm and Guard(1.0, 0.8, False, False).sentence == ""
    assert Guard(0.5, 0.8, True, False).alarm and Guard(1.0, 0.8, False, True).alarm
    assert Guard(np.nan, 0.8, True, False).as_dict()["ratio"] is None
