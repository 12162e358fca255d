"""The styles of the small base model's world: who plays what, and in which rhythm.

A :class:`Style` says what its songs share; a seed decides the rest (:mod:`acestep.mini.corpus`).
The base is trained on :data:`STYLES` and never hears :data:`HELD_OUT`, which have its voices in
other roles, other rhythms, and a brass section and percussion that are new: what a user's folder is
to it.
"""

from dataclasses import dataclass

from acestep.mini.voices import Drum, Room, Voice


@dataclass(frozen=True)
class Groove:
    """The rhythm of a bar, in sixteenths: ``x`` plays, ``.`` rests, ``-`` holds on.

    ``bass`` has ``1`` (root), ``3``, ``5`` and ``8`` of the chord for ``x``. Three quarters and
    six eighths have twelve sixteenths, four quarters sixteen.
    """

    timesignature: str
    chords: str
    bass: str
    drums: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Style:
    """What all songs of a style share.

    ``bpm`` is the range of tempi, ``minor`` the share of songs in minor; ``leads``, ``chords`` and
    ``bass`` name voices, the first two leaving a choice; ``arpeggio`` breaks the chords;
    ``busy`` (0–1) is how many notes a melody has.
    """

    bpm: tuple[int, int]
    minor: float
    leads: tuple[str, ...]
    chords: tuple[str, ...]
    bass: str
    grooves: tuple[Groove, ...]
    mood: str
    drums: str = "drums"
    arpeggio: bool = False
    busy: float = 0.5
    room: Room = Room()
    levels: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # lead, chords, bass, drums


