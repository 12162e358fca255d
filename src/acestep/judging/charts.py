"""Curves and intervals as SVG inside a page: no script, colours from the page's style.

Each picture is followed by its numbers as a table, folded, for those who do not see it or want to
copy them. Lines differ by their dashes too, not by colour alone.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from acestep.pages import paragraphs, table

WIDTH, HEIGHT = 360, 220  # of a picture, in its own units
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 10, 36  # margins that hold ticks and names of axes
ROW = 22  # height of a row of intervals
COLOURS = 6
DASHES = ("", "6 3", "2 3", "9 3 2 3", "1 2", "12 4")
STYLE = """
.charts { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; min-width: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; padding: 1rem; } figure p { margin: .5rem 0 0; }
figcaption { margin: 0 0 .4rem; } .charts figure:only-child { max-width: 36rem; }
figure b { color: var(--text); font-weight: 600; }
.chart { width: 100%; max-width: 30rem; height: auto; display: block; overflow: visible; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--quiet); }
.chart .name { fill: var(--text); } .chart .strong { fill: var(--accent); font-weight: 700; }
.chart .grid { stroke: var(--line); } .chart .mark { stroke: var(--text); stroke-dasharray: 3 3; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .chart .band { opacity: .18; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; margin: .3rem 0 0;
  padding: 0; font-size: .88rem; color: var(--quiet); }
.legend svg { width: 1.8rem; height: .6rem; margin-right: .4rem; vertical-align: baseline; }
.legend line { stroke-width: 3; }
details { margin-top: .5rem; } summary { cursor: pointer; color: var(--quiet); font-size: .92rem; }
"""


@dataclass(frozen=True)
class Line:
    """Points ``(x, y)`` in the order of x; ``band`` holds ``(x, low, high)``."""

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Interval:
    """A value with its interval, where it has one; the strong one stands out."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def curves(
    title: str, lines: Sequence[Line], x_name: str, y_name: str, zero: bool = False
) -> Iterator[str]:
    """Lines over a common x; with ``zero`` y = 0 is in sight. Nothing if there are no points."""
    lines = [line for line in lines if line.points]
    if not lines:
        return
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    ys += [y for line in lines for _, low, high in line.band for y in (low, high)]
    across, up = _Axis.over(xs, LEFT, WIDTH - RIGHT), _Axis.over(
        [*ys, 0.0] if zero else ys, HEIGHT - BOTTOM, TOP
    )  # fmt: skip
    yield f"<figure>\n<figcaption><b>{escape(title)}</b></figcaption>"
    yield _open(HEIGHT, f"{title}: {y_name} over {x_name}")
    yield from _grid(across, up, x_name, y_name)
    if zero:
        yield f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" {_at("y", up(0))}/>'
    for number, line in enumerate(lines):
        yield from _line(line, number, across, up)
    yield "</svg>"
    yield from _legend([line.name for line in lines])
    yield from _numbers(title, (x_name, *(line.name for line in lines)), _columns(lines))
    yield "</figure>"


def intervals(
    title: str,
    rows: Sequence[Interval],
    axis: str,
    marks: Sequence[tuple[str, float]] = (),
    bars: bool = False,
    note: str = "",
) -> Iterator[str]:
    """Values beneath each other with their intervals; ``marks`` are named lines across them.

    With ``bars`` a bar goes from 0 to each value; ``note`` is a sentence beneath.
    """
    if not rows:
        return
    reach = [
        edge
        for row in rows
        for edge in (row.value, row.low, row.high)
        if edge is not None and math.isfinite(edge)
    ]
    left = 14 + 6.6 * min(24, max(len(row.name) for row in rows))
    reach += [at for _, at in marks] + [0.0] * bars
    across = _Axis.over(reach, left, WIDTH - RIGHT - 6)
    foot = 20 + ROW * len(rows)
    yield f"<figure>\n<figcaption><b>{escape(title)}</b></figcaption>"
    yield _open(foot + 36, f"{title}: {axis}")
    for x in across.ticks:
        yield f'<line class="grid" y1="14" y2="{foot}" {_at("x", across(x))}/>'
        yield f'<text x="{across(x):.1f}" y="{foot + 13}" text-anchor="middle">{_short(x)}</text>'
    middle = (left + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.0f}" y="{foot + 30}" text-anchor="middle">{escape(axis)}</text>'
    for number, row in enumerate(rows):
        yield from _interval(row, 20 + ROW * (number + 0.5), across, bars)
    for _, x in marks:
        yield f'<line class="mark" y1="8" y2="{foot}" {_at("x", across(x))}/>'
    yield "</svg>"
    if marks:
        said = "; ".join(f"{name} {x:.3g}" for name, x in marks)
        yield from paragraphs([f"Dashed: {said}."], "quiet")
    yield from paragraphs(filter(None, [note]))
    cells = [(r.name, *("" if v is None else f"{v:.3g}" for v in (r.value, r.low, r.high)))
             for r in rows]  # fmt: skip
    yield from _numbers(title, ("", axis, "from", "to"), cells)
    yield "</figure>"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most ``most`` + 1 round numbers (1, 2 or 5 times a power of ten) from below to above."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(times for times in (1, 2, 5, 10) if step * times * most >= high - low)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class _Axis:
    """Values to places in the picture."""

    ticks: Sequence[float]
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> "_Axis":
        low, high = min(values), max(values)
        if high - low < 1e-9 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        return cls(ticks(low, high), start, end)

    def __call__(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def _open(height: int, label: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}">'
    )


