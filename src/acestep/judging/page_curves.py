"""The curves of a report's page: losses while it trained, and what checkpoints do to them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from acestep.judging.charts import Interval, Line, curves, intervals
from acestep.judging.dig import dig, entries, estimate, is_number, number
from acestep.judging.layout import Estimate, Judged, Report

BANDS = (("high", "much noise (form)"), ("middle", "some"), ("low", "little noise (detail)"))
SMOOTH = 0.05  # of the run: what the training loss is averaged over


def losses(report: Report) -> Iterator[str]:
    """Training loss as a running mean, held-out loss, and the base's."""
    steps = [row for row in entries(report.curves, "steps") if _numbers(row, 3)]
    window = max(1, round(SMOOTH * len(steps)))
    training = [
        (steps[end - 1][1], sum(row[2] for row in steps[max(0, end - window):end])
         / len(steps[max(0, end - window):end]))
        for end in range(window, len(steps) + 1)
    ]  # fmt: skip
    held_out = [row for row in entries(report.curves, "held_out") if _numbers(row, 4)]
    yield from curves(
        "Loss while it trained",
        [
            Line("training songs, running mean", training),
            Line("held out", [(row[1], row[2]) for row in held_out]),
            Line("held out, base without adapter", [(row[1], row[3]) for row in held_out]),
        ],
        "epoch",
        "loss",
    )


def differences(report: Report) -> Iterator[str]:
    """Adapter − base over epochs, held-out and training songs."""
    yield from curves(
        "Held out against training: the difference to the base",
        [
            _line("held out", report.checkpoints, lambda one: _difference(one, "held_out")),
            _line("training songs", report.checkpoints, lambda one: _difference(one, "training")),
        ],
        "epoch",
        "loss − base’s loss",
        zero=True,
    )


def bands(report: Report) -> Iterator[str]:
    """The held-out difference where there is much noise, some, or little."""
    yield from curves(
        "Held out, by how much noise there was",
        [
            _line(
                words,
                report.checkpoints,
                partial(_of_band, band),
                band=False,
            )
            for band, words in BANDS
        ],
        "epoch",
        "loss − base’s loss",
        zero=True,
    )


def _of_band(band: str, one: Judged) -> Estimate | None:
    """A checkpoint's held-out difference in one band of noise."""
    return estimate(one.evidence, "held_out", "bands", band, "difference")


def songs(report: Report, best: Judged | None) -> Iterator[str]:
    """The held-out difference of one checkpoint, song by song."""
    found = dig(best.evidence if best else None, "held_out", "songs")
    names = {str(song.song): str(song.name or song.song) for song in report.dataset.songs}
    if isinstance(found, dict):
        rows = [
            Interval(names.get(song) or song, value)
            for song in found
            if (value := number(found, song, "difference")) is not None
        ]
        if best and 0 < len(rows) <= 24:
            axis = "loss − base’s loss (less is better)"
            yield from intervals(f"Held out, song by song: {best.name}", rows, axis, bars=True)


def _line(
    name: str,
    judged: Sequence[Judged],
    value: Callable[[Judged], Estimate | None],
    band: bool = True,
) -> Line:
    found = [(one.epoch, value(one)) for one in judged if one.epoch is not None]
    known = [(at, one) for at, one in found if one is not None and one.value is not None]
    points = [(float(at), one.value) for at, one in known if one.value is not None]
    ribbon = [
        (float(at), one.low, one.high)
        for at, one in known
        if one.low is not None and one.high is not None
    ]
    return Line(name, points, ribbon if band else ())


def _difference(judged: Judged, side: str) -> Estimate | None:
    return estimate(judged.evidence, side, "difference")


def _numbers(row: object, count: int) -> bool:
    """Whether a row of a curve holds so many numbers."""
    return isinstance(row, list) and len(row) >= count and all(map(is_number, row[:count]))
