"""The page of a check: score, findings, and of each song its waveform and its spectrum.

One file that needs no other. Names and captions come from people and files: everything is escaped.
"""

from collections.abc import Iterable, Iterator
from html import escape

import numpy as np

from acestep.checking.finding import Finding
from acestep.checking.report import COLUMNS, Report, Row, row_cells
from acestep.checking.signal import Signal
from acestep.checking.sound import FRAMES
from acestep.pages import head, paragraphs, table

WIDTH, HEIGHT = 400, 80  # of a picture, in its own units
FLOOR = -110.0  # dB at the foot of a spectrum
HIGHEST = 24_000  # Hz at its right end
MARKS = {"error": "✖ error", "warning": "▲ warning", "info": "· info"}
STYLE = """
svg { width: 100%; height: 5rem; display: block; margin: .4rem 0; background: var(--ground); }
svg .shape { fill: var(--accent); } svg .line { fill: none; stroke: var(--accent); }
svg .edge { stroke: var(--text); stroke-dasharray: 3 3; }
svg * { vector-effect: non-scaling-stroke; }
ul { list-style: none; padding: 0; margin: .5rem 0 0; } li { margin-bottom: .5rem; }
li b { color: var(--accent); white-space: nowrap; } h3 { overflow-wrap: anywhere; }
td:last-child, th:last-child { text-align: left; } article p { flex: none; }
"""


def page(report: Report) -> str:
    """The whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from head(f"Check of {report.name}", STYLE, script="")
    yield f"<header>\n<h1>{escape(report.name)}: {report.score} of 100</h1>"
    counts = ", ".join(f"{count} {level}" for level, count in report.counts.items())
    yield from paragraphs([report.headline, f"Found: {counts}."])
    yield "</header>\n<main>\n<section>\n<h2>The dataset</h2>"
    yield from _list([finding for finding in report.findings if finding.song is None])
    yield from table("Songs", COLUMNS, map(row_cells, report.rows))
    yield '</section>\n<section>\n<h2>The songs</h2>\n<div class="shelf">'
    for row in report.rows:
        yield from _card(row)
    yield "</div>\n</section>\n</main>\n</body>\n</html>"


def _card(row: Row) -> Iterator[str]:
    yield f"<article>\n<h3>{escape(row.name)} · {row.score}</h3>"
    if row.signal is not None:
        yield _wave(row.signal, f"Waveform of {row.name}")
        yield _spectrum(row.signal, f"Spectrum of {row.name}")
        yield f'<p class="quiet">{escape(_caption(row.signal))}</p>'
    yield from _list(row.findings)
    yield "</article>"


def _list(findings: Iterable[Finding]) -> Iterator[str]:
    yield "<ul>"
    for finding in findings:
        advice = (
            f'<br><span class="quiet">{escape(finding.advice)}</span>' if finding.advice else ""
        )
        yield f"<li><b>{MARKS[finding.level]}</b> {escape(finding.message)}{advice}</li>"
    yield "</ul>"


def _caption(signal: Signal) -> str:
    loudness = "silent" if signal.loudness is None else f"{signal.loudness:.1f} LUFS"
    return (
        f"{signal.seconds:.0f} s, {signal.rate} Hz, {signal.coding}; {loudness}, peak "
        f"{signal.true_peak:+.1f} dBTP; spectrum from 0 to {HIGHEST // 1000} kHz, "
        f"0 to {FLOOR:.0f} dB below the loudest"
    )


def _wave(signal: Signal, title: str) -> str:
    lows, highs = np.clip(signal.wave, -1, 1)
    x = np.linspace(0, WIDTH, len(highs))
    around = [*zip(x, highs, strict=True), *zip(x[::-1], lows[::-1], strict=True)]
    points = [(at, HEIGHT / 2 * (1 - level)) for at, level in around]
    return _picture(title, f'<polygon class="shape" points="{_points(points)}"/>')


def _spectrum(signal: Signal, title: str) -> str:
    level = np.clip(signal.spectrum / FLOOR, 0, 1) * HEIGHT
    x = np.arange(len(level)) * FRAMES * WIDTH / HIGHEST
    inside = x <= WIDTH
    line = (
        f'<polyline class="line" points="{_points(zip(x[inside], level[inside], strict=True))}"/>'
    )
    edge = signal.cutoff * WIDTH / HIGHEST
    mark = f'<line class="edge" x1="{edge:.1f}" x2="{edge:.1f}" y1="0" y2="{HEIGHT}"/>'
    return _picture(title, line + (mark if signal.is_cut else ""))


def _picture(title: str, shapes: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{shapes}</svg>'
    )


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
