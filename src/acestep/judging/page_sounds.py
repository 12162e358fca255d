"""The part of a report's page that is heard: pairs, the grid, the tag's cells, copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from acestep.judging.dig import clock, entries, number, shown_number, text
from acestep.judging.layout import BASE, Clip, Judged, Prompt, Report
from acestep.judging.players import Players
from acestep.pages import badge, paragraphs

PROMPTS, COLUMNS, CELLS = 6, 12, 48  # of the grid, at most: rows, columns, and both together
TAG_PROMPTS, COPIES = 2, 12
PASSAGE = 20.0  # seconds of a song that are played beside a copy, at most
STYLE = """
.pair { display: grid; gap: 1rem; grid-template-columns: 1fr 1fr; }
@media (max-width: 34rem) { .pair { grid-template-columns: 1fr; } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin: 1rem 0; min-width: 0; }
.card > p { margin-bottom: .75rem; }
.grid { display: grid; gap: .75rem; margin: .5rem 0 0; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(8.75rem, 1fr)); }
.grid .player { grid-template-columns: auto minmax(0, 1fr); }
.grid .clock { display: none; } .grid .playing .clock { display: block; }
.cell { min-width: 0; border: 1px solid var(--line); border-radius: .5rem; padding: .6rem; }
.cell.strong { border: 2px solid var(--accent); padding: calc(.6rem - 1px); }
.cell h4, .pair h4 { margin: 0 0 .4rem; font-size: .92rem; overflow-wrap: anywhere; }
.cell p { margin: .4rem 0 0; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Shown:
    """Which clips a page shows: rows of the grid, and its columns as (adapter, strength)."""

    prompts: Sequence[Prompt]
    columns: Sequence[tuple[str, float]]
    chosen: tuple[str, float] | None


def choose_shown(report: Report) -> Shown:
    """As much as a page can hold: prompts of the user's own first, the chosen one among columns."""
    name = report.choice.checkpoint
    made = list(dict.fromkeys((clip.adapter, clip.strength) for clip in report.clips if clip.tag))
    columns = [(judged.name, 1.0) for judged in report.checkpoints]
    if name is not None and (name, report.choice.strength) not in columns:
        columns.append((name, report.choice.strength))
    columns = [column for column in columns if column in made]
    chosen = (name or "", report.choice.strength)
    if chosen not in columns:
        chosen = columns[-1] if columns else chosen
    if len(columns) > COLUMNS - 1:  # spread over the run, the chosen one and the last among them
        step = (len(columns) - 1) / (COLUMNS - 2)
        kept = {columns[round(step * number)] for number in range(COLUMNS - 1)} | {chosen}
        columns = [column for column in columns if column in kept]
    base = [(BASE, 1.0)] if (BASE, 1.0) in made else []
    asked = {clip.prompt for clip in report.clips}
    prompts = [prompt for prompt in report.prompts if prompt.id in asked]
    prompts.sort(key=lambda prompt: prompt.kind != "own")
    count = max(2, min(PROMPTS, CELLS // max(1, len(base) + len(columns))))
    return Shown(prompts[:count], [*base, *columns], chosen if columns else None)


def listen(report: Report, shown: Shown, players: Players) -> Iterator[str]:
    """Base and chosen checkpoint side by side, then the grid of all."""
    if not shown.prompts or not shown.columns:
        yield from paragraphs(["There are no clips to listen to."], "quiet")
        return
    if shown.chosen:
        yield from paragraphs([
            f"The same words and the same noise, without and with {_called(*shown.chosen)}. Start "
            "one while the other plays: it goes on from the same moment. Arrow keys move by two "
            "seconds."
        ])  # fmt: skip
        for number, prompt in enumerate(shown.prompts, 1):
            yield f'<div class="card">\n<h3>{number} · {escape(_kind(prompt))}</h3>'
            yield from _asked(prompt)
            yield '<div class="pair">'
            for column in ((BASE, 1.0), shown.chosen):
                yield from _side(report, prompt, column, players)
            yield "</div>\n</div>"


def grid(report: Report, shown: Shown, players: Players) -> Iterator[str]:
    """Every checkpoint on every prompt."""
    left_out = len({clip.prompt for clip in report.clips if clip.tag}) - len(shown.prompts)
    more = (
        f" {left_out} more prompts were judged; their clips lie in clips/." if left_out > 0 else ""
    )
    yield from paragraphs([
        "Rows are prompts, clips of a row have the same noise. The number says where a clip lies: "
        f"0 is the base, 1 is your songs; of one clip alone it is uncertain.{more}"
    ])  # fmt: skip
    for row, prompt in enumerate(shown.prompts, 1):
        yield f'<div class="card">\n<h3>{row} · {escape(_kind(prompt))}</h3>'
        yield from _asked(prompt)
        yield '<ul class="grid">'
        for column in shown.columns:
            clip = _clip(report, prompt.id, *column)
            if clip is None:
                continue
            strong = " strong" if column == shown.chosen else ""
            yield f'<li class="cell{strong}">\n<h4>{escape(_called(*column))}</h4>'
            yield from players.player(clip.file, _name(column, prompt), row=f"prompt {prompt.id}")
            yield f"<p>{_marks(clip)}</p>\n</li>"
        yield "</ul>\n</div>"


def tag_cells(report: Report, shown: Shown, players: Players) -> Iterator[str]:
    """Adapter on and off, tag in and out, of the chosen checkpoint on a few prompts."""
    if shown.chosen is None:
        return
    rows = [("with the tag", True), ("without the tag", False)]
    done = 0
    for prompt in shown.prompts:
        cells = [
            (clip, f"{_called(*column)}, {words}")
            for words, tag in rows
            for column in ((BASE, 1.0), shown.chosen)
            if (clip := _clip(report, prompt.id, *column, tag=tag))
        ]
        if not any(not clip.tag for clip, _ in cells) or done == TAG_PROMPTS:
            continue
        done += 1
        without = prompt.caption_without_tag or prompt.caption
        yield f'<div class="card">\n<h3>{escape(_kind(prompt))}</h3>'
        yield f'<p class="quiet" dir="auto">{escape(without)}</p>\n<div class="pair">'
        for clip, words in cells:
            yield f"<div><h4>{escape(words)}</h4>"
            name = f"{words}: {without}"
            yield from players.player(clip.file, name, row=f"tag {prompt.id}")
            yield "</div>"
        yield "</div>\n</div>"


def strengths(report: Report, shown: Shown, players: Players) -> Iterator[str]:
    """One prompt at every strength that was tried."""
    if shown.chosen is None or not shown.prompts:
        return
    name, prompt = shown.chosen[0], shown.prompts[0]
    clips = [c for c in report.clips if c.adapter == name and c.tag and c.prompt == prompt.id]
    by_strength = {clip.strength: clip for clip in clips}
    if len(by_strength) < 2:
        return
    yield f'<div class="card">\n<h3>{escape(name)} at every strength</h3>'
    yield from _asked(prompt)
    yield '<ul class="grid">'
    for strength, clip in sorted(by_strength.items()):
        strong = " strong" if (name, strength) == shown.chosen else ""
        yield f'<li class="cell{strong}">\n<h4>strength {strength:g}</h4>'
        label = _name((name, strength), prompt)
        yield from players.player(clip.file, label, row=f"strength {prompt.id}")
        yield f"<p>{_marks(clip)}</p>\n</li>"
    yield "</ul>\n</div>"


def copies(report: Report, players: Players) -> Iterator[str]:
    """Every clip that follows a song, beside the passage that it follows."""
    files = [clip.file for clip in report.clips]
    names = {file.rpartition("/")[2].rpartition(".")[0]: file for file in files}
    done = 0
    wanted = (report.choice.checkpoint, report.choice.strength)
    every = [*report.checkpoints, *report.strengths]
    for judged in sorted(every, key=lambda one: (one.name, one.strength) != wanted):
        for looked in entries(judged.copies, "clips"):
            file = names.get(text(looked, "clip").rpartition("/")[2].removesuffix(".flac"))
            found = entries(looked, "matches")
            if text(looked, "grade") in ("", "nothing") or not file or not found or done == COPIES:
                continue
            done += 1
            yield from _copy(report, judged, file, found[0], players)


def _copy(
    report: Report, judged: Judged, file: str, match: object, players: Players
) -> Iterator[str]:
    """A clip's passage and the song's."""
    start, end = number(match, "start") or 0.0, number(match, "end") or PASSAGE
    at, name = number(match, "at") or 0.0, text(match, "song")
    song = next((s for s in report.dataset.songs if name in (s.name, s.song)), None)
    name = song.name or name if song else name
    grade = text(match, "grade")
    kind = badge(grade, "bad" if grade == "strong" else "warn")
    who = _called(judged.name, judged.strength)
    moved = f"{shown_number(number(match, 'semitones'), 1, True)} semitones, tempo × "
    moved += shown_number(number(match, "tempo"))
    yield f'<div class="card">\n<h3>{escape(who)} follows {escape(name)} {kind}</h3>'
    yield from paragraphs([
        f"{clock(start)} to {clock(end)} of the clip; the song from {clock(at)}; {moved}."
    ], "quiet")  # fmt: skip
    yield '<div class="pair"><div><h4>The clip</h4>'
    length = min(PASSAGE, max(1.0, end - start))
    label = f"{who}, {clock(start)} to {clock(end)}"
    yield from players.player(file, label, row=file, start=start, seconds=length)
    yield "</div>"
    if song is not None and song.audio is not None:
        yield f'<div dir="auto"><h4>{escape(name)}</h4>'
        label = f"{name} from {clock(at)}"
        yield from players.player(song.audio, label, row=file, start=at, seconds=length)
        yield "</div>"
    yield "</div>\n</div>"


def _side(
    report: Report, prompt: Prompt, column: tuple[str, float], players: Players
) -> Iterator[str]:
    yield f"<div><h4>{escape(_called(*column))}</h4>"
    clip = _clip(report, prompt.id, *column)
    if clip is None:
        yield '<p class="quiet">No clip.</p>'
    else:
        yield from players.player(clip.file, _name(column, prompt), row=f"prompt {prompt.id}")
    yield "</div>"


def _clip(
    report: Report, prompt: str, adapter: str, strength: float, tag: bool = True
) -> Clip | None:
    wanted = (prompt, adapter, strength, tag)
    return next(
        (c for c in report.clips if (c.prompt, c.adapter, c.strength, c.tag) == wanted), None
    )


def _called(name: str, strength: float) -> str:
    return name if name == BASE or strength == 1 else f"{name} at {strength:g}"


def _name(column: tuple[str, float], prompt: Prompt) -> str:
    return f"{_called(*column)}, seed {prompt.seed}: {prompt.caption}"


def _kind(prompt: Prompt) -> str:
    kinds = {"training": "words of a training song", "new": "new words", "own": "your words"}
    return kinds.get(prompt.kind, prompt.kind or "prompt")


def _asked(prompt: Prompt) -> Iterator[str]:
    facts = [
        f"{prompt.bpm} bpm" if prompt.bpm else "",
        prompt.keyscale or "",
        f"seed {prompt.seed}",
    ]
    yield f'<p class="quiet" dir="auto">“{escape(prompt.caption)}”'
    yield f'<br><span dir="ltr">{escape(", ".join(filter(None, facts)))}</span></p>'


def _marks(clip: Clip) -> str:
    place = "" if clip.closeness is None else f"at {shown_number(clip.closeness)} "
    marks = {"strong": ("copies", "bad"), "look and listen": ("copy?", "warn")}
    loops = {"loop": ("loop", "bad"), "much repetition": ("repeats", "warn")}
    found = [badge(*kind) for kind in (marks.get(clip.copied), loops.get(clip.loop)) if kind]
    return escape(place) + " ".join(found)
