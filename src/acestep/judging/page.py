"""The report as one HTML file: verdict in words, then sounds, curves, tables with their controls.

It needs nothing from elsewhere: sounds and pictures are inside, and its content security policy
lets a browser load nothing else. Names, captions and notes come from people and files: everything
is escaped.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

from acestep.checking.finding import few
from acestep.data.files import reported, shown, write_text
from acestep.judging import charts, page_numbers, page_sounds, players
from acestep.judging.layout import Check, Question, Report
from acestep.judging.page_sounds import Shown, choose_shown
from acestep.judging.players import Players, asset
from acestep.judging.report import laid_out, read_report
from acestep.pages import badge, head, paragraphs, table

NAME = "report.html"
AUDIO_BYTES = 9e6  # that the sounds of a page should not exceed by much
BEST_KBIT, WORST_KBIT = 64.0, 32.0
SURE = ((0.9, "very sure"), (0.7, "fairly sure"), (0.5, "not very sure"), (0.0, "not sure"))
KINDS = {"yes": "good", "partly": "warn", "no": "bad"}  # of answers; a "yes" to copying is bad
STYLE = """
html { scroll-behavior: smooth; } section { scroll-margin-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
.chosen { background: var(--card); border: 2px solid var(--accent); border-radius: .6rem;
  padding: 1rem 1.25rem; margin: 1.5rem 0; display: flex; flex-wrap: wrap; gap: .25rem 2.5rem;
  align-items: baseline; }
.chosen p { margin: 0; } .chosen b { font-size: 1.5rem; overflow-wrap: anywhere; }
.questions { grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
.questions article { gap: .4rem; } .questions .badge { align-self: flex-start; }
.said { padding-left: 1.2rem; max-width: 46rem; margin: 1.5rem 0; } .said li { margin: .35rem 0; }
.questions p { flex: 1; margin: 0; color: var(--text); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0;
  margin: 1.5rem 0 0; }
nav a { display: inline-block; padding: .3rem 0; }
p.bad { color: var(--bad); }
.findings { list-style: none; padding: 0; margin: 1rem 0; }
.findings li { margin-bottom: .75rem; max-width: 46rem; }
dl.settings { display: grid; gap: .25rem 1.5rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
dl.settings div { display: flex; justify-content: space-between; gap: 1rem; min-width: 0;
  border-bottom: 1px solid var(--line); padding: .2rem 0; }
dl.settings dt { color: var(--quiet); } dl.settings dd { margin: 0; text-align: right;
  overflow-wrap: anywhere; min-width: 0; }
footer { max-width: 72rem; margin: 0 auto; padding: 1rem 1.25rem 3rem; color: var(--quiet); }
@media print { .player button, nav { display: none !important; } }
"""


def write_page(folder: Path) -> Path:
    """Write ``report.html`` from ``report.json`` and the clips beside it.

    Raises ``RunError`` for the report, ``DatasetError`` for a folder that cannot be written. Clips
    that cannot be read are gaps in the page, and it says so.
    """
    report = laid_out(read_report(folder), folder)
    with reported(folder / NAME):
        write_text(folder / NAME, page(report, folder))
    return folder / NAME


def page(report: Report, folder: Path) -> str:
    """The whole page; ``folder`` holds the clips."""
    # Texts from elsewhere may hold lone surrogates, which no file can
    return shown("\n".join(_lines(report, folder)) + "\n")


def bit_rate(clips: int, seconds: float) -> float:
    """kbit a second for so many clips of so many seconds."""
    fair = AUDIO_BYTES * 8 / 1000 / max(1.0, clips * seconds)
    return min(BEST_KBIT, max(WORST_KBIT, fair))


def _lines(report: Report, folder: Path) -> Iterator[str]:
    shown_clips = choose_shown(report)
    count = (len(shown_clips.prompts) + 2) * (len(shown_clips.columns) + 1)
    sounds = Players(folder, bit_rate(count, report.about.clip_seconds))
    style = players.STYLE + charts.STYLE + page_sounds.STYLE + STYLE
    yield from head(f"{report.about.run}: what it learned", style, asset("player.js"))
    yield "<header>"
    yield from _verdict(report)
    chapters = _chapters(report, shown_clips, sounds, (folder / "ab.html").is_file())
    yield '<nav aria-label="Chapters"><ul>'
    for key, (title, _) in chapters.items():
        yield f'<li><a href="#{key}">{escape(title)}</a></li>'
    yield "</ul></nav>\n</header>\n<main>"
    for key, (title, lines) in chapters.items():
        yield f'<section id="{key}">\n<h2>{escape(title)}</h2>'
        yield from lines()
        yield "</section>"
    yield "</main>\n<footer>"
    yield from paragraphs(sounds.missing, "bad")
    made = f" on {report.made[:16].replace('T', ' at ')}" if report.made else ""
    yield from paragraphs([
        f"Made{made} by acestep {report.version}. All numbers are in report.json beside this page; "
        "none of them says that music is good."
    ])  # fmt: skip
    yield "</footer>\n</body>\n</html>"


def _chapters(
    report: Report, clips: Shown, sounds: Players, blind: bool
) -> dict[str, tuple[str, Callable[[], Iterator[str]]]]:
    """What follows the verdict, in order: anchor → title and lines. Empty chapters are left out."""

    def listen() -> Iterator[str]:
        yield from page_sounds.listen(report, clips, sounds)
        if blind:
            yield "<p>Judge without knowing which is which: in"
            yield '<a href="ab.html">the blind test</a>.</p>'

    def copying() -> Iterator[str]:
        yield from page_numbers.copying(report)
        yield from page_sounds.copies(report, sounds)

    def tag() -> Iterator[str]:
        yield from page_numbers.tag(report)
        yield from page_sounds.tag_cells(report, clips, sounds)

    def choice() -> Iterator[str]:
        yield from page_numbers.choice(report)
        yield from page_sounds.strengths(report, clips, sounds)

    every: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
        "listen": ("Listen", listen),
        "style": ("Did it learn your style?", lambda: page_numbers.style(report)),
        "evidence": ("What the loss says", lambda: page_numbers.evidence(report)),
        "copying": ("Is it copying?", copying),
        "tag": ("Does the tag work?", tag),
        "choice": ("Which checkpoint, which strength?", choice),
        "grid": (
            "Every checkpoint, every prompt",
            lambda: page_sounds.grid(report, clips, sounds),
        ),
        "controls": ("Can the numbers be trusted?", lambda: page_numbers.controls(report)),
        "next": ("What to change next time", lambda: _advice(report)),
        "dataset": ("The songs", lambda: _dataset(report)),
        "settings": ("The settings", lambda: _settings(report)),
    }
    empty = {
        "controls": not report.controls.rows,
        "next": report.advice is None,
        "grid": not clips.columns,
    }
    return {key: chapter for key, chapter in every.items() if not empty.get(key, False)}


def _verdict(report: Report) -> Iterator[str]:
    about = report.about
    facts = [
        f"{about.songs} songs, {about.song_seconds / 60:.1f} minutes" if about.songs else "",
        f"tag “{about.tag}”" if about.tag else "",
        f"base {about.model}" if about.model else "",
        f"{about.clips} clips of {about.clip_seconds:g} s for each checkpoint"
        if about.clips
        else "",
    ]
    yield from paragraphs([" · ".join([about.run, *filter(None, facts)])], "quiet")
    yield f"<h1>{escape(report.verdict.headline)}</h1>"
    yield from _chosen(report)
    yield '<div class="shelf questions">'
    for number, question in enumerate(report.verdict.questions):
        yield f"<article>\n<h3>{escape(question.question)}</h3>"
        yield badge(question.answer, answer_kind(question, number))
        yield from paragraphs(filter(None, [question.sentence]))
        yield "</article>"
    yield "</div>"
    if report.verdict.sentences:
        yield '<ul class="said">'
        yield from (f"<li>{escape(one)}</li>" for one in report.verdict.sentences)
        yield "</ul>"
    yield from paragraphs(about.notes, "quiet")


def _chosen(report: Report) -> Iterator[str]:
    choice = report.choice
    if choice.checkpoint is None:
        return
    yield '<div class="chosen">\n<p>Use <b>' + escape(choice.checkpoint) + "</b></p>"
    yield f"<p>at strength <b>{choice.strength:g}</b></p>"
    if choice.confidence is not None:
        sure = next(word for least, word in SURE if choice.confidence >= least)
        share = f"{choice.confidence * 100:.0f} % of evaluations with other clips"
        yield from paragraphs([f"{sure}: {share} would choose the same"], "quiet")
    yield "</div>"


def answer_kind(question: Question, number: int) -> str:
    """The colour of an answer; the second question asks whether something bad happened."""
    answer = question.answer.lower()
    if number == 1:
        answer = {"yes": "no", "no": "yes"}.get(answer, answer)
    return KINDS.get(answer, "plain")


def _advice(report: Report) -> Iterator[str]:
    advised = report.advice
    if advised is None:
        return
    yield from paragraphs(advised.seen)
    if not advised.advice:
        yield from paragraphs(["Nothing: the run was healthy."])
        return
    yield from table(
        "Changes for the next run",
        ("knob", "value", "why"),
        [(one.knob, "–" if one.value is None else str(one.value), one.reason)
         for one in advised.advice],
        words=True,
    )  # fmt: skip


def _dataset(report: Report) -> Iterator[str]:
    marks = {"error": "bad", "warning": "warn", "info": "plain"}
    checks = report.dataset.checks
    if checks:
        yield '<ul class="findings">'
        for check, songs in _together(checks):
            song = f"{escape(few(songs))}: " if songs else ""
            advice = (
                f'<br><span class="quiet">{escape(check.advice)}</span>' if check.advice else ""
            )
            yield f"<li>{badge(check.level, marks[check.level])} {song}{escape(check.message)}"
            yield f"{advice}</li>"
        yield "</ul>"
    elif report.dataset.songs:
        yield from paragraphs(["The dataset’s checks found nothing."])
    yield from table(
        f"The songs of {report.dataset.name}",
        ("song", "seconds", "caption"),
        [(song.name or song.song, f"{song.seconds:.0f}", song.caption)
         for song in report.dataset.songs],
        words=True,
    )  # fmt: skip


def _together(checks: Sequence[Check]) -> Iterator[tuple[Check, list[str]]]:
    """Checks that say the same of several songs once, with the songs."""
    songs: dict[tuple[str, str, str], list[str]] = {}
    first: dict[tuple[str, str, str], Check] = {}
    for check in checks:
        key = (check.level, check.message, check.advice)
        first.setdefault(key, check)
        songs.setdefault(key, []).extend([check.song] if check.song else [])
    yield from ((check, songs[key]) for key, check in first.items())


def _settings(report: Report) -> Iterator[str]:
    about = report.about.model_dump(exclude={"notes"})
    for title, values in (("Training", report.settings), ("This evaluation", about)):
        rows = {key: value for key, value in values.items() if value not in (None, "", [], {})}
        if rows:
            yield f'<h3>{title}</h3>\n<dl class="settings">'
            for key, value in rows.items():
                yield f"<div><dt>{escape(str(key))}</dt><dd>{escape(_setting(value))}</dd></div>"
            yield "</dl>"


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
