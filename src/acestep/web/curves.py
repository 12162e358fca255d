"""The loss plot: training, held-out and base, smoothed and raw, on a linear or a log scale."""

from collections.abc import Sequence
from typing import Any

from acestep.events import Evaluation, Event, Step
from acestep.web.words import say

SMOOTHING = 0.95  # of an exponential mean over steps
_MOST = 2000  # points of a curve
_COLOURS = {"loss": "#d6a58f", "smooth": "#9a3412", "held_out": "#1d4ed8", "base": "#6b7280"}


def loss_figure(events: Sequence[Event], *, log_scale: bool = False, raw: bool = True) -> Any:
    """A matplotlib figure of a run's losses over epochs; None where there are none yet."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    curves = loss_curves(events)
    if not any(points for points in curves.values()):
        return None
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        if not points or (name == "loss" and not raw):
            continue
        epochs, losses = zip(*thinned(points), strict=True)
        axes.plot(
            epochs,
            losses,
            label=say("en", f"train.curve.{name}"),  # the machine may have no Korean font
            color=_COLOURS[name],
            linewidth=0.8 if name == "loss" else 2,
            marker="o" if name in ("held_out", "base") else None,
            markersize=3,
        )
    axes.set_yscale("log" if log_scale else "linear")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25)
    axes.legend()
    return figure


def loss_curves(events: Sequence[Event]) -> dict[str, list[tuple[float, float]]]:
    """(epoch, loss) of each curve: ``loss`` of steps, ``smooth`` their exponential mean,
    ``held_out`` and ``base`` of evaluations."""
    steps = [event for event in events if isinstance(event, Step)]
    per_epoch = _steps_per_epoch(steps)
    curves: dict[str, list[tuple[float, float]]] = {
        "loss": [(step.step / per_epoch, step.loss) for step in steps],
        "smooth": [],
        "held_out": [],
        "base": [],
    }
    mean = weight = 0.0
    for epoch, loss in curves["loss"]:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        curves["smooth"].append((epoch, mean / weight))
    for event in events:
        if isinstance(event, Evaluation):
            curves["held_out"].append((event.epoch, event.loss))
            curves["base"].append((event.epoch, event.base_loss))
    return curves


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most ``_MOST`` points, the last one always among them."""
    stride = -(-len(points) // _MOST)
    kept = list(points[::stride])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _steps_per_epoch(steps: Sequence[Step]) -> int:
    """How many steps an epoch has, from where its number changes."""
    first = next((step.step for step in steps if step.epoch > 1), None)
    return max(first - 1, 1) if first else max(len(steps), 1)
