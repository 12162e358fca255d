"""The loss plot, by its numbers."""

import pytest

from acestep.events import Evaluation, Notice, Step
from acestep.web.curves import SMOOTHING, loss_curves, loss_figure, thinned

STEPS = [Step(n, -(-n // 4), 1.0 / n, 1e-4, 1.0) for n in range(1, 13)]
EVENTS = [Evaluation(0, 0, 0.9, 0.9), *STEPS, Notice("x"), Evaluation(12, 3, 0.5, 0.9)]


def test_curves_are_over_epochs_and_smoothed():
    curves = loss_curves(EVENTS)
    assert curves["loss"][3] == (1.0, 0.25) and curves["loss"][-1] == (3.0, 1 / 12)
    assert curves["held_out"] == [(0, 0.9), (3, 0.5)] and curves["base"][-1] == (3, 0.9)
    weights = [SMOOTHING ** (11 - n) for n in range(12)]
    losses = [step.loss for step in STEPS]
    mean = sum(w * x for w, x in zip(weights, losses, strict=True)) / sum(weights)
    assert curves["smooth"][-1][1] == pytest.approx(mean)


def test_the_figure_has_a_line_a_curve_on_the_scale_that_is_asked_for():
    figure = loss_figure(EVENTS, log_scale=True, raw=False)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and len(axes.lines) == 3
    assert len(loss_figure(EVENTS).axes[0].lines) == 4
    assert loss_figure([Notice("nothing yet")]) is None


def test_long_curves_are_thinned_and_keep_their_end():
    points = [(float(n), 0.0) for n in range(10_001)]
    kept = thinned(points)
    assert len(kept) <= 2001 and kept[0] == points[0] and kept[-1] == points[-1]
