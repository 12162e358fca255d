"""The loss curve as a picture, and the same numbers for TensorBoard."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from acestep import events
from acestep.data.audio import RATE, read_audio
from acestep.data.files import atomic


def draw_losses(path: Path, log: Iterable[events.Event]) -> None:
    """Write ``loss.png``: training loss (each step, and its running mean), held-out, base."""
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    plot_losses(figure.subplots(), log)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")


def plot_losses(axes: Axes, log: Iterable[events.Event]) -> None:
    """Draw the losses of a run's log, each kind that there is, into ``axes``."""
    log = list(log)
    steps = [event for event in log if isinstance(event, events.Step)]
    evaluations = [event for event in log if isinstance(event, events.Evaluation)]
    if steps:
        numbers = [event.step for event in steps]
        losses = [event.loss for event in steps]
        axes.plot(numbers, losses, color="tab:blue", alpha=0.25, linewidth=0.8)
        axes.plot(numbers, running_mean(losses), color="tab:blue", label="training (running mean)")
    if evaluations:
        numbers = [event.step for event in evaluations]
        axes.plot(
            numbers,
            [e.loss for e in evaluations],
            "o-",
            color="tab:orange",
            markersize=3,
            label="held out",
        )
        axes.plot(
            numbers,
            [e.base_loss for e in evaluations],
            "--",
            color="tab:gray",
            label="base, held out",
        )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss (mean squared error of the velocity)")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def running_mean(losses: list[float]) -> list[float]:
    """Exponential mean whose memory is a fiftieth of the run, from 10 to 200 steps."""
    share = 1 / min(200, max(10, len(losses) // 50))
    means: list[float] = []
    for count, loss in enumerate(losses, 1):
        weight = max(share, 1 / count)
        means.append(loss if not means else means[-1] + weight * (loss - means[-1]))
    return means


class Scalars:
    """TensorBoard scalars and sounds of a run; a resumed run replaces what it redoes."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, batch: Iterable[events.Event]) -> None:
        """Write the numbers of steps and evaluations, and previews in mono."""
        for event in batch:
            if isinstance(event, events.Step):
                self._writer.add_scalar("train/loss", event.loss, event.step)
                self._writer.add_scalar("train/learning_rate", event.learning_rate, event.step)
                self._writer.add_scalar("train/grad_norm", event.grad_norm, event.step)
            elif isinstance(event, events.Evaluation):
                self._writer.add_scalar("held_out/adapter", event.loss, event.step)
                self._writer.add_scalar("held_out/base", event.base_loss, event.step)
            elif isinstance(event, events.Sample):
                audio = read_audio(event.path).mean(0, keepdims=True)
                self._writer.add_audio(f"preview/{Path(event.path).stem}", audio, event.step, RATE)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
