"""A page to listen to and look at: plain HTML beside the files it shows, nothing from elsewhere."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from acestep.data.files import write_text

STYLE = """
:root { color-scheme: light dark; --text: #1c1d22; --quiet: #565a66; --ground: #f7f6f3;
  --card: #fff; --line: #dddad2; --accent: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --text: #e9e7e2; --quiet: #a9abb3;
  --ground: #16171b; --card: #1f2127; --line: #35373f; --accent: #fdba74; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
header { padding-top: 3rem; padding-bottom: 0; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { max-width: 46rem; margin: 0 0 1rem; }
header p { font-size: 1.15rem; }
figcaption, .quiet { color: var(--quiet); font-size: .92rem; }
.shelf { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
article, .wide { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; }
article { display: flex; flex-direction: column; }
article p { flex: 1; font-size: .92rem; color: var(--quiet); margin-bottom: .6rem; }
audio { width: 100%; display: block; min-height: 3.4rem; }
img { width: 100%; height: auto; display: block; margin-top: .75rem; border-radius: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide img { max-width: 46rem; margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
tr > :first-child { text-align: left; padding-left: 0; }
tr.strong { color: var(--accent); font-weight: 600; }
caption { text-align: left; padding-bottom: .5rem; color: var(--quiet); }
pre { margin: 0; font: .85rem/1.6 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Clip:
    """Something to listen to: ``text`` says what it is, ``picture`` is its spectrogram."""

    title: str
    text: str
    audio: Path
    picture: Path | None = None


@dataclass(frozen=True)
class Shelf:
    """Clips that belong beside each other, under a heading; rows of them, in fact."""

    title: str
    text: str
    rows: Sequence[Sequence[Clip]]


@dataclass(frozen=True)
class Table:
    """Numbers: names of the columns, and rows whose first cell names them; one row stands out."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    strong: int

    def text(self) -> str:
        """The same for a terminal: columns aligned, without the caption."""
        lines = [("", *self.columns[1:]), *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])
            for name, *cells in lines
        )


@dataclass(frozen=True)
class Page:
    """All that a page says. Texts are plain: what would be markup is shown as it is written."""

    title: str
    lead: Sequence[str]
    table: Table
    explanation: Sequence[str]
    shelves: Sequence[Shelf]
    losses: Path
    losses_text: str
    commands: Sequence[str]


def write_page(path: Path, page: Page) -> None:
    """Write a page; the links are relative to it, so that its folder can be moved as a whole."""
    write_text(path, "\n".join(_lines(path.parent, page)) + "\n")


def _lines(root: Path, page: Page) -> Iterator[str]:
    title = escape(page.title)
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<header>\n<h1>{title}</h1>"
    yield from _paragraphs(page.lead)
    yield "</header>\n<main>\n<section>\n<h2>In numbers</h2>"
    yield from _table(page.table)
    yield from _paragraphs(page.explanation, "quiet")
    yield "</section>"
    for shelf in page.shelves:
        yield f"<section>\n<h2>{escape(shelf.title)}</h2>"
        yield from _paragraphs([shelf.text])
        for row in shelf.rows:
            yield '<div class="shelf">'
            for clip in row:
                yield from _clip(root, clip, f"{shelf.title}: {clip.title}")
            yield "</div>"
        yield "</section>"
    yield "<section>\n<h2>How it was learned</h2>"
    yield from _paragraphs([page.losses_text])
    yield f'<div class="wide">{_image(root, page.losses, "Loss over the steps of the training")}'
    yield "</div>\n</section>\n<section>\n<h2>What was typed</h2>"
    yield f'<div class="wide"><pre><code>{escape(chr(10).join(page.commands))}</code></pre></div>'
    yield "</section>\n</main>\n</body>\n</html>"


def _paragraphs(texts: Sequence[str], kind: str = "") -> Iterator[str]:
    for text in texts:
        yield f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _table(table: Table) -> Iterator[str]:
    yield '<div class="wide" role="region" aria-label="Numbers" tabindex="0">\n<table>'
    yield f"<caption>{escape(table.caption)}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    yield "</tr></thead>\n<tbody>"
    for number, (name, *cells) in enumerate(table.rows):
        kind = ' class="strong"' if number == table.strong else ""
        numbers = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        yield f'<tr{kind}><th scope="row">{escape(name)}</th>{numbers}</tr>'
    yield "</tbody>\n</table>\n</div>"


def _clip(root: Path, clip: Clip, name: str) -> Iterator[str]:
    """A card; ``name`` tells it from all others of the page, for those who do not see it."""
    source = _link(root, clip.audio)
    yield f"<article>\n<h3>{escape(clip.title)}</h3>\n<p>{escape(clip.text)}</p>"
    yield f'<audio controls preload="metadata" aria-label="{escape(name)}" src="{source}">'
    yield f'<a href="{source}">{escape(name)}</a></audio>'
    if clip.picture:
        yield _image(root, clip.picture, f"Spectrogram of {name}")
    yield "</article>"


def _image(root: Path, picture: Path, alt: str) -> str:
    return f'<img src="{_link(root, picture)}" alt="{escape(alt)}" loading="lazy">'


def _link(root: Path, file: Path) -> str:
    return escape(quote(Path(os.path.relpath(file, root)).as_posix()))