VOICES = {
    "square": Voice("square lead", "synth", 80, tilt=1.0, dark=1.0, odd=True, release=0.03,
                    gain=0.22),
    "saw": Voice("saw lead", "synth", 81, tilt=1.0, dark=1.7, fade=0.5, gain=0.24),
    "acid": Voice("acid synth", "synth", 87, tilt=0.9, dark=2.2, fade=0.07, drive=1.2, gain=0.26),
    "pluck": Voice("plucked synth", "synth", 88, tilt=1.0, dark=2.2, fade=0.06, decay=0.16,
                   sustain=0.05, gain=0.42),
    "sine": Voice("soft sine lead", "synth", 79, tilt=3.0, dark=3.4, attack=0.05, release=0.12,
                  gain=0.34),
    "flute": Voice("flute", "woodwinds", 73, tilt=2.3, dark=2.3, attack=0.04, sustain=0.9,
                   release=0.07, gain=0.34),
    "clarinet": Voice("clarinet", "woodwinds", 71, tilt=1.5, dark=1.7, odd=True, attack=0.03,
                      sustain=0.9, gain=0.3),
    "trumpet": Voice("trumpet", "brass", 56, tilt=0.7, dark=1.1, fade=0.15, attack=0.02,
                     sustain=0.9, gain=0.27),
    "brass": Voice("brass section", "brass", 61, tilt=0.9, dark=1.4, fade=0.2, attack=0.02,
                   sustain=0.8, gain=0.22),
    "violin": Voice("strings", "strings", 48, tilt=1.2, dark=1.3, attack=0.09, sustain=1.0,
                    release=0.14, gain=0.22),
    "bell": Voice("bells", "keyboard", 14, ratio=4, index=1.4, fade=0.25, decay=0.45, sustain=0.0,
                  release=0.25, gain=0.36),
    "musicbox": Voice("music box", "keyboard", 10, tilt=1.0, dark=2.0, fade=0.08,
                      stops=(1, 4, 6, 9), decay=0.3, sustain=0.0, release=0.2, gain=0.42),
    "epiano": Voice("electric piano", "keyboard", 4, ratio=1, index=1.1, fade=0.5, decay=0.9,
                    sustain=0.1, release=0.12, gain=0.3),
    "piano": Voice("piano", "keyboard", 0, tilt=1.3, dark=2.4, fade=0.25, decay=0.9, sustain=0.05,
                   release=0.1, gain=0.38),
    "organ": Voice("organ", "keyboard", 16, tilt=0.5, dark=0.5, stops=(1, 2, 3, 4, 6, 8),
                   sustain=1.0, gain=0.2),
    "accordion": Voice("accordion", "keyboard", 21, tilt=1.0, dark=1.0, attack=0.03, sustain=1.0,
                       gain=0.18),
    "clavinet": Voice("clavinet", "keyboard", 7, tilt=0.6, dark=1.6, fade=0.06, decay=0.15,
                      sustain=0.1, release=0.03, gain=0.34),
    "guitar": Voice("acoustic guitar", "guitar", 25, tilt=0.9, dark=2.4, fade=0.12, decay=0.5,
                    sustain=0.0, release=0.1, gain=0.42),
    "fuzz": Voice("distorted guitar", "guitar", 30, tilt=0.9, dark=1.1, drive=2.5, decay=1.5,
                  sustain=0.5, gain=0.24),
    "pad": Voice("warm pad", "synth", 89, tilt=1.8, dark=2.2, fade=1.0, attack=0.25, sustain=1.0,
                 release=0.3, gain=0.24),
    "sawpad": Voice("saw pad", "synth", 90, tilt=1.0, dark=1.5, fade=1.0, attack=0.12, sustain=1.0,
                    release=0.2, gain=0.2),
    "choir": Voice("choir", "backing_vocals", 52, tilt=0.9, dark=0.9, vowel="a", attack=0.12,
                   sustain=1.0, release=0.2, gain=0.2),
    "bass": Voice("round bass", "bass", 33, tilt=2.0, dark=3.0, attack=0.008, decay=0.8,
                  sustain=0.5, gain=0.38),
    "sawbass": Voice("saw bass", "bass", 38, tilt=1.0, dark=2.0, fade=0.1, decay=0.4, sustain=0.5,
                     gain=0.32),
    "pickbass": Voice("picked bass", "bass", 34, tilt=1.1, dark=2.2, fade=0.1, decay=0.6,
                      sustain=0.3, gain=0.36),
    "chipbass": Voice("triangle bass", "bass", 39, tilt=2.0, dark=2.0, odd=True, sustain=0.9,
                      release=0.02, gain=0.36),
    "sub": Voice("sub bass", "bass", 39, tilt=3.0, dark=3.5, attack=0.01, decay=1.5, sustain=0.6,
                 release=0.1, gain=0.42),
    **{
        f"voice-{vowel}": Voice("voice", "vocals", 53, tilt=0.9, dark=0.9, vowel=vowel, attack=0.03,
                                sustain=0.9, release=0.06, gain=0.26)
        for vowel in "aeiou"
    },
}  # fmt: skip

DRUMS = {
    "kick": Drum(36, start=150, end=50, tone=0.8, noise=0.08, decay=0.09),
    "soft kick": Drum(35, start=110, end=48, tone=0.6, decay=0.1),
    "snare": Drum(38, start=190, end=180, tone=0.25, noise=0.25, decay=0.06),
    "brush": Drum(40, noise=0.12, edge=1, decay=0.07),
    "clap": Drum(39, noise=0.22, edge=1, decay=0.05, pan=-0.1),
    "hat": Drum(42, noise=0.08, edge=2, decay=0.015, pan=0.3),
    "open": Drum(46, noise=0.07, edge=2, decay=0.07, pan=0.3),
    "rim": Drum(37, start=900, end=850, tone=0.25, noise=0.06, decay=0.012),
    "shaker": Drum(70, noise=0.08, edge=1, decay=0.025, pan=-0.4),
    "guiro": Drum(73, noise=0.09, edge=1, decay=0.03, pan=-0.4),
    "conga": Drum(63, start=260, end=200, tone=0.4, noise=0.04, decay=0.08, pan=0.25),
    "cowbell": Drum(56, start=800, end=800, tone=0.13, noise=0.02, decay=0.05, pan=-0.25),
    "tom": Drum(47, start=150, end=100, tone=0.5, noise=0.04, decay=0.11, pan=0.2),
    "chip": Drum(40, noise=0.14, edge=1, decay=0.03),
    "tick": Drum(42, noise=0.05, edge=1, decay=0.01),
}

