"""What a run shows, in one of four words: learning, nothing learned, overfitting, too early to say.

The rule, on evaluations in the order in which they came, each the held-out loss less the base's on
the same draws (below zero is better) and the training loss beside it. A change is noticed from
half a percent of the base's loss on.

1. *Overfitting since epoch N*: epoch N was the best by held-out loss (epoch 0 is the base), the
   last two evaluations both lie noticeably above it, and the training loss has fallen by 5 % or
   more since: a run that has come to rest is none. With four songs or more a rise of less than 2 %
   counts only if its interval is clear of zero. Or the training loss is below 0.01: from the first
   such evaluation on, songs are known by heart.
2. *Too early to say*: nothing was held out, or there is but one evaluation.
3. *Learning*: the held-out loss is noticeably below the base's and its interval is clear of zero.
4. *Too early to say* again: less than a quarter of the planned steps are done; or the training loss
   has fallen by 2 % or more while the held-out one is too uncertain to call: it is not noticeably
   worse, and its interval reaches from more than 2 % better to zero or worse.
5. *Nothing learned*: what is left. The held-out loss is where the base's was, or worse.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from acestep.data.plain import plain
from acestep.events import Evaluation, Event, Finished, Notice, Started, Step
from acestep.judging.intervals import Estimate, bootstrap_mean
from acestep.training.evidence import FEW, Evidence

BY_HEART = 0.01  # training loss
NOTICED = 0.005  # of the base's loss
UNSEEN = 0.001  # of the base's loss: the same, when it is said
MOVED = 0.02  # of the base's loss: a change that needs no interval to be believed
STILL_FALLING = 0.05  # of the training loss
ENOUGH_DONE = 0.25  # of the planned steps

Word = Literal["learning", "nothing learned", "overfitting", "too early to say"]


@dataclass(frozen=True)
class Point:
    """One evaluation. ``training`` is the training loss, ``uncertainty`` its standard error (0 at
    fixed draws). ``held_out`` is the difference to the base's held-out loss, which is
    ``base_loss``; ``songs`` holds it by song. ``base_training`` is the base's training loss, if
    that is known."""

    epoch: int
    training: float | None = None
    uncertainty: float = 0.0
    held_out: Estimate | None = None
    base_loss: float = math.nan
    songs: Mapping[str, float] = field(default_factory=dict)
    base_training: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The word, since which epoch (of overfitting), the epoch with the best held-out loss, and a
    sentence with the numbers."""

    word: Word
    sentence: str
    since: int | None = None
    best_epoch: int | None = None

    @property
    def words(self) -> str:
        """The word, for overfitting with its epoch."""
        return self.word if self.since is None else f"{self.word} since epoch {self.since}"

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json`` and the event log."""
        return {**plain(self), "words": self.words}

    def notice(self) -> Notice:
        """What is said at the end of training."""
        bad = self.word in ("nothing learned", "overfitting")
        return Notice(f"{self.words}: {self.sentence}", "warning" if bad else "info")


def judge(points: Sequence[Point], done: float = 1.0) -> Verdict:
    """The verdict on a run by the rule above; ``done`` is the share of the planned steps.

    Evaluations that are not finite are left out.
    """
    sound = [point for point in points if _is_sound(point)]
    by_heart = [
        point for point in sound if point.training is not None and point.training < BY_HEART
    ]
    if by_heart:
        return _by_heart(by_heart[0], sound[-1])
    held = [point for point in sound if point.held_out is not None]
    if not held:
        return Verdict("too early to say", _without_held_out(sound))
    series = [_start(held[0]), *held]
    at = min(range(len(series)), key=lambda place: _gap(series[place]))
    best, last = series[at], series[-1]
    if _rises(best, series[at + 1 :]) and _fall(best, last) >= STILL_FALLING:
        return _overfitting(best, last)
    if len(held) == 1:
        return _single(last)
    if _is_better(last):
        return _learning(best, last)
    return _not_better(series[0], best, last, done)


def verdict_of_log(events: Iterable[Event]) -> Verdict:
    """The verdict on a run's log (``events.jsonl``), while it runs or afterwards.

    Logs of earlier versions, which know neither training songs nor intervals, are judged by their
    training steps and the held-out mean.
    """
    seen = list(events)
    return judge(points_of_log(seen), _share_done(seen))


def verdict_of_evidence(evidence: Iterable[Evidence]) -> Verdict:
    """The verdict on a run's checkpoints, all measured at the same strength."""
    ordered = sorted(evidence, key=lambda each: each.epoch or 0)
    return judge([_point_of_evidence(each) for each in ordered])


