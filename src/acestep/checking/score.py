"""A score from 0 to 100: what is wrong with the average song, and with the dataset as a whole."""

from collections.abc import Iterable, Sequence

from acestep.checking.finding import Finding, Level

COSTS: dict[Level, float] = {"error": 40, "warning": 12, "info": 2}  # points of a song's 100
WHOLE: dict[Level, float] = {"error": 40, "warning": 10, "info": 2}  # points of the dataset's


def song_score(findings: Iterable[Finding]) -> int:
    """100 without the costs of a song's findings, each kind once; not below 0."""
    kinds = {(finding.code, finding.level) for finding in findings}
    return round(max(0.0, 100 - sum(COSTS[level] for _, level in kinds)))


def score(songs: Sequence[str], findings: Sequence[Finding]) -> int:
    """The mean of the songs' scores without the costs of the dataset's own findings, from 0.

    ``songs`` names the songs as the findings do; without any the score is 0.
    """
    if not songs:
        return 0
    each = [song_score(f for f in findings if f.song == song) for song in songs]
    whole = {(finding.code, finding.level) for finding in findings if finding.song is None}
    return round(max(0.0, sum(each) / len(each) - sum(WHOLE[level] for _, level in whole)))