WHOLE4, WHOLE3 = "x" + 15 * "-", "x" + 11 * "-"
LONG4, LONG3 = "1" + 15 * "-", "1" + 11 * "-"
_BEATS, _OFF, _BACK = "x...x...x...x...", "..x...x...x...x.", "....x.......x..."
_EIGHTHS, _SIXTEENTHS = "x.x.x.x.x.x.x.x.", 16 * "x"

STYLES = {
    "house": Style(
        (112, 130), 0.6, ("pluck", "saw"), ("organ",), "sawbass",
        (Groove("4", "..x-..x-..x-..x-", "..1-..1-..1-..8-",
                (("kick", _BEATS), ("clap", _BACK), ("open", _OFF), ("hat", _SIXTEENTHS))),),
        "uplifting", busy=0.6),
    "techno": Style(
        (125, 148), 0.9, ("acid",), ("sawpad",), "sawbass",
        (Groove("4", WHOLE4, "1.1.1.1.1.1.1.1.",
                (("kick", _BEATS), ("hat", _OFF), ("rim", "...x..x....x..x."))),),
        "driving", busy=0.9, levels=(1.1, 0.8, 1.0, 1.2)),
    "rock": Style(
        (96, 160), 0.4, ("fuzz",), ("fuzz",), "pickbass",
        (Groove("4", "x-------x-------", "1-1-1-1-1-1-1-1-",
                (("kick", "x.......x.x....."), ("snare", _BACK), ("hat", _EIGHTHS))),
         Groove("6", "x-----x-----", "1-1-1-1-1-1-",
                (("kick", "x..........."), ("snare", "......x....."), ("hat", "x.x.x.x.x.x."))),
         ),
        "loud", levels=(1.0, 0.9, 1.0, 1.1)),
    "ambient": Style(
        (60, 84), 0.5, ("sine", "bell"), ("pad", "choir"), "sub",
        (Groove("4", WHOLE4, LONG4), Groove("3", WHOLE3, LONG3)),
        "calm", drums="", busy=0.15, room=Room(1.6, 0.5)),
    "chiptune": Style(
        (120, 180), 0.3, ("square",), ("square",), "chipbass",
        (Groove("4", "x.x.x.x.x.x.x.x.", "1---5---1---8---",
                (("kick", _BEATS), ("chip", "....x.......x..x"), ("tick", _OFF))),
         Groove("3", "x.x.x.x.x.x.", "1---5---5---",
                (("kick", "x..........."), ("chip", "....x...x...")))),
        "playful", drums="8-bit drums", arpeggio=True, busy=0.7, room=Room(0.2, 0.0)),
    "lofi": Style(
        (64, 92), 0.6, ("bell", "clarinet"), ("epiano",), "bass",
        (Groove("4", "x-----x---x-----", "1-----5---1---5-",
                (("soft kick", "x.....x...x....."), ("brush", _BACK),
                 ("tick", "x.xx..x.x.xx..x."))),),
        "relaxed", drums="soft drums", busy=0.35, room=Room(0.5, 0.2)),
    "ballad": Style(
        (60, 86), 0.4, ("voice", "violin"), ("piano",), "bass",
        (Groove("4", "x---x---x---x---", "1-------5-------",
                (("soft kick", "x.........x....."), ("brush", "........x......."),
                 ("tick", _EIGHTHS))),
         Groove("6", "x-x-x-x-x-x-", "1-----5-----",
                (("soft kick", "x..........."), ("brush", "......x....."),
                 ("tick", "x.x.x.x.x.x.")))),
        "tender", drums="soft drums", busy=0.35, room=Room(0.9, 0.3)),
    "folk": Style(
        (84, 132), 0.4, ("flute", "voice"), ("guitar",), "pickbass",
        (Groove("4", "x-x-x-x-x-x-x-x-", "1-------5-------"),
         Groove("3", "x-x-x-x-x-x-", "1-------5---"),
         Groove("6", "x-x-x-x-x-x-", "1-----5-----")),
        "gentle", drums="", arpeggio=True, busy=0.5, room=Room(0.4, 0.12)),
    "musicbox": Style(
        (72, 126), 0.2, ("musicbox",), ("musicbox",), "sub",
        (Groove("3", "..x-x-..x-x-", LONG3),
         Groove("4", "..x-..x-..x-..x-", LONG4)),
        "delicate", drums="", busy=0.8, room=Room(0.7, 0.25), levels=(1.1, 0.9, 0.5, 1.0)),
    "synthwave": Style(
        (84, 120), 0.8, ("saw", "square"), ("sawpad",), "sawbass",
        (Groove("4", WHOLE4, "1.1.1.1.8.8.1.1.",
                (("kick", "x.......x......."), ("snare", _BACK), ("hat", _EIGHTHS),
                 ("tom", "..............x."))),),
        "nostalgic", busy=0.4, room=Room(1.0, 0.35)),
    "reggae": Style(
        (66, 96), 0.5, ("trumpet", "organ"), ("clavinet",), "bass",
        (Groove("4", "....x-......x-..", "..1-1---3-5-----",
                (("kick", "........x......."), ("rim", "........x......."),
                 ("hat", "x.x.x.x.x.x.x.x."))),),
        "sunny", busy=0.4, room=Room(0.4, 0.15), levels=(0.9, 1.2, 1.3, 0.9)),
    "waltz": Style(
        (100, 180), 0.3, ("violin", "accordion"), ("accordion",), "pickbass",
        (Groove("3", "....x---x---", "1---1---5---",
                (("soft kick", "x..........."), ("brush", "....x...x..."))),),
        "elegant", drums="soft drums", busy=0.4, room=Room(0.8, 0.25)),
}  # fmt: skip