def points_of_log(events: Iterable[Event]) -> list[Point]:
    """The evaluations of a log after its first step; of one without any, its epochs."""
    points, steps = [], []
    epochs: dict[int, list[float]] = {}
    for event in events:
        if isinstance(event, Step):
            steps.append(event.loss)
            epochs.setdefault(event.epoch, []).append(event.loss)
        elif isinstance(event, Evaluation) and event.step > 0:
            points.append(_point_of_event(event, steps))
            steps = []
    return points or [Point(epoch, *_mean_and_error(losses)) for epoch, losses in epochs.items()]


def _point_of_event(event: Evaluation, steps: list[float]) -> Point:
    training, uncertainty = event.training_loss, 0.0
    if training is None and steps:
        training, uncertainty = _mean_and_error(steps)
    known = event.songs.keys() & event.base_songs.keys()
    return Point(
        event.epoch,
        training,
        uncertainty,
        Estimate(event.loss - event.base_loss, event.low, event.high),
        event.base_loss,
        {song: event.songs[song] - event.base_songs[song] for song in sorted(known)},
        event.base_training_loss,
    )


def _point_of_evidence(each: Evidence) -> Point:
    held, epoch, training = each.held_out, each.epoch or 0, each.training
    if held is None:
        return Point(epoch, training.loss, base_training=training.base_loss)
    return Point(
        epoch,
        training.loss,
        0.0,
        held.difference,
        held.base_loss,
        held.differences(),
        training.base_loss,
    )


def _share_done(events: Sequence[Event]) -> float:
    """Steps done of those that the last start planned; 1 once the run has finished."""
    if any(isinstance(event, Finished) for event in events):
        return 1.0
    planned = [event.facts.get("total_steps") for event in events if isinstance(event, Started)]
    done = max((event.step for event in events if isinstance(event, Step)), default=0)
    total = planned[-1] if planned else None
    return done / total if isinstance(total, int) and total > 0 else 1.0


def _mean_and_error(losses: Sequence[float]) -> tuple[float, float]:
    """The mean of step losses and its standard error; of one step, as unsure as it is large."""
    error = np.std(losses, ddof=1) / math.sqrt(len(losses)) if len(losses) > 1 else losses[0]
    return float(np.mean(losses)), float(error)


def _is_sound(point: Point) -> bool:
    numbers = [point.training, point.held_out.value if point.held_out else None]
    return all(number is None or math.isfinite(number) for number in numbers)


def _start(first: Point) -> Point:
    """The base before the first step; where its training loss is unknown, the first one seen."""
    known = first.base_training is not None
    return Point(
        0,
        first.base_training if known else first.training,
        0.0 if known else first.uncertainty,
        Estimate(0.0, 0.0, 0.0),
        first.base_loss,
        dict.fromkeys(first.songs, 0.0),
        first.base_training,
    )


def _gap(point: Point) -> float:
    """The held-out difference to the base's loss, as a share of that."""
    assert point.held_out is not None
    return point.held_out.value / point.base_loss


def _fall(before: Point, after: Point) -> float:
    """By which share the training loss has fallen, twice its standard error being taken off."""
    if before.training is None or after.training is None:
        return 0.0
    error = math.hypot(before.uncertainty, after.uncertainty)
    return (before.training - after.training - 2 * error) / before.training


def _rises(best: Point, later: Sequence[Point]) -> bool:
    if len(later) < 2:
        return False
    rise = min(_gap(point) for point in later[-2:]) - _gap(best)
    songs = later[-1].songs.keys() & best.songs.keys()
    if rise <= NOTICED or len(songs) < FEW:
        return rise > NOTICED
    each = [later[-1].songs[song] - best.songs[song] for song in sorted(songs)]
    low = bootstrap_mean([each]).low
    return rise > MOVED or (low is not None and low > 0)


def _is_better(point: Point) -> bool:
    assert point.held_out is not None
    sure = point.held_out.high is None or point.held_out.high < 0
    return sure and _gap(point) <= -NOTICED


# What is said of each


