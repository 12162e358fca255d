# ruff: noqa: E501 (a table, one style to a row)
"""Rhythms of the tracks that the label benchmark plays: who strikes when, in forty styles.

A pattern is one bar: ``x`` strikes, ``o`` strikes softly, ``.`` rests; bass patterns have the
interval of the chord (``1`` root, ``3``, ``5``, ``8`` octave) instead. A bar of any number of steps is
divided evenly, so twelve steps in four quarters are triplets. ``/`` parts alternatives, one of
which a song draws. In 6/8 the beat that ``bpm`` counts is the dotted quarter.
"""

from dataclasses import dataclass

BEATS = {"4": 4, "3": 3, "6": 2}  # beats in a bar, by time signature


@dataclass(frozen=True)
class Style:
    """``bpm`` is the range of tempi, ``swing`` delays every second eighth by up to that share of it.

    ``programs`` are General MIDI programs of chords, bass and lead; ``tuned`` is False for styles
    that are kept for the held-out tracks.
    """

    meter: str
    bpm: tuple[int, int]
    drums: dict[str, str]
    chords: str
    bass: str
    programs: tuple[int, int, int]
    swing: float = 0.0
    arpeggio: bool = False
    minor: float = 0.5
    tuned: bool = True


def _style(meter: str, low: int, high: int, drums: str, *rest, **more) -> Style:
    parts = dict(part.split(" ", 1) for part in drums.split("; ")) if drums else {}
    return Style(meter, (low, high), parts, *rest, **more)


