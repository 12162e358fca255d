"""The part of a report's page that is read: evidence, style, copies, tag, choice, controls."""

from collections.abc import Iterator, Sequence

from acestep.judging.charts import Interval, intervals
from acestep.judging.dig import (
    dig,
    entries,
    estimate,
    number,
    sentences,
    shown_estimate,
    shown_number,
    text,
)
from acestep.judging.layout import Cell, Estimate, Judged, Report
from acestep.judging.page_curves import bands, differences, losses, songs
from acestep.pages import Markup, badge, paragraphs, table

CELLS = {
    "on_tag": "adapter, tag", "on_plain": "adapter, no tag",
    "off_tag": "base, tag", "off_plain": "base, no tag",
}  # fmt: skip


def called(judged: Judged) -> str:
    """A checkpoint with its strength where that is not 1."""
    return judged.name if judged.strength == 1 else f"{judged.name} at {judged.strength:g}"


def chosen(report: Report) -> Judged | None:
    """What is recommended, else the last checkpoint."""
    wanted = (report.choice.checkpoint, report.choice.strength)
    for judged in (*report.checkpoints, *report.strengths):
        if (judged.name, judged.strength) == wanted:
            return judged
    return report.checkpoints[-1] if report.checkpoints else None


def evidence(report: Report) -> Iterator[str]:
    """Losses while it trained, and what each checkpoint does to songs, against the base."""
    yield '<div class="charts">'
    yield from losses(report)
    yield from differences(report)
    yield from bands(report)
    yield from songs(report, chosen(report))
    yield "</div>"
    rows = [
        (
            judged.name,
            shown_number(number(judged.evidence, "held_out", "loss"), 4),
            shown_estimate(estimate(judged.evidence, "held_out", "difference"), 4, True),
            shown_estimate(estimate(judged.evidence, "training", "difference"), 4, True),
            _percent(number(judged.size, "relative")),
            shown_number(number(judged.size, "effective_rank"), 1),
        )
        for judged in report.checkpoints
        if judged.evidence or judged.size
    ]
    if rows:
        columns = ("checkpoint", "held-out loss", "held-out − base", "training − base",
                   "‖ΔW‖ / ‖W‖", "effective rank")  # fmt: skip
        name = report.choice.checkpoint
        yield from table(
            "Loss on the same draws of time and noise, 90 % intervals over songs (less is better), "
            "and the size of the adapter",
            columns, rows, strong=_place(rows, name),
        )  # fmt: skip
    alarms = [judged.alarm for judged in report.checkpoints if judged.alarm]
    yield from paragraphs(dict.fromkeys(alarms), "bad")
    last = report.checkpoints[-1] if report.checkpoints else None
    yield from paragraphs(_notes(last and last.evidence), "quiet")


def style(report: Report) -> Iterator[str]:
    """How near each checkpoint's clips lie to the songs, in what respect, and in latents."""
    judged = [one for one in report.checkpoints if estimate(one.style, "energy")]
    best = chosen(report)
    if best is not None:
        yield from paragraphs(sentences(best.style))
    if not judged:
        yield from paragraphs(["The style was not measured."], "quiet")
        return
    yield '<div class="charts">'
    yield from intervals(
        "Distance of the clips to your songs",
        _rows(report, judged, "style", "energy"),
        "energy distance, 0 is your songs themselves",
        _marks(judged[-1]),
    )
    yield from intervals(
        "Where the clips lie",
        _rows(report, judged, "style", "position"),
        "0 is the base, 1 is songs of yours that were not seen",
        (("base", 0.0), ("your songs", 1.0)),
    )
    yield from _aspects(best)
    yield from intervals(
        "The same in the model’s own latents",
        _rows(report, judged, "style_latents", "position"),
        "0 is the base, 1 is your songs",
        (("base", 0.0), ("your songs", 1.0)),
    )
    yield "</div>"
    yield from _style_table(report, judged)
    guard = text(best.style if best else None, "guard", "sentence")
    wrong = text(best.style if best else None, "wrong", "sentence")
    notes = _notes(best.style if best else None)
    yield from paragraphs(filter(None, [guard, wrong, *notes]), "quiet")


