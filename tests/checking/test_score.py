import pytest

from acestep.checking.finding import Finding
from acestep.checking.score import score, song_score


def finding(level, song="a", code="x"):
    return Finding(code, level, song, "")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([], 100), (["info"], 98), (["warning", "info"], 86), (["error"], 60),
        (["error", "error", "error"], 0),
    ],
)  # fmt: skip
def test_the_score_of_a_song(levels, expected):
    found = [finding(level, code=str(number)) for number, level in enumerate(levels)]
    assert song_score(found) == expected


def test_a_kind_costs_once():
    assert song_score([finding("warning")] * 5) == 88


def test_the_score_of_a_dataset_is_the_mean_without_what_all_of_it_lacks():
    assert score(["a", "b"], []) == 100
    assert score(["a", "b"], [finding("error")]) == 80
    assert score(["a", "b"], [finding("error"), finding("warning", None)]) == 70
    assert score(["a"], [finding("error", None, code) for code in "xyz"]) == 0
    assert score([], []) == 0