def _grid(across: _Axis, up: _Axis, x_name: str, y_name: str) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for y in up.ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" {_at("y", up(y))}/>'
        yield f'<text x="{LEFT - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{_short(y)}</text>'
    for x in across.ticks:
        yield f'<text x="{across(x):.1f}" y="{foot + 14}" text-anchor="middle">{_short(x)}</text>'
    middle = (TOP + foot) / 2
    yield f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
    yield f"{escape(x_name)}</text>"
    yield f'<text transform="translate(9 {middle:.0f}) rotate(-90)" text-anchor="middle">'
    yield f"{escape(y_name)}</text>"


def _line(line: Line, number: int, across: _Axis, up: _Axis) -> Iterator[str]:
    colour = f"var(--c{number % COLOURS + 1})"
    if line.band:
        top = [f"{across(x):.1f},{up(high):.1f}" for x, _, high in line.band]
        under = [f"{across(x):.1f},{up(low):.1f}" for x, low, _ in reversed(line.band)]
        yield f'<polygon class="band" fill="{colour}" points="{" ".join([*top, *under])}"/>'
    places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line.points)
    dashes = DASHES[number % len(DASHES)]
    yield f'<polyline class="line" stroke="{colour}" stroke-dasharray="{dashes}" '
    yield f'points="{places}"/>'
    if len(line.points) <= 30:
        for x, y in line.points:
            said = escape(f"{line.name}: {y:.4g} at {x:g}")
            yield f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.6" fill="{colour}">'
            yield f"<title>{said}</title></circle>"


def _interval(row: Interval, y: float, across: _Axis, bar: bool) -> Iterator[str]:
    kind, colour = ("name strong", "var(--accent)") if row.strong else ("name", "var(--c2)")
    name = row.name if len(row.name) <= 24 else row.name[:23] + "…"
    yield f'<text class="{kind}" x="0" y="{y + 4:.1f}">{escape(name)}</text>'
    if bar:
        left, right = sorted((across(0), across(row.value)))
        yield f'<rect x="{left:.1f}" width="{right - left:.1f}" y="{y - 6:.1f}" height="12" '
        yield f'fill="{colour}" opacity=".3"/>'
    if row.low is not None and row.high is not None:
        ends = f'x1="{across(row.low):.1f}" x2="{across(row.high):.1f}" {_at("y", y)}'
        yield f'<line stroke="{colour}" stroke-width="5" opacity=".35" {ends}/>'
    said = escape(f"{row.name}: {row.value:.3g}")
    yield f'<circle cx="{across(row.value):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}">'
    yield f"<title>{said}</title></circle>"


def _legend(names: Sequence[str]) -> Iterator[str]:
    yield '<ul class="legend">'
    for number, name in enumerate(names):
        colour, dashes = f"var(--c{number % COLOURS + 1})", DASHES[number % len(DASHES)]
        yield (
            '<li><svg viewBox="0 0 30 10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" '
            f'stroke="{colour}" stroke-dasharray="{dashes}"/></svg>{escape(name)}</li>'
        )
    yield "</ul>"


def _columns(lines: Sequence[Line]) -> Iterator[tuple[str, ...]]:
    values = [dict(line.points) for line in lines]
    for x in sorted({x for line in values for x in line}):
        yield (f"{x:g}", *(f"{line[x]:.4g}" if x in line else "" for line in values))


def _numbers(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "<details><summary>The numbers</summary>"
    yield from table(title, columns, rows)
    yield "</details>"


def _at(axis: str, place: float) -> str:
    return f'{axis}1="{place:.1f}" {axis}2="{place:.1f}"'


def _short(value: float) -> str:
    return f"{value:.6g}" if value == 0 or abs(value) >= 0.01 else f"{value:.0e}"
