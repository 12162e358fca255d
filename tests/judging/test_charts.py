import re

import numpy as np
import pytest

from acestep.judging.charts import (
    HEIGHT,
    LEFT,
    TOP,
    WIDTH,
    Interval,
    Line,
    curves,
    intervals,
    ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.13, 0.62, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (-3, 47, [-10, 0, 10, 20, 30, 40, 50]),
        (0, 1e-6, np.arange(6) * 2e-7),
        (0, 700, np.arange(5) * 200),
    ],
)
def test_ticks_are_round_and_hold_everything(low, high, wanted):
    assert ticks(low, high) == pytest.approx(list(wanted))


def test_a_line_lies_where_its_values_are():
    text = "\n".join(curves("t", [Line("a", [(0, 0), (5, 0.5), (10, 1)])], "epoch", "loss"))
    (points,) = re.findall(r'<polyline[^>]*points="([^"]+)"', text)
    places = np.array([point.split(",") for point in points.split()], float)
    foot = HEIGHT - 36
    assert places == pytest.approx(
        np.array([[LEFT, foot], [(LEFT + WIDTH - 8) / 2, (TOP + foot) / 2], [WIDTH - 8, TOP]]),
        abs=0.1,
    )


def test_the_band_goes_around_the_line():
    line = Line("a", [(0, 0.5), (1, 0.5)], [(0, 0.0, 1.0), (1, 0.25, 1.0)])
    text = "\n".join(curves("t", [line], "x", "y"))
    (points,) = re.findall(r'<polygon[^>]*points="([^"]+)"', text)
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert heights[0] == heights[1] < heights[2] < heights[3]  # y grows downwards


def test_numbers_stand_in_a_table_too():
    lines = [Line("a", [(1, 0.25)]), Line("b", [(1, 0.5), (2, 1.5)])]
    text = "\n".join(curves("t", lines, "epoch", "loss"))
    assert "<summary>The numbers</summary>" in text
    assert '<th scope="row">1</th>\n<td>0.25</td>\n<td>0.5</td>' in text
    assert '<th scope="row">2</th>\n<td></td>\n<td>1.5</td>' in text


def test_values_lie_between_the_ends_of_their_intervals():
    rows = [Interval("one", 0.5, 0.0, 1.0), Interval("two", 0.75, strong=True)]
    text = "\n".join(intervals("t", rows, "axis", [("base", 1.0)]))
    (ends,) = re.findall(r'stroke-width="5"[^>]*x1="([\d.]+)" x2="([\d.]+)"', text)
    left, right = map(float, ends)
    first, second = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', text))
    assert first == pytest.approx((left + right) / 2, abs=0.1)
    assert second == pytest.approx(left + 0.75 * (right - left), abs=0.1)
    assert "Dashed: base 1." in text and 'class="name strong"' in text


def test_bars_begin_at_zero():
    text = "\n".join(intervals("t", [Interval("a", -1.0), Interval("b", 1.0)], "x", bars=True))
    (first, width), (second, other) = re.findall(r'<rect x="([\d.]+)" width="([\d.]+)"', text)
    assert float(first) + float(width) == pytest.approx(float(second), abs=0.1)
    assert float(width) == pytest.approx(float(other), abs=0.2)


@pytest.mark.parametrize("points", [[(3, 0.5)], [(0, 2.0), (1, 2.0)], [(0, 0), (1, 0)]])
def test_one_value_or_equal_ones_are_drawn(points):
    text = "\n".join(curves("t", [Line("a", points)], "x", "y", zero=True))
    assert "nan" not in text and "<polyline" in text


def test_nothing_is_drawn_of_nothing():
    assert list(curves("t", [Line("a", [])], "x", "y")) == []
    assert list(intervals("t", [], "x")) == []


def test_names_are_text():
    text = "\n".join(curves("<t>", [Line("<a>", [(0, 1)])], "<x>", '"y"'))
    text += "\n".join(intervals("<t>", [Interval("<a>", 1)], "<x>", [("<m>", 1)], note="<n>"))
    assert not re.search(r"<[taxmn]>", text)
