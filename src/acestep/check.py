"""Look for what is wrong with a dataset: its files, its labels, and the songs beside each other."""

from collections.abc import Iterator

from acestep.checking.finding import Finding
from acestep.checking.labels import findings, song_names
from acestep.checking.page import page
from acestep.checking.report import Report, as_json, make_report, table
from acestep.checking.signal import Signal, measure, signal_findings
from acestep.checking.sound import read_sound
from acestep.checking.tokens import token_counter
from acestep.checking.whole import Measured, whole_findings
from acestep.config import CheckConfig
from acestep.data.files import reported, shown, write_json, write_text
from acestep.data.song import Dataset, load_dataset
from acestep.data.variants import songs_of_origin
from acestep.errors import AceStepError, AudioError
from acestep.events import Event, Finished, Progress, Saved, Skipped, Started, Text


def check(config: CheckConfig) -> Iterator[Event]:
    """Check a dataset; nothing in it is changed.

    A song that cannot be read is ``Skipped`` and an error among the findings. Findings are no
    failures: only with ``strict`` do errors among them raise ``AceStepError``, after everything was
    said. Raises ``DatasetError`` for the dataset file or a report that cannot be written,
    ``ModelError`` for the model whose tokenizer counts.
    """
    dataset = load_dataset(config.dataset)
    yield Started("check", {"songs": len(dataset.songs)})
    found: list[Finding] = []
    signals: dict[str, Signal] = {}
    if not config.labels_only:
        yield from _listen(dataset, signals, found)
        found += whole_findings(_measured(dataset, signals))
    found += findings(dataset, token_counter(dataset, config.model))
    songs = [
        (name, song.duration, signals.get(name))
        for name, song in zip(song_names(dataset), dataset.songs, strict=True)
    ]
    report = make_report(dataset.name, songs, found)
    yield Text(table(report))
    yield from _save(config, report)
    path = config.html or config.output
    facts = {"songs": len(songs), "score": report.score, **report.counts}
    yield Finished("check", "" if path is None else str(path), facts)
    if config.strict and report.counts["errors"]:
        raise AceStepError(
            f"{report.counts['errors']} errors in {shown(config.dataset)}",
            hint="see above; without --strict findings are no failure",
        )


def _listen(dataset: Dataset, signals: dict[str, Signal], found: list[Finding]) -> Iterator[Event]:
    """Measure every song that can be read."""
    total = len(dataset.songs)
    for done, (name, song) in enumerate(zip(song_names(dataset), dataset.songs, strict=True)):
        yield Progress("check", done, total, name)
        try:
            signal = measure(read_sound(dataset.resolve(song)))
        except AudioError as error:
            found.append(Finding("unreadable", "error", name, str(error), error.hint))
            yield Skipped(name, str(error), error.hint)
            continue
        song.duration = song.duration or signal.seconds
        signals[name] = signal
        found += signal_findings(name, signal)
    yield Progress("check", total, total)


def _measured(dataset: Dataset, signals: dict[str, Signal]) -> list[Measured]:
    origins = songs_of_origin(dataset.songs)
    return [
        Measured(name, signals[name], song.bpm, origins.get(song.id, song.id))
        for name, song in zip(song_names(dataset), dataset.songs, strict=True)
        if name in signals
    ]


def _save(config: CheckConfig, report: Report) -> Iterator[Event]:
    if config.output is not None:
        with reported(config.output):
            write_json(config.output, as_json(report))
        yield Saved("report", str(config.output))
    if config.html is not None:
        with reported(config.html):
            write_text(config.html, page(report))
        yield Saved("page", str(config.html))
