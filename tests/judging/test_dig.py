import math

import pytest

from acestep.judging.dig import (
    clock,
    dig,
    entries,
    estimate,
    number,
    sentences,
    shown_estimate,
    shown_number,
    text,
)
from acestep.judging.layout import Estimate

RECORD = {"a": {"b": 2, "low": [1, {"c": "x"}], "none": None, "yes": True, "nan": math.nan}}


def test_values_are_found_by_their_path():
    assert dig(RECORD, "a", "b") == 2 and number(RECORD, "a", "b") == 2.0
    assert entries(RECORD, "a", "low") == [1, {"c": "x"}]
    assert text(entries(RECORD, "a", "low")[1], "c") == "x"


@pytest.mark.parametrize("path", [("z",), ("a", "z"), ("a", "b", "z"), ("a", "none", "z")])
def test_what_is_missing_is_nothing(path):
    assert dig(RECORD, *path) is None and number(RECORD, *path) is None
    assert entries(RECORD, *path) == [] and text(RECORD, *path) == ""
    assert estimate(RECORD, *path) is None


@pytest.mark.parametrize("value", [True, math.nan, math.inf, 10**400, 1e300, "1", None, [1]])
def test_what_cannot_be_drawn_is_no_number(value):
    assert number({"x": value}, "x") is None
    assert estimate({"x": {"value": value}}, "x") is None


def test_an_estimate_may_lack_its_interval():
    assert estimate({"x": {"value": 1, "low": None, "high": 2}}, "x") == Estimate(value=1, high=2)
    assert estimate({"x": 3}, "x") == Estimate(value=3)


def test_detectors_are_quoted_once():
    assert sentences({"verdict": "A.", "sentences": ["A.", "B.", 3, ""]}) == ["A.", "B."]
    assert sentences(None) == []


def test_numbers_for_people():
    assert shown_number(-0.123) == "−0.12" and shown_number(0.5, 1, signed=True) == "+0.5"
    assert shown_number(None) == "–" == shown_estimate(None)
    shown = shown_estimate(Estimate(value=0.5, low=-0.25, high=1))
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == "0.50 (−0.25 to 1.00)"
    assert clock(0) == "0:00" and clock(65.9) == "1:05" and clock(3605) == "60:05"
