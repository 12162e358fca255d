"""A caption without any model: what was measured and tagged, in plain words.

Captions of the model name style, tempo, mood and sound between commas. A draft says only what is
known: "slow jazz in a minor key, warm, sparse, quiet, wide dynamics". Where the words begin and end
is convention (tempi as musicians use them, brightness by the spectral centroid, loudness by EBU
R 128), so what lies in the middle is not named at all.
"""

import math
import re
from dataclasses import dataclass

from acestep.data.labels import normalize_key


@dataclass(frozen=True)
class Measured:
    """What the analysis found; None, or NaN, for what it did not.

    ``bpm`` beats a minute; ``keyscale`` as the model writes it ("A minor"); ``brightness`` the
    spectral centroid in Hz; ``density`` onsets a second; ``loudness`` integrated, in LUFS;
    ``dynamics`` the loudness range in LU.
    """

    bpm: float | None = None
    keyscale: str | None = None
    brightness: float | None = None
    density: float | None = None
    loudness: float | None = None
    dynamics: float | None = None


@dataclass(frozen=True)
class SongFacts:
    """What tags, the folder and the user say of a song; "" for what nobody said.

    ``instrumental`` is None while nobody knows.
    """

    genre: str = ""
    title: str = ""
    folder: str = ""
    instrumental: bool | None = None


# (up to this value, word); "" is not worth a word
_Scale = tuple[tuple[float, str], ...]
_TEMPO: _Scale = (
    (60, "very slow"),
    (85, "slow"),
    (115, "mid-tempo"),
    (145, "uptempo"),
    (math.inf, "fast"),
)
_BRIGHTNESS: _Scale = ((900, "dark"), (1500, "warm"), (3000, ""), (math.inf, "bright"))
_DENSITY: _Scale = ((1.5, "sparse"), (6, ""), (math.inf, "busy"))
_LOUDNESS: _Scale = ((-24, "quiet"), (-9, ""), (math.inf, "loud"))
_DYNAMICS: _Scale = ((3, "even dynamics"), (12, ""), (math.inf, "wide dynamics"))
_LONGEST = 60  # characters of a genre, a title or a folder's name
# Tags and folders that say nothing
_NOTHING = (
    "other unknown misc miscellaneous genre none music musik audio song songs track tracks title"
    " untitled sample samples data dataset datasets train training test wav wavs flac mp3 mp3s ogg"
    " files new folder download downloads desktop documents home tmp temp input output album"
    " artist various artists my the"
)
_EMPTY = frozenset(_NOTHING.split())


def draft_caption(measured: Measured, song_facts: SongFacts) -> str:
    """A caption of what is known of a song; "" where nothing is.

    Never more than a few dozen words, on one line. It is a draft: the label's source says so.
    """
    genre, title, folder = (
        _named(text) for text in (song_facts.genre, song_facts.title, song_facts.folder)
    )
    key = normalize_key(measured.keyscale)
    style = " ".join(filter(None, [_word(measured.bpm, _TEMPO), genre.lower()]))
    mode = f"in a {key.split()[1]} key" if key else ""
    voice = {True: "instrumental", False: "with vocals", None: ""}[song_facts.instrumental]
    parts = [
        " ".join(filter(None, [style, mode])),
        _word(measured.brightness, _BRIGHTNESS),
        _word(measured.density, _DENSITY),
        _word(measured.loudness, _LOUDNESS),
        _word(measured.dynamics, _DYNAMICS),
        voice,
        f'titled "{title}"' if title else "",
        f'from "{folder}"'
        if folder and folder.lower() not in (genre.lower(), title.lower())
        else "",
    ]
    return ", ".join(filter(None, parts))


def _word(value: float | None, scale: _Scale) -> str:
    """The word for a value; "" where it is missing or nothing special."""
    if value is None or not math.isfinite(value):
        return ""
    return next(word for limit, word in scale if value < limit or limit == math.inf)


def _named(text: str) -> str:
    """A tag as part of a sentence; "" where it says nothing ("Track 01", "new folder")."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    plain = re.sub(r"\s*[;/|\\]+\s*", ", ", plain.replace('"', "").replace("_", " "))
    plain = " ".join(plain.split()).strip(" ,.-")
    words = [word for word in re.split(r"\W+", plain.lower()) if word]
    if all(word in _EMPTY or word.isdecimal() for word in words):
        return ""
    if len(plain) > _LONGEST:
        plain = plain[:_LONGEST].rsplit(" ", 1)[0].rstrip(" ,")
    return plain
