"""Judge what an adapter learned: make clips, let the judges hear them, choose, and report."""

import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from acestep.adapters.stack import AdaptedParts
from acestep.config import EvaluateConfig
from acestep.data.files import alone_in, remove_leftovers, shown
from acestep.errors import AceStepError, RunError
from acestep.events import Event, Finished, Notice, Progress, Saved, Skipped, Started, Stopped, Text
from acestep.judging.choice import Candidate, Choice, choose
from acestep.judging.kept import Kept
from acestep.judging.making import BASE, Clip, Maker, Order, Voice
from acestep.judging.measuring import Measurement, Scale, open_scale
from acestep.judging.nearness import missing_gains, relative_distances
from acestep.judging.panel import Ears, Panel, Take, listen
from acestep.judging.record import Findings, Judgement, as_report, summary, table
from acestep.judging.report import write_report
from acestep.judging.seating import Songs, cut_off, hear_group, seat
from acestep.judging.songs import common_length, cut_excerpts
from acestep.judging.subject import Subject, open_subject
from acestep.judging.tag import Cells, Tag, judge_tag
from acestep.judging.trials import Trial, make_trials
from acestep.judging.votes import count_votes
from acestep.model.device import choose_device, choose_dtype
from acestep.training.stopping import StopRequest, stop_signals

SHORTEST, LONGEST = 10.0, 30.0  # seconds of a clip, where not told
OTHER_SEEDS = 10_000  # apart from the trials' seeds: the base once more, as a control
VERB = "evaluate"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Hall:
    """Where an evaluation takes place: who plays, what is asked for, where clips are kept."""

    config: EvaluateConfig
    subject: Subject
    folder: Path
    parts: AdaptedParts
    maker: Maker
    ears: Ears
    trials: tuple[Trial, ...]
    stop: StopRequest
    count: "Count"
    takes: dict[tuple[str, str], Take] = field(default_factory=dict)

    @property
    def again(self) -> tuple[Trial, ...]:
        """The same prompts with other seeds."""
        return tuple(
            replace(trial, id=f"{trial.id}b", seed=trial.seed + OTHER_SEEDS)
            for trial in self.trials
        )

    def orders(self, voice: Voice, cell: str) -> list[Order]:
        """The clips of a cell: ``tag``, ``plain`` or ``again``."""
        trials = self.again if cell == "again" else self.trials
        return [Order(voice, trial, cell != "plain") for trial in trials]


