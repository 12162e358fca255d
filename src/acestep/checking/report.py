"""What a check has to say, as a table for a terminal and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from acestep.checking.finding import LEVELS, Finding, few, gravest_first
from acestep.checking.score import score, song_score
from acestep.checking.signal import Signal

COLUMNS = ("song", "score", "length", "kHz", "bits", "LUFS", "dBTP", "ends at", "findings")


@dataclass(frozen=True)
class Row:
    """One song: its name, its length in seconds (0: not known), its sound if that was measured."""

    name: str
    seconds: float
    signal: Signal | None
    findings: Sequence[Finding]

    @property
    def score(self) -> int:
        """From 0 to 100."""
        return song_score(self.findings)


@dataclass(frozen=True)
class Report:
    """A checked dataset. ``findings`` are all there are, the gravest first."""

    name: str
    rows: Sequence[Row]
    findings: Sequence[Finding]

    @property
    def score(self) -> int:
        """From 0 to 100."""
        return score([row.name for row in self.rows], self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        return {f"{level}s": sum(f.level == level for f in self.findings) for level in LEVELS}

    @property
    def headline(self) -> str:
        """The dataset in one line."""
        minutes = sum(row.seconds for row in self.rows) / 60
        count = f"{len(self.rows)} song" + ("" if len(self.rows) == 1 else "s")
        return f"{self.name}: {count}, {minutes:.1f} minutes, score {self.score} of 100"


def make_report(
    name: str, songs: Sequence[tuple[str, float, Signal | None]], findings: Sequence[Finding]
) -> Report:
    """Sort findings to their songs; ``songs`` gives name, seconds and sound of each."""
    ordered = gravest_first(findings)
    rows = [
        Row(song, seconds, signal, [f for f in ordered if f.song == song])
        for song, seconds, signal in songs
    ]
    return Report(name, rows, ordered)


def table(report: Report) -> str:
    """The report for a terminal: a row for each song, then every finding with its advice."""
    lines = [report.headline, ""]
    if report.rows:
        cells = [COLUMNS, *map(row_cells, report.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            numbers = map(str.rjust, row[1:-1], widths[1:-1])
            lines.append("  ".join([row[0].ljust(widths[0]), *numbers, row[-1]]).rstrip())
        lines.append("")
    said: dict[str, list[str]] = {}
    for finding in report.findings:
        advice = f"\n           → {finding.advice}" if finding.advice else ""
        songs = said.setdefault(f"{finding.level:<8} {{}}{_braced(finding.message + advice)}", [])
        songs += [] if finding.song is None else [finding.song]
    for sentence, songs in said.items():
        lines.append(sentence.format(f"{few(songs)}: " if songs else ""))
    return "\n".join(lines).rstrip()


def row_cells(row: Row) -> tuple[str, ...]:
    """A song's row under :data:`COLUMNS`."""
    one, length = row.signal, f"{int(row.seconds) // 60}:{int(row.seconds) % 60:02}"
    codes = " ".join(dict.fromkeys(finding.code for finding in row.findings))
    if one is None:
        return row.name, str(row.score), length, "", "", "", "", "", codes
    return (
        row.name,
        str(row.score),
        length,
        f"{one.rate / 1000:g}",
        str(one.bits or "lossy"),
        "" if one.loudness is None else f"{one.loudness:.1f}",
        f"{one.true_peak:.1f}",
        f"{one.cutoff / 1000:.1f}" if one.is_cut else "",
        codes,
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values: score, counts, findings, and what was measured of each song."""
    return {
        "dataset": report.name,
        "score": report.score,
        **report.counts,
        "findings": [asdict(finding) for finding in report.findings],
        "songs": [
            {
                "song": row.name,
                "score": row.score,
                "seconds": round(row.seconds, 3),
                "measured": row.signal.facts() if row.signal else None,
            }
            for row in report.rows
        ],
    }


def _braced(text: str) -> str:
    """Text that ``str.format`` gives back as it is."""
    return text.replace("{", "{{").replace("}", "}}")