STYLES = {
    "pop": _style(
        "4", 92, 128,
        "kick x.......x......./x.....x.x......./x.......x.x.....; snare ....x.......x...;"
        " hat x.x.x.x.x.x.x.x./xoxoxoxoxoxoxoxo",
        "x......./x.......x......./x...x...x...x...", "1.1.1.1.1.1.1.1./1.....1.1.....5.",
        (0, 33, 80), minor=0.3,
    ),
    "rock": _style(
        "4", 105, 150,
        "kick x.......x.x...../x..x....x.x.....; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "x.x.x.x.x.x.x.x./x..x..x.x..x..x.", "1.1.1.1.1.1.1.1./1...1...1.1.5...", (29, 34, 30),
    ),
    "punk": _style(
        "4", 155, 190,
        "kick x...x.x.x...x.x./x..x....x..x....; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "x.x.x.x.x.x.x.x.", "1.1.1.1.1.1.1.1.", (30, 34, 29), minor=0.3, tuned=False,
    ),
    "metal": _style(
        "4", 95, 150,
        "kick xxxxxxxxxxxxxxxx/x.xxx.xxx.xxx.xx; snare ....x.......x.../........x.......;"
        " ride x...x...x...x...",
        "x.xxx.xxx.xxx.xx/x...x.x.x...x.x.", "1.111.111.111.11/1...1.1.1...1.1.", (30, 34, 30),
        minor=1.0,
    ),
    "house": _style(
        "4", 118, 130,
        "kick x...x...x...x...; clap ....x.......x...; open ..x...x...x...x.; hat xoxoxoxoxoxoxoxo/................",
        "..x..x....x..x../x..x..x...x..x../..x...x...x...x.", "..1...1...1...8./1..1..1..1..1.8.",
        (5, 38, 81), minor=0.8,
    ),
    "techno": _style(
        "4", 122, 145,
        "kick x...x...x...x...; hat ..x...x...x...x./x.xxx.xxx.xxx.xx; rim ...x..x.....x.../................",
        "x..x..x..x..x.../x.........x.....", ".111.111.111.111/..1...1...1...1.", (90, 39, 81),
        minor=1.0,
    ),
    "trance": _style(
        "4", 130, 142,
        "kick x...x...x...x...; clap ....x.......x...; open ..x...x...x...x.",
        "xxxxxxxxxxxxxxxx/x.xx.x.xx.xx.x.x", ".111.111.111.111", (81, 38, 90), arpeggio=True, minor=0.9,
    ),
    "drum and bass": _style(
        "4", 165, 178,
        "kick x.........x...../x..x......x.....; snare ....x.......x.../....x..o.o..x..o; hat x.x.x.x.x.x.x.x.",
        "x.............../x......x........", "1.........1...../1.......1...5...", (89, 38, 81), minor=0.9,
    ),
    "hip hop": _style(
        "4", 78, 98,
        "kick x.....x..x....../x..x....x.x...../x......x..x.....; snare ....x.......x...; hat x.x.x.x.x.x.x.x./xoxoxoxoxoxoxoxo",
        "x......./x.....x.x......./x...x...", "1.....1..1....../1..1....1.......", (4, 33, 11), swing=0.2,
        minor=0.8,
    ),
    "trap": _style(
        "4", 128, 150,
        "kick x.....x.......x./x.......x..x....; snare ........x.......; hat x.x.x.x.x.x.xxx./x.x.x.xxx.x.x.x.",
        "x...............", "1.....1.......1./1...........1...", (89, 38, 80), minor=1.0,
    ),
    "ballad": _style(
        "4", 60, 78,
        "kick x.......x......./x.....x.x.......; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "x...x...x...x.../x.x.x.x.x.x.x.x.", "1.......1......./1.....1.5.......", (0, 33, 52),
        arpeggio=True, minor=0.3,
    ),
    "soul": _style(
        "4", 72, 105,
        "kick x.....x...x...../x..x..x.........; snare ....x.......x.../....x..o.o..x...; hat x.x.x.x.x.x.x.x.",
        "..x...x...x...x./x.....x...x....x", "1..1..3...5.1.../1.....1.5.8.....", (16, 33, 61), swing=0.1,
    ),
    "funk": _style(
        "4", 95, 118,
        "kick x..x..x...x..x../x.x.......x..x..; snare ....x..o.o..x..o; hat xxxxxxxxxxxxxxxx/x.xxx.xxx.xxx.xx",
        "..x.x..x..x.x../x..x..x..x..x.x.", "1..1..8...1.5.8./1.1...8.1..1..5.", (7, 36, 61), minor=0.7,
    ),
    "disco": _style(
        "4", 112, 128,
        "kick x...x...x...x...; snare ....x.......x...; open ..x...x...x...x.; hat xoxoxoxoxoxoxoxo",
        "..x...x...x...x./x..x..x.x..x..x.", "1.8.1.8.1.8.1.8.", (27, 33, 48), minor=0.6,
    ),
    "country": _style(
        "4", 95, 130,
        "kick x.......x.......; snare ..x.x.xx..x.x.xx/....x.......x...; hat x.x.x.x.x.x.x.x.",
        "....x.......x.../..x.x.x...x.x.x.", "1.......5......./1...3...5...3...", (25, 32, 105), minor=0.1,
    ),
    "bossa nova": _style(
        "4", 118, 150,
        "kick x.....x.x.....x.; rim x.....x.....x.../..x.....x.....x.; shaker x.x.x.x.x.x.x.x.",
        "x...x.....x...x./..x...x.x...x...", "1.....5.5.....1.", (24, 32, 73), tuned=False,
    ),
    "reggae": _style(
        "4", 64, 84,
        "kick ........x......./x.......x.......; rim ........x.......; hat x.x.x.x.x.x.x.x.",
        "....x.......x.../....x.x.....x.x.", "1.....1.3...5.../..1...3.5...1...", (16, 33, 27), swing=0.15,
        tuned=False,
    ),
    "ska": _style(
        "4", 130, 165,
        "kick x.......x......./........x.......; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "..x...x...x...x.", "1...3...5...3...", (27, 33, 61), minor=0.3,
    ),
    "swing": _style(
        "4", 110, 190,
        "ride x..x.xx..x.x/x..x.xx..x.x; hat ...x.....x..; kick o..o..o..o../............",
        "x....x....../..x..x......", "1..3..5..8../1..5..8..5..", (0, 32, 56), minor=0.4,
    ),
    "shuffle": _style(
        "4", 85, 130,
        "kick x.....x...../x....xx.....; snare ...x.....x..; hat x.xx.xx.xx.x",
        "x.xx.xx.xx.x/...x.....x..", "1.13.35.58.8/1..3..5..3..", (26, 33, 22), minor=0.2,
    ),
    "slow blues": _style(
        "4", 50, 72,
        "kick x.....x.....; snare ...x.....x..; hat xxxxxxxxxxxx", "xxxxxxxxxxxx/x..x..x..x..",
        "1..3..5..3../1....1..5...", (18, 33, 26), minor=0.4, tuned=False,
    ),
    "son": _style(
        "4", 85, 105,
        "conga x.x.xxx.x.x.xx../x...x.xx..x.x.xx; rim x..x..x...x.x.../..x.x...x..x..x.; cowbell x...x...x...x...",
        "x.x.x.x..x.x.x.x/x..xx.x..x.x.x.x", "......5.....1.../1.....5.....8...", (0, 32, 56),
    ),
    "lofi": _style(
        "4", 68, 90,
        "kick x......x..x...../x..x......x.....; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "x.......x......./x.....x.........", "1......1..1...../1.......5.......", (4, 33, 11), swing=0.35,
    ),
    "ambient": _style("4", 60, 92, "", "x.x.x.x.x.x.x.x./x.......x.......", "1...............", (88, 38, 89),
        arpeggio=True),
    "synthwave": _style(
        "4", 82, 118,
        "kick x.......x......./x...x...x...x...; snare ....x.......x...; hat x.x.x.x.x.x.x.x.",
        "x.............../xxxxxxxxxxxxxxxx", "1.1.1.1.1.1.1.1./1111111111111111", (90, 38, 81), minor=0.9,
        tuned=False,
    ),
    "march": _style(
        "4", 98, 122,
        "kick x.......x.......; snare x..xx.x.x..xx.x./....x.xx....x.xx; crash x.......x.......",
        "....x.......x...", "1.......5.......", (61, 58, 56), minor=0.2,
    ),
    "piano": _style("4", 66, 122, "", "x.x.x.x.x.x.x.x./x...x...x...x.../x.xxx.xxx.xxx.xx", "1.......5......./1.......1.......",
        (0, 0, 0), arpeggio=True),
    "folk": _style("4", 80, 125, "", "x.xxx.xxx.xxx.xx/x.x.x.x.x.x.x.x.", "1.......5......./1...5...1...5...", (24, 32, 73),
        arpeggio=True, minor=0.3, tuned=False),
    "waltz": _style("3", 140, 190, "kick x.....; snare ..x.x./......; ride x...../......", "..x.x.", "1...../1.....",
        (48, 43, 40), minor=0.4),
    "slow waltz": _style("3", 84, 112, "", "....x...x.../x.x.x.x.x.x.", "1.........../1.......5...", (0, 32, 71), arpeggio=True),
    "jazz waltz": _style("3", 118, 172, "ride x..x.xx.x/x..x..x.x; kick x......../x....x...; hat ...x...../...x..x..",
        "x....x.../...x..x..", "1..3..5../1.....5..", (0, 32, 66), tuned=False),
    "rock waltz": _style("3", 92, 150, "kick x.........../x.....x.....; snare ....x...x.../........x...; hat x.x.x.x.x.x.",
        "x...x...x.../x.x.x.x.x.x.", "1.1.1.1.1.1./1.......5...", (29, 34, 80)),
    "country waltz": _style("3", 88, 126, "kick x...........; snare ....x...x...; hat x...x...x.../x.x.x.x.x.x.", "....x...x...",
        "1.........../1.......5...", (25, 32, 40), minor=0.1),
    "folk waltz": _style("3", 92, 140, "", "x.x.x.x.x.x./x...x...x...", "1.........../1.......5...", (24, 32, 21),
        arpeggio=True),
    "mazurka": _style("3", 112, 150, "kick x...........; snare ....x......./........x...", "....x...x...", "1.........../1...5.......",
        (21, 32, 40), tuned=False),
    "minuet": _style("3", 96, 132, "", "x...x...x.../....x...x...", "1...3...5.../1.......5...", (6, 42, 73), minor=0.3),
    "six-eight ballad": _style("6", 48, 74, "kick x.........../x....x......; snare ......x.....; hat x.x.x.x.x.x.",
        "x.x.x.x.x.x.", "1.....1...../1.....5.....", (0, 33, 80), arpeggio=True),
    "six-eight rock": _style("6", 56, 84, "kick x...x......./x.........x.; snare ......x.....; hat x.x.x.x.x.x.",
        "x.....x...../x.x.x.x.x.x.", "1.1.1.5.5.5./1.....5.....", (29, 34, 30)),
    "barcarole": _style("6", 46, 66, "", "x.x.x.x.x.x./..x.x...x.x.", "1.....5...../1.....1.....", (46, 32, 71), arpeggio=True),
    "jig": _style("6", 98, 124, "kick x.....x...../............; rim x.x.x.x.x.x./............", "x...x.x...x./x.....x.....",
        "1.....5...../1...1.5...5.", (25, 32, 110), minor=0.3, tuned=False),
}  # fmt: skip