class Count:
    """How far the judges are: so many things to hear, a few more or less."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def now(self, what: str) -> Progress:
        """The next thing."""
        progress = Progress("judge", min(self.done, self.total), self.total, what)
        self.done += 1
        return progress


class _Stop(AceStepError):
    """Asked to stop between two clips."""


def evaluate(config: EvaluateConfig) -> Iterator[Event]:
    """Judge a run's checkpoints, or one adapter, and write ``report.json`` with its pages.

    Clips that are there already are not made again: after Ctrl-C or SIGTERM (a ``Stopped`` event)
    the same command goes on. A checkpoint that cannot be read or does not fit is ``Skipped``.
    Raises ``RunError`` for a run without checkpoints or songs, or if another process evaluates into
    the same folder; ``AdapterError``, ``TensorError``, ``ModelError`` and ``AudioError`` for what
    cannot be read or does not fit.
    """
    subject = open_subject(config)
    folder = subject.output(config.output)
    with stop_signals() as stop, ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone_in(folder))
            for place in (folder, *(folder / name for name in ("clips", "latents", "features"))):
                remove_leftovers(place)
            yield from _evaluate(_open(config, subject, folder, stop))
        except BlockingIOError as error:
            raise RunError(
                f"another process is evaluating into {shown(folder)}",
                hint="wait until it is done, or choose another -o",
            ) from error
        except OSError as error:
            raise RunError(
                f"cannot write to {shown(folder)}: {error.strerror or error}",
                hint="free some space or fix the permissions, then run it again: it goes on",
            ) from error
        except _Stop:
            yield Stopped(VERB, str(folder), _again(config))


def _evaluate(hall: Hall) -> Iterator[Event]:
    subject, config = hall.subject, hall.config
    yield Started(VERB, _facts(hall))
    yield from (Notice(note) for note in subject.notes)
    yield from (Skipped(name, str(error), error.hint) for name, error in subject.damaged)
    votes = count_votes(config.votes, hall.folder) if config.votes is not None else None

    # Make the clips of the base and of every checkpoint
    ahead = len(config.strengths_wanted) * len(hall.trials)
    yield from _make(hall, _first_orders(hall), ahead)

    # Let the judges hear them
    hall, panel = yield from _seat(hall)
    scale = open_scale(subject, hall.parts)
    voices = [checkpoint.voice() for checkpoint in subject.checkpoints]
    judged = yield from _judge(hall, panel, voices, (yield from _measure(hall, scale, voices)))
    choice = _choose(hall, panel, judged, votes)

    # The strengths of the best checkpoint
    strengths: list[Judgement] = []
    if choice.picked is not None and config.strengths_wanted:
        best = next(c for c in subject.checkpoints if c.name == choice.picked.checkpoint)
        voices = [best.voice(strength) for strength in config.strengths_wanted]
        yield from _make(hall, [o for voice in voices for o in hall.orders(voice, "tag")], 0)
        measured = yield from _measure(hall, scale, voices)
        strengths = yield from _judge(hall, panel, voices, measured)
        choice = _choose(hall, panel, [*judged, *strengths], votes)

    # The tag
    tags = yield from _tags(hall, panel, choice)

    # Report
    base = Judgement(Voice(BASE), None, panel.verdicts(panel.base, 1))
    findings = Findings(
        base, tuple(judged), tuple(strengths), choice, tags, panel, votes, hall.trials,
        tuple(hall.takes.values()),
    )  # fmt: skip
    report = as_report(findings, subject, hall.maker, config)
    page = write_report(hall.folder, report)
    yield Text(table(report))
    yield Saved("report", str(hall.folder / "report.json"))
    yield Saved("page", str(page))
    yield Finished(VERB, str(page), summary(report))


def _open(config: EvaluateConfig, subject: Subject, folder: Path, stop: StopRequest) -> Hall:
    """Put the base model in place, and decide what is asked for."""
    device = choose_device(config.device)
    parts = AdaptedParts(
        subject.model, device, choose_dtype(device, config.precision), offload=config.offload
    )
    seconds = config.seconds or common_length(subject.songs, SHORTEST, LONGEST)
    labels = [(song.id, song.labels) for song in subject.songs]
    trials = make_trials(
        labels, subject.tag, subject.tag_position, config.prompt, config.clips_wanted, config.seed
    )
    maker = Maker(parts, folder, seconds)
    ears = Ears(Kept(folder / "features"))
    excerpts = len(cut_excerpts(subject.songs, seconds))
    judged = 3 * len(subject.checkpoints) + 2 * len(config.strengths_wanted)
    count = Count(2 * excerpts + len(subject.songs) + 8 + judged)
    return Hall(config, subject, folder, parts, maker, ears, tuple(trials), stop, count)


def _first_orders(hall: Hall) -> list[Order]:
    """All clips that do not wait for a choice, voice by voice."""
    base = Voice(BASE)
    cells = ["tag", "again", *(["plain"] if hall.subject.tag else [])]
    orders = [order for cell in cells for order in hall.orders(base, cell)]
    for checkpoint in hall.subject.checkpoints:
        orders += hall.orders(checkpoint.voice(), "tag")
        if hall.subject.tag and not hall.config.quick:
            orders += hall.orders(checkpoint.voice(), "plain")
    return orders


def _make(hall: Hall, orders: Sequence[Order], ahead: int) -> Iterator[Event]:
    """Make what is not there yet; ``ahead`` more clips will be asked for later."""
    missing = [order for order in orders if not hall.maker.is_made(order)]
    there = len(orders) - len(missing)
    if there:
        yield Notice(f"{there} of {len(orders)} clips are there already", "info")
    words = [f"{order.voice.label}: prompt {order.trial.id}" for order in missing] + ["clips"]
    coming = (Progress(VERB, done, len(missing) + ahead, what) for done, what in enumerate(words))
    if missing:
        yield next(coming)
    for item in hall.maker.make_all(missing):
        if isinstance(item, Clip):
            _stop_if_asked(hall)
            item = next(coming)
        yield item


def _take(hall: Hall, voice: Voice, cell: str) -> Take:
    """What is heard in a cell; everything is listened to once."""
    key = (voice.label, cell)
    if key not in hall.takes:
        clips = [hall.maker.clip(order) for order in hall.orders(voice, cell)]
        hall.takes[key] = listen(clips, hall.ears)
    _stop_if_asked(hall)
    return hall.takes[key]


def _seat(hall: Hall) -> Generator[Event, None, tuple[Hall, Panel]]:
    """Let the judges hear songs and base; all listen as the duller of songs and clips allows."""
    subject, seconds = hall.subject, hall.maker.seconds
    base = Voice(BASE)
    takes = [_take(hall, base, "tag")]
    takes += [_take(hall, checkpoint.voice(), "tag") for checkpoint in subject.checkpoints]
    excerpts = cut_excerpts(subject.songs, seconds)
    songs = yield from _told(hall, hear_group(excerpts, hall.parts, hall.ears))
    common = cut_off(songs, takes)
    if common.limit is not None:
        yield Notice(common.sentence)
        hall = replace(hall, ears=Ears(hall.ears.kept, common.limit), takes={})
    heard = Songs(subject.songs, (*subject.songs, *subject.others), hall.config.other, seconds)
    panel = yield from _told(
        hall,
        seat(heard, hall.parts, hall.ears, _take(hall, base, "tag"), _take(hall, base, "again")),
    )
    return hall, panel


def _told(hall: Hall, work: Generator[str, None, Found]) -> Generator[Event, None, Found]:
    """Pass on what is being done as progress, and return what came of it."""
    while True:
        try:
            now = next(work)
        except StopIteration as end:
            return end.value
        _stop_if_asked(hall)
        yield hall.count.now(now)


def _measure(
    hall: Hall, scale: Scale, voices: Sequence[Voice]
) -> Generator[Event, None, dict[str, Measurement]]:
    """Held-out loss, size and effect of each voice, by its label."""
    found = {}
    hall.parts.remove()
    for voice in voices:
        _stop_if_asked(hall)
        yield hall.count.now(f"{voice.label}: held-out loss")
        found[voice.label] = scale.measure(voice)
        if found[voice.label].alarm:
            yield Notice(str(found[voice.label].alarm), about=voice.label)
    return found


def _judge(
    hall: Hall, panel: Panel, voices: Sequence[Voice], measured: dict[str, Measurement]
) -> Generator[Event, None, list[Judgement]]:
    """What the judges say of each voice's clips with the tag."""
    compared = len(hall.subject.checkpoints) + len(hall.config.strengths_wanted)
    judged = []
    for voice in voices:
        yield hall.count.now(voice.label)
        verdicts = panel.verdicts(_take(hall, voice, "tag"), compared)
        judged.append(Judgement(voice, measured[voice.label], verdicts))
    return judged


