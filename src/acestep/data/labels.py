"""What a song's labels mean: keys, metres, tempi, languages, and where the activation tag goes.

Pure functions on text. Users write "Bb Major", "A#maj", "Am" or "4/4"; the model has seen
"Bb major", "A# major", "A minor" and "4". What is not understood stays as it was written.
"""

import math
import random
import re
import unicodedata
from dataclasses import dataclass

INSTRUMENTAL = "[Instrumental]"
TAG_POSITIONS = ("prepend", "append", "replace")
METERS = ("2", "3", "4", "6")
# Pitch classes as keys are named where nobody has spelt them
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# What can be measured of a song and told in its prompt, and what it is called
METAS = {"bpm": "tempo", "keyscale": "key", "timesignature": "time signature"}
_CODES = (
    "ar az bg bn ca cs da de el en es fa fi fr he hi hr ht hu id is it ja ko la lt ms ne nl no pa"
    " pl pt ro ru sa sk sr sv sw ta te th tl tr uk ur vi yue zh unknown"
)
LANGUAGES = frozenset(_CODES.split())
_NOTHING = frozenset({"", "n/a", "na", "none", "null", "unknown", "-", "?"})
_SEPARATOR = r"[\s_:.-]*"
_KEY = re.compile(
    rf"([A-Ga-g]){_SEPARATOR}(#|b|sharp|flat)?{_SEPARATOR}([A-Za-z]*)\.?", re.IGNORECASE
)
_CAMELOT = re.compile(r"0?([1-9]|1[0-2])([AB])", re.IGNORECASE)
_CAMELOT_KEYS = {
    "A": ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "Db"),
    "B": ("B", "F#", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E"),
}
_WORDS = (
    "acoustic ambient ballad bass beat beats blues chill christmas classical country dance disco"
    " drum drums dub edm electronic epic experimental female folk funk game gospel guitar happy"
    " hard hiphop hop house indie instrumental jazz jpop jungle kpop latin lofi loud male metal"
    " music orchestra piano pop punk rap reggae retro rnb rock sad sax slow soft song soul style"
    " swing synth synthwave techno trance trap vocal vocals voice"
)
_ORDINARY = frozenset(_WORDS.split())
_LONGEST_TAG = 12  # characters


@dataclass(frozen=True)
class PromptLabels:
    """What a prompt is made of; the tag is in the caption already. None or "" prints as N/A.

    ``keyscale`` and ``timesignature`` are in the model's vocabulary ("F# minor", "4") where they
    were understood; ``seconds`` is the length of the audio that the prompt describes.
    """

    caption: str
    lyrics: str = INSTRUMENTAL
    bpm: int | None = None
    keyscale: str | None = None
    timesignature: str | None = None
    language: str = "unknown"
    seconds: float = 0.0


def normalize_key(text: str | None) -> str | None:
    """A key in the model's vocabulary, ``"C# minor"``: a note A–G, nothing or # or b, and the mode.

    Understands "Bb Major", "A#maj", "Am", "f♯ minor", "C sharp min", "E:min", "G" and Camelot codes
    ("8A"). None for anything else, and for a lone lower-case letter, which may mean either mode.
    """
    plain = _plain(text).replace("♯", "#").replace("♭", "b")
    if camelot := _CAMELOT.fullmatch(plain):
        side = camelot[2].upper()
        return f"{_CAMELOT_KEYS[side][int(camelot[1]) - 1]} {'minor' if side == 'A' else 'major'}"
    match = _KEY.fullmatch(plain)
    if match is None:
        return None
    note, accidental, mode = match.groups()
    if mode == "" and note.islower():
        return None
    if mode in ("m", "M"):
        scale = "minor" if mode == "m" else "major"
    elif mode.lower() in ("", "maj", "major", "dur"):
        scale = "major"
    elif mode.lower() in ("min", "minor", "moll"):
        scale = "minor"
    else:
        return None
    sign = {"": "", "#": "#", "b": "b", "sharp": "#", "flat": "b"}[(accidental or "").lower()]
    return f"{note.upper()}{sign} {scale}"