def _by_heart(first: Point, last: Point) -> Verdict:
    return Verdict(
        "overfitting",
        f"It knows its training songs by heart: their error is {last.training:.4f}, and below "
        f"{BY_HEART} (since epoch {first.epoch}) it plays little else. Take an earlier checkpoint, "
        "or train with more songs, fewer epochs or a lower rank.",
        since=first.epoch,
    )


def _without_held_out(points: Sequence[Point]) -> str:
    if not points:
        return "It has not been evaluated yet."
    known = [point.training for point in points if point.training is not None]
    error = f" (their error is {known[-1]:.3f})" if known else ""
    return (
        f"No music was held out, so only the training songs can be measured{error}: whether it "
        "learned their style or the songs themselves cannot be told. Train with --validation 0.1."
    )


def _overfitting(best: Point, last: Point) -> Verdict:
    since = f"since epoch {best.epoch}" if best.epoch else "from the start"
    advice = (
        f"Take the checkpoint nearest to epoch {best.epoch}."
        if best.epoch
        else "Train with more songs, a lower rank or a lower learning rate."
    )
    return Verdict(
        "overfitting",
        f"It has been learning its songs by heart {since}: their error fell from "
        f"{best.training:.3f} to {last.training:.3f} while that on music it has not heard rose "
        f"from {_held_loss(best):.3f} to {_held_loss(last):.3f} (the base: {last.base_loss:.3f}). "
        f"{advice}",
        since=best.epoch,
        best_epoch=best.epoch,
    )


def _single(last: Point) -> Verdict:
    return Verdict(
        "too early to say",
        f"{_standing(last)}. That is one evaluation, which shows no direction yet.",
        best_epoch=last.epoch,
    )


def _learning(best: Point, last: Point) -> Verdict:
    more = ""
    if best is not last:
        more = f" It was best at epoch {best.epoch}, with {_held_loss(best):.3f}."
    return Verdict("learning", f"{_standing(last)}.{more}", best_epoch=best.epoch)


def _not_better(start: Point, best: Point, last: Point, done: float) -> Verdict:
    assert last.held_out is not None
    if done < ENOUGH_DONE:
        rest = f"Only {100 * done:.0f} % of the planned steps are done."
        return Verdict("too early to say", f"{_standing(last)}. {rest}", best_epoch=best.epoch)
    fall, low = _fall(start, last), last.held_out.low
    unsure = _gap(last) < NOTICED and low is not None and low < -MOVED * last.base_loss
    if fall >= MOVED and unsure:
        rest = "More songs, or more of them held out, would tell."
        return Verdict("too early to say", f"{_standing(last)}. {rest}", best_epoch=best.epoch)
    if _gap(best) < -NOTICED and _gap(last) > _gap(best) + NOTICED:
        rest = f"What it knew at epoch {best.epoch} is lost again: a lower learning rate may help."
    elif fall >= MOVED:
        rest = "What it learned of the training songs does not carry over to other music."
    elif _gap(last) > NOTICED:
        rest = "It became worse than the base: the learning rate may be too high."
    else:
        rest = "The learning rate may be too low, or the steps too few."
    return Verdict("nothing learned", f"{_standing(last)}. {rest}", best_epoch=best.epoch)


def _standing(point: Point) -> str:
    """Where an evaluation stands beside the base, as the beginning of a sentence."""
    assert point.held_out is not None
    gap = point.held_out.over(point.base_loss)
    alike = max(abs(end) for end in (gap.value, gap.low, gap.high) if end is not None) < UNSEEN
    sure = ""
    if gap.low is not None and gap.high is not None and not alike:
        sure = f"; 90 % sure: between {_side(gap.low)} and {_side(gap.high)}"
    where = "the same as the base's" if alike else f"{_side(gap.value)} the base's"
    training = ""
    if point.training is not None and point.base_training:
        change = point.training / point.base_training - 1
        training = f", on its training songs {_side(change)}"
    return (
        f"At epoch {point.epoch} its error on music it has not heard is {where} "
        f"({_held_loss(point):.3f} against {point.base_loss:.3f}{sure}){training}"
    )


def _side(change: float) -> str:
    return f"{100 * abs(change):.1f} % {'below' if change < 0 else 'above'}"


def _held_loss(point: Point) -> float:
    assert point.held_out is not None
    return point.base_loss + point.held_out.value
