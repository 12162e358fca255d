"""A page to listen to and look at: plain HTML beside the files it shows, nothing from elsewhere."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from acestep.data.files import write_text
from acestep.pages import head, paragraphs, table


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
    yield from head(page.title)
    yield f"<header>\n<h1>{title}</h1>"
    yield from paragraphs(page.lead)
    yield "</header>\n<main>\n<section>\n<h2>In numbers</h2>"
    numbers = page.table
    yield from table(numbers.caption, numbers.columns, numbers.rows, strong=numbers.strong)
    yield from paragraphs(page.explanation, "quiet")
    yield "</section>"
    for shelf in page.shelves:
        yield f"<section>\n<h2>{escape(shelf.title)}</h2>"
        yield from paragraphs([shelf.text])
        for row in shelf.rows:
            yield '<div class="shelf">'
            for clip in row:
                yield from _clip(root, clip, f"{shelf.title}: {clip.title}")
            yield "</div>"
        yield "</section>"
    yield "<section>\n<h2>How it was learned</h2>"
    yield from paragraphs([page.losses_text])
    yield f'<div class="wide">{_image(root, page.losses, "Loss over the steps of the training")}'
    yield "</div>\n</section>\n<section>\n<h2>What was typed</h2>"
    yield f'<div class="wide"><pre><code>{escape(chr(10).join(page.commands))}</code></pre></div>'
    yield "</section>\n</main>\n</body>\n</html>"


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