def copying(report: Report) -> Iterator[str]:
    """What follows a song, what loops, and whether clips are all the same."""
    best = chosen(report)
    for record in (best.copies, best.loops, best.diversity) if best else ():
        yield from paragraphs(sentences(record))
    judged = [one for one in (*report.checkpoints, *report.strengths) if one.copies]
    rows = [
        (
            called(one),
            str(one.clips),
            _count(one, "strong"),
            _count(one, "doubtful"),
            shown_number(number(one.copies, "expected_false_alarms")),
            _highest(one, "strict"),
            _highest(one, "tolerant"),
            shown_number(_ratio(one)),
        )
        for one in judged
    ]
    if rows:
        columns = ("clips of", "clips", "copies", "look and listen", "expected false alarms",
                   "highest strict", "highest tolerant", "variety")  # fmt: skip
        limits = dig(judged[-1].copies, "thresholds")
        strict, tolerant = number(limits, "strict"), number(limits, "tolerant")
        yield from table(
            f"Every clip against every song; a copy scores over {shown_number(strict, 0)} (strict) "
            f"or {shown_number(tolerant, 0)} (moved in pitch or tempo). Variety: distance between "
            "clips of different seeds, as a share of that between your songs",
            columns, rows, strong=_place(rows, called(best) if best else None),
        )  # fmt: skip
        repeats = entries(judged[-1].copies, "folder", "repeats")
        names = {song.song: song.name or song.song for song in report.dataset.songs}
        pairs = [(text(one, "one"), text(one, "other")) for one in repeats]
        said = [f"{names.get(one, one)} and {names.get(two, two)}" for one, two in pairs]
        if said:
            yield from paragraphs([f"Songs that share a passage: {'; '.join(said)}."], "quiet")


def tag(report: Report) -> Iterator[str]:
    """The four cells of the recommended checkpoint, and of the others as a table."""
    if not report.tag:
        yield from paragraphs(["The tag was not tried."], "quiet")
        return
    name = report.choice.checkpoint
    best = next((entry for entry in report.tag if entry.checkpoint == name), report.tag[-1])
    yield from paragraphs(filter(None, [best.sentence, best.advice]))
    cells = best.cells.model_dump()
    rows = [
        Interval(words, cell.position, cell.low, cell.high, key == "on_tag")
        for key, words in CELLS.items()
        if (cell := Cell.model_validate(cells[key])).position is not None
    ]
    yield '<div class="charts">'
    yield from intervals(
        f"Where the clips lie: {best.checkpoint}",
        [row for row in rows if row.value is not None],
        "0 is the base, 1 is your songs",
        (("base", 0.0), ("your songs", 1.0)),
    )
    yield "</div>"
    yield from table(
        "What the tag does, as differences of positions with 90 % intervals",
        ("checkpoint", "switches (with − without tag)", "leaks (adapter − base, no tag)",
         "gains (adapter − base, tag)", ""),
        [
            (entry.checkpoint, *(shown_estimate(one, signed=True) for one in
             (entry.switch, entry.leak, entry.gain)), entry.word)
            for entry in report.tag
        ],
        strong=next((n for n, entry in enumerate(report.tag) if entry is best), None),
    )  # fmt: skip


def choice(report: Report) -> Iterator[str]:
    """Who was in the race, at which strength, and the rule."""
    yield from paragraphs(filter(None, [report.choice.sentence, *report.choice.reasons]))
    rows = [
        (
            entry.checkpoint,
            f"{entry.strength:g}",
            _percent(entry.style_left),
            _percent(entry.gain_missing),
            shown_estimate(Estimate(value=entry.score, low=entry.low, high=entry.high)),
            _percent(entry.share),
            entry.out or "",
        )
        for entry in report.choice.candidates
    ]
    if rows:
        wanted = (report.choice.checkpoint, f"{report.choice.strength:g}")
        places = [number for number, row in enumerate(rows) if row[:2] == wanted]
        columns = ("checkpoint", "strength", "style left", "held-out gain missing", "score",
                   "chosen when resampled", "out because")  # fmt: skip
        yield from table("The race", columns, rows, strong=places[0] if places else None)
    same = [one for one in report.checkpoints if one.name == report.choice.checkpoint]
    tried = sorted([*same, *report.strengths], key=lambda one: one.strength)
    if report.strengths:
        yield '<div class="charts">'
        yield from intervals(
            "Distance to your songs at every strength",
            [
                Interval(f"{one.name} at {one.strength:g}", found.value, found.low, found.high,
                         one.strength == report.choice.strength)
                for one in tried
                if (found := estimate(one.style, "energy")) and found.value is not None
            ],
            "energy distance, 0 is your songs themselves",
        )  # fmt: skip
        yield "</div>"
    if report.choice.rule:
        yield "<h3>The rule</h3>"
        yield from paragraphs(filter(None, report.choice.rule.split("\n")), "quiet")
    if report.votes is not None:
        yield "<h3>What you heard</h3>"
        yield from paragraphs([report.votes.sentence])