def _choose(
    hall: Hall, panel: Panel, judged: Sequence[Judgement], votes: dict[str, Any] | None
) -> Choice:
    """Put every judged voice into the race."""
    songs = panel.style.reference.clips
    left = relative_distances(
        panel.style.embed(songs.values),
        songs.names,
        panel.style.embed(panel.base.sound),
        {one.voice.label: panel.style.embed(one.verdicts.take.sound) for one in judged},
    )
    held_out = {one.voice.label: one.held_out for one in judged if one.held_out}
    missing = missing_gains(held_out) if len(held_out) == len(judged) else {}
    places = {checkpoint.name: place for place, checkpoint in enumerate(hall.subject.checkpoints)}
    base = sum(looked.grade == "strong" for looked in panel.base_looked)
    return choose(
        [
            Candidate(
                one.voice.name,
                places[one.voice.name],
                left[one.voice.label],
                missing.get(one.voice.label),
                one.voice.strength,
                max(0, one.verdicts.copying.strong - base) / max(1, len(panel.base_looked)),
                one.out(votes),
            )
            for one in judged
        ]
    )


def _tags(hall: Hall, panel: Panel, choice: Choice) -> Generator[Event, None, dict[str, Tag]]:
    """What the tag does with each checkpoint; with ``quick``, with the recommended one."""
    subject = hall.subject
    if not subject.tag:
        return {}
    judged = list(subject.checkpoints)
    if hall.config.quick:
        picked = choice.picked.checkpoint if choice.picked is not None else judged[-1].name
        judged = [checkpoint for checkpoint in judged if checkpoint.name == picked]
        yield from _make(hall, hall.orders(judged[0].voice(), "plain"), 0)
    base, found = Voice(BASE), {}
    for checkpoint in judged:
        yield hall.count.now(f"{checkpoint.name}: the tag")
        cells = [
            panel.style.positions(_take(hall, voice, cell).rows("sound"))
            for voice in (checkpoint.voice(), base)
            for cell in ("tag", "plain")
        ]
        found[checkpoint.name] = judge_tag(Cells(*map(np.asarray, cells)), subject.tag)
    return found


def _stop_if_asked(hall: Hall) -> None:
    if hall.stop.requested:
        raise _Stop("asked to stop")


def _facts(hall: Hall) -> dict[str, Any]:
    subject = hall.subject
    return {
        "run": subject.name,
        "model": subject.model.name,
        "device": str(hall.parts.device),
        "checkpoints": len(subject.checkpoints),
        "songs": len(subject.songs),
        "clips": len(hall.trials),
        "seconds": hall.maker.seconds,
        "tag": subject.tag,
    }


def _again(config: EvaluateConfig) -> str:
    """The command that goes on: the same one."""
    words = ["acestep", VERB, shown(config.run)]
    for name, value in config.model_dump(mode="json", include=config.model_fields_set).items():
        if name != "run":
            flag = f"--{name.replace('_', '-')}"
            values = value if isinstance(value, list) else [value]
            words += [flag] if value is True else [w for v in values for w in (flag, str(v))]
    return shlex.join(words)
