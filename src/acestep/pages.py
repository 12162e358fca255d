"""What every page that we write is made of: one style, a sealed head, tables, badges.

Pages need nothing from elsewhere. The colours are variables of ``:root``; nothing else names one.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --text: #1c1d22; --quiet: #565a66; --ground: #f7f6f3;
  --card: #fff; --line: #dddad2; --accent: #9a3412; --on-accent: #fff;
  --good: #166534; --warn: #854d0e; --bad: #b91c1c; --soft: #efede7;
  --c1: #9a3412; --c2: #0f766e; --c3: #4338ca; --c4: #a21caf; --c5: #4d7c0f; --c6: #0369a1; }
@media (prefers-color-scheme: dark) { :root { --text: #e9e7e2; --quiet: #a9abb3;
  --ground: #16171b; --card: #1f2127; --line: #35373f; --accent: #fdba74; --on-accent: #16171b;
  --good: #86efac; --warn: #fde047; --bad: #fca5a5; --soft: #2a2c33;
  --c1: #fdba74; --c2: #5eead4; --c3: #a5b4fc; --c4: #f0abfc; --c5: #bef264; --c6: #7dd3fc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
header { padding-top: 3rem; padding-bottom: 0; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; text-wrap: balance; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
h1, h2, h3, p, li, dd { overflow-wrap: anywhere; }
p { max-width: 46rem; margin: 0 0 1rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
header p { font-size: 1.15rem; }
figcaption, .quiet { color: var(--quiet); font-size: .92rem; }
.shelf { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
article, .wide { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; }
article { display: flex; flex-direction: column; min-width: 0; }
article p { flex: 1; font-size: .92rem; color: var(--quiet); margin-bottom: .6rem; }
audio { width: 100%; display: block; min-height: 3.4rem; }
img { width: 100%; height: auto; display: block; margin-top: .75rem; border-radius: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide img { max-width: 46rem; margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  min-width: min(100%, 30rem); }
th, td { padding: .35rem .65rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
.wide:has(> table) { padding: 1rem 0; font-size: .9rem; }
tr > :first-child { text-align: left; padding-left: 1rem; position: sticky; left: 0;
  background: var(--card); }
thead th { font-weight: 600; font-size: .92rem; color: var(--quiet); vertical-align: bottom; }
tbody th { font-weight: 500; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
tr.strong > * { color: var(--accent); font-weight: 600; }
caption { text-align: left; padding: 0 1rem .5rem; color: var(--quiet); }
caption span { display: inline-block; position: sticky; left: 1rem;
  max-width: min(46rem, calc(100vw - 5rem)); }
td { white-space: nowrap; } .words td { white-space: normal; }
.words .long { display: inline; }
.words th, .words td { text-align: left; }
.long { display: inline-block; min-width: 16rem; max-width: 30rem; white-space: normal;
  text-align: left; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .words :is(table, caption, tbody, tr, th, td) { display: block; }
  .words thead { display: none; } .words tr { padding: .6rem 1rem; }
  .words tr + tr { border-top: 1px solid var(--line); }
  .words tr > :is(th, td) { padding: .1rem 0; border: 0; } .words tbody th { white-space: normal; }
  .words td[data-name]::before { content: attr(data-name) ": "; color: var(--quiet); } }
pre { margin: 0; font: .85rem/1.6 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .6rem; font-size: .85rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.plain { color: var(--quiet); }
button, .button { font: inherit; font-weight: 600; color: var(--text); background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; cursor: pointer; }
button:hover { border-color: var(--accent); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button:disabled { opacity: .5; cursor: default; border-color: var(--line); }
"""
LONG = 40  # letters; cells with more are broken into lines
MARKS = {"good": "✔", "warn": "▲", "bad": "✖", "plain": "·"}  # a colour never stands alone


class Markup(str):
    """Text that is HTML already; every other text is escaped."""


def head(title: str, style: str = "", script: str | None = None) -> Iterator[str]:
    """The lines from the first to the opening of the body.

    With a ``script`` ("" for none) the page is sealed: by its content security policy a browser
    loads nothing from elsewhere, sends nothing anywhere, and runs no script but this one.
    """
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    if script is not None:
        yield f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>"
    if script:
        yield f"<script>{script}</script>"
    yield "</head>\n<body>"


def paragraphs(texts: Iterable[str], kind: str = "") -> Iterator[str]:
    """Texts as they are, whatever they hold; ``kind`` is a class of :data:`STYLE`."""
    for text in texts:
        yield f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def badge(text: str, kind: str = "plain") -> Markup:
    """A word in a frame; ``kind`` is one of :data:`MARKS`."""
    return Markup(f'<span class="badge {kind}">{MARKS[kind]} {escape(text)}</span>')


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    strong: int | None = None,
    words: bool = False,
) -> Iterator[str]:
    """A table that scrolls where it is too wide; each row's first cell names it.

    Row ``strong`` stands out; with ``words`` cells are sentences rather than numbers.
    """
    kind = "wide words" if words else "wide"
    yield f'<div class="{kind}" role="region" aria-label="{escape(caption)}" tabindex="0">\n<table>'
    yield f"<caption><span>{escape(caption)}</span></caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in columns) + "</tr></thead>"
    yield "<tbody>"
    for number, (name, *cells) in enumerate(rows):
        mark = ' class="strong"' if number == strong else ""
        yield f'<tr{mark}><th scope="row">{_inside(name)}</th>'
        for column, cell in zip(columns[1:], cells, strict=True):
            yield _cell(column if words else "", cell)
        yield "</tr>"
    yield "</tbody>\n</table>\n</div>"


def _cell(column: str, cell: str) -> str:
    """``column`` is what a narrow screen shows before the cell."""
    name = f' data-name="{escape(column)}"' if column and cell else ""
    return f"<td{name}>{_inside(cell)}</td>"


def _inside(cell: str) -> str:
    if isinstance(cell, Markup):
        return cell
    return f'<span class="long">{escape(cell)}</span>' if len(cell) > LONG else escape(cell)


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