HELD_OUT = {
    "cumbia": Style(
        (88, 104), 0.7, ("accordion",), ("organ",), "bass",
        (Groove("4", "..x...x...x...x.", "1-----3---5-----",
                (("kick", "x.......x......."), ("guiro", "x.xxx.xxx.xxx.xx"),
                 ("conga", "......x.....x.x."), ("cowbell", _BEATS))),),
        "bright", drums="guiro, congas", busy=0.6),
    "jig": Style(
        (108, 126), 0.3, ("flute",), ("guitar",), "sub",
        (Groove("6", "x--x--x--x--", "1-----5-----",
                (("tom", "x.....x..x.."), ("shaker", "x.x.x.x.x.x."))),),
        "lively", drums="frame drum", busy=1.0),
    "bossa": Style(
        (118, 138), 0.4, ("clarinet",), ("guitar",), "bass",
        (Groove("4", "x--x--x---x--x--", "1-----5-5-----1-",
                (("soft kick", "x.....x.x.....x."), ("rim", "x..x..x...x..x.."),
                 ("shaker", _SIXTEENTHS))),),
        "smooth", drums="light percussion", busy=0.4, room=Room(0.5, 0.15)),
    "funk": Style(
        (96, 114), 0.7, ("brass",), ("clavinet",), "pickbass",
        (Groove("4", "x.xx..x.x..x.xx.", "1..1..8.1..5.8..",
                (("kick", "x..x......x....."), ("snare", _BACK), ("hat", _SIXTEENTHS))),),
        "groovy", busy=0.5, levels=(0.9, 1.2, 1.1, 1.0)),
    "march": Style(
        (104, 122), 0.1, ("trumpet",), ("brass",), "chipbass",
        (Groove("4", "..x-..x-..x-..x-", "1---5---1---5---",
                (("kick", "x.......x......."), ("snare", "x.xxx.x.x.xxxxxx"))),),
        "proud", drums="marching drums", busy=0.5, room=Room(0.6, 0.2)),
}  # fmt: skip