def controls(report: Report) -> Iterator[str]:
    """Measurements whose result is known beforehand."""
    words: dict[bool | None, Markup | str] = {
        True: badge("as expected", "good"), False: badge("not as expected", "bad"), None: "",
    }  # fmt: skip
    yield from table(
        "Controls",
        ("control", "what", "expected", "found", ""),
        [(row.name, row.what, row.expected, row.found, words[row.fine])
         for row in report.controls.rows],
        words=True,
    )  # fmt: skip


def _rows(report: Report, judged: Sequence[Judged], kind: str, key: str) -> list[Interval]:
    best = chosen(report)
    rows = []
    for one in judged:
        found = estimate(one.style if kind == "style" else one.style_latents, key)
        if found is not None and found.value is not None:
            rows.append(Interval(called(one), found.value, found.low, found.high, one is best))
    return rows


def _marks(judged: Judged) -> list[tuple[str, float]]:
    places = (("base", number(judged.style, "base", "value")),
              ("floor (songs against songs)", number(judged.style, "floor", "value")))  # fmt: skip
    return [(name, at) for name, at in places if at is not None]


def _aspects(best: Judged | None) -> Iterator[str]:
    rows, words = [], list[str]()
    for aspect in entries(best.style if best else None, "aspects"):
        left, name = estimate(aspect, "left"), text(aspect, "name")
        about = f"{name} (mix)" if dig(aspect, "production") else name
        if left is not None and left.value is not None:
            rows.append(Interval(about, left.value, left.low, left.high))
        words.append(f"{name} is {text(aspect, 'word')}")
    yield from intervals(
        f"In which respect: {called(best)}" if best else "",
        rows,
        "share of the base’s distance that is left",
        (("your songs", 0.0), ("base", 1.0)),
        bars=True,
        note=f"{'; '.join(words)}." if words else "",
    )


def _style_table(report: Report, judged: Sequence[Judged]) -> Iterator[str]:
    best = chosen(report)
    rows = [
        (
            one.name,
            shown_estimate(estimate(one.style, "energy")),
            shown_estimate(estimate(one.style, "gain"), signed=True),
            shown_number(number(one.style, "p"), 3),
            shown_estimate(estimate(one.style, "position")),
            shown_estimate(estimate(one.style_latents, "position")),
            text(one.style, "word"),
        )
        for one in judged
    ]
    columns = ("checkpoint", "distance", "nearer than base by", "p", "position", "in latents", "")
    yield from table(
        "Style, with 90 % intervals over songs and clips; p is of a shuffle of the labels, times "
        "the number of comparisons",
        columns, rows, strong=_place(rows, best.name if best else None),
    )  # fmt: skip


def _notes(record: object) -> list[str]:
    return [note for note in entries(record, "notes") if isinstance(note, str)]


def _count(judged: Judged, key: str) -> str:
    found = number(judged.copies, key)
    return "–" if found is None else f"{found:.0f}"


def _highest(judged: Judged, key: str) -> str:
    scores = [number(looked, key) for looked in entries(judged.copies, "clips")]
    return shown_number(max((score for score in scores if score is not None), default=None), 0)


def _ratio(judged: Judged) -> float | None:
    made = dig(judged.diversity, "ratio")
    return number(made, "made") if isinstance(made, dict) else number(judged.diversity, "ratio")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"


def _place(rows: Sequence[Sequence[str]], name: str | None) -> int | None:
    return next((number for number, row in enumerate(rows) if row[0] == name), None)