def normalize_meter(value: object) -> str | None:
    """A time signature in the model's vocabulary, its beats: ``"2"``, ``"3"``, ``"4"`` or ``"6"``.

    4, 4.0, "4", "4/4" and "4/4 time" are one thing. None for what is not understood.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    text = _plain(str(value)).lower().removesuffix("time").strip()
    match = re.fullmatch(r"(\d+)(?:\.0+)?(?:\s*[/:]\s*(1|2|4|8|16))?", text)
    return match[1] if match and match[1] in METERS else None


def read_bpm(value: object) -> int | None:
    """A tempo as whole beats per minute; None where there is none ("", "N/A", 0).

    Raises ``ValueError`` for anything else that is no number from 1 to 999.
    """
    if isinstance(value, str):
        text = _plain(value).lower().removesuffix("bpm").strip()
        if text in _NOTHING:
            return None
        if not re.fullmatch(r"[+-]?\d{1,9}([.,]\d*)?", text):
            raise ValueError("is not a number")
        value = float(text.replace(",", "."))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("is not a number")
        value = math.floor(value + 0.5)
    if not 0 <= value <= 999:
        raise ValueError("is not between 1 and 999")
    return value or None


def read_key(text: str | None) -> str | None:
    """The normalised key, or what was written where it is not understood; None for nothing."""
    return normalize_key(text) or _or_none(text)


def read_meter(value: object) -> str | None:
    """The normalised metre, or what was written where it is not understood; None for nothing."""
    return normalize_meter(value) or _or_none(None if value is None else str(value))


def read_language(text: str | None) -> str:
    """A language code in lower case; "unknown" for nothing and for "instrumental"."""
    code = (text or "").strip()
    if code.lower() in _NOTHING | {"instrumental"}:
        return "unknown"
    return code.lower() if code.lower() in LANGUAGES else code


def has_words(lyrics: str) -> bool:
    """Whether lyrics hold more than the mark for an instrumental piece."""
    return lyrics.strip().strip("[]()").strip().lower() not in ("", "instrumental")


def apply_tag(caption: str, tag: str, position: str) -> str:
    """The caption with the activation tag, once.

    Golden cases (facts restated): tag ``mytag``, caption ``warm jazz``: prepend
    ``mytag, warm jazz``; append ``warm jazz, mytag``; replace ``mytag``; an empty caption gives the
    tag, an empty tag the caption. A tag that the caption has already is moved, not repeated.
    """
    tag = tag.strip()
    if not tag:
        return caption
    if position == "replace":
        return tag
    caption = strip_tag(caption, tag).strip(" \t\n,")
    if not caption:
        return tag
    start = re.compile(rf"{re.escape(tag)}(?!\w)", re.IGNORECASE)
    end = re.compile(rf"(?<!\w){re.escape(tag)}\W*$", re.IGNORECASE)
    if (start.match(caption) if position == "prepend" else end.search(caption)) is not None:
        return caption  # "myjazz piano trio": it is where it belongs, as part of the sentence
    return f"{tag}, {caption}" if position == "prepend" else f"{caption}, {tag}"


def strip_tag(caption: str, tag: str) -> str:
    """The caption without the tag where it stands between commas, in any case, however often."""
    tag = tag.strip()
    item = re.compile(rf"(^|,)\s*{re.escape(tag)}\s*(?=,|$)", re.IGNORECASE)
    if not tag or not item.search(caption):
        return caption
    # A tag may itself hold a comma, so removing one can make another.
    while item.search(caption):
        caption = item.sub("", caption, count=1).strip().removeprefix(",").strip()
    return caption


def tag_problems(tag: str) -> dict[str, str]:
    """What is wrong with an activation tag by the guide, and why; nothing with ``myjazz``.

    By kind: ``word``, ``long``, ``case``, ``characters``.
    """
    tag = tag.strip()
    problems: dict[str, str] = {}
    if tag.lower() in _ORDINARY:
        problems["word"] = (
            "is an ordinary word that the model knows already: its old meaning and the new style "
            "would pull at each other"
        )
    if len(tag) > _LONGEST_TAG:
        problems["long"] = (
            "is long: it takes more tokens of the prompt, and each of them means something already"
        )
    if tag != tag.lower():
        problems["case"] = "has capital letters: to the model Myjazz and myjazz are two tags"
    if tag and not re.fullmatch(r"[^\W_]+", tag):
        problems["characters"] = (
            "has characters besides letters and digits: they split it into several words"
        )
    return {kind: f"the tag {tag!r} {problem}" for kind, problem in problems.items()}


def tag_advice(tag: str) -> list[str]:
    """The sentences of :func:`tag_problems`."""
    return list(tag_problems(tag).values())


def genre_indices(count: int, ratio: int) -> frozenset[int]:
    """Which of ``count`` labelled songs show their genre instead of their caption.

    ``int(count * ratio / 100)`` of them, the same ones as in the original program: a shuffle seeded
    with 42. Golden: (10, 50) → 2 3 5 7 8.
    """
    order = list(range(count))
    random.Random(42).shuffle(order)
    return frozenset(order[: int(count * ratio / 100)])


def _plain(text: str | None) -> str:
    return unicodedata.normalize("NFKC", text or "").strip()


def _or_none(text: str | None) -> str | None:
    written = (text or "").strip()
    return None if written.lower() in _NOTHING else written
