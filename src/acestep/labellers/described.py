"""What a text labeller answers, and how text that a model wrote is made fit to be a label.

Models repeat themselves, leave brackets open and write control characters. What can be mended is,
here and nowhere else; what cannot be used is refused by who asked for it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from acestep.data.labels import INSTRUMENTAL, LANGUAGES
from acestep.data.lyrics import sung_lines

LONGEST_CAPTION = 2000  # characters; the prompt holds about 800
LONGEST_GENRE = 200
LONGEST_LYRICS = 20_000
LONGEST_LINE = 500
MOST_REPEATS = 32  # of one line in a row; more is a model that goes round in circles

# Changes of writing direction and marks of encodings: invisible, and never sung
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\uffff]")
_TAGS = re.compile(r"<\|[^|<>\n]{0,40}\|>|</?(?:think|reasoning|answer)>")  # of chat templates
# Codes that models write for languages that the base model has under another
_OTHER_CODES = {"cmn": "zh", "nb": "no", "nn": "no", "iw": "he", "fil": "tl", "in": "id"}


@dataclass(frozen=True)
class Described:
    """A model's answer about one song; None for what it does not say.

    ``bpm`` is from 30 to 300, ``keyscale``, ``timesignature`` and ``language`` are of the base
    model's vocabulary ("F# minor", "4", "en" or "unknown"), ``duration`` is in seconds.
    ``certainty`` of the language is from 0 to 1. ``notes`` are sentences for the user: what was
    not heard, cut or left out.
    """

    caption: str | None = None
    genre: str | None = None
    lyrics: str | None = None
    language: str | None = None
    bpm: int | None = None
    keyscale: str | None = None
    timesignature: str | None = None
    duration: int | None = None
    instrumental: bool | None = None
    certainty: float | None = None
    notes: tuple[str, ...] = ()


def describe_lyrics(
    text: str, language: str | None, *, certainty: float | None = None, notes: Iterable[str] = ()
) -> Described:
    """Lyrics a model wrote down, as labels; the words are cleaned, not corrected.

    Without a sung line the song is called instrumental and its language unknown. A language that
    the base model has no code for is unknown too, and a note says which it was.
    """
    lyrics, said = clean_lyrics(text)
    said = [*notes, *said]
    if not any(sung_lines(lyrics)):
        return Described(
            lyrics=INSTRUMENTAL, language="unknown", instrumental=True, notes=tuple(said)
        )
    if language is not None and language not in LANGUAGES:
        said.append(f"the lyrics' language {clean_line(language, 40)!r} is none of the model's")
        language, certainty = "unknown", None
    return Described(
        lyrics=lyrics,
        language=language,
        instrumental=False,
        certainty=certainty,
        notes=tuple(said),
    )


def language_code(text: str) -> str:
    """What a model calls a language, as the base model's code where there is one.

    "en-US" and "EN" are "en", and dialects stand under the code of their language: "cmn" is "zh".
    """
    code = text.strip().lower().replace("_", "-")
    if code in ("zh-yue", "zh-hk"):
        return "yue"
    code = code.partition("-")[0]
    return _OTHER_CODES.get(code, code)


def clean_line(text: str, longest: int) -> str:
    """Text as one line: no control characters, no chat tags, single spaces.

    More than ``longest`` characters are cut at the end of a sentence, else of a word.
    """
    line = " ".join(_printable(text).split())
    if len(line) <= longest:
        return line
    head = line[: longest + 1]
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)|[。！？]", head)]
    if ends and ends[-1] > longest // 2:
        return head[: ends[-1]]
    return head[: head.rfind(" ")] if head.rfind(" ") > longest // 2 else line[:longest]


def clean_lyrics(text: str) -> tuple[str, list[str]]:
    """Lyrics line by line, and sentences about what was left out.

    Control characters and chat tags go, open brackets around a section mark are closed, lines and
    the whole are bounded, and a line in an endless loop is kept :data:`MOST_REPEATS` times.
    """
    notes: list[str] = []
    lines = [_closed(" ".join(line.split())[:LONGEST_LINE]) for line in _lines(text)]
    kept = list(_without_loops(lines, notes))
    lyrics = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    if len(lyrics) > LONGEST_LYRICS:
        lyrics = lyrics[:LONGEST_LYRICS].rpartition("\n")[0] or lyrics[:LONGEST_LYRICS]
        notes.append(f"the lyrics were cut to {LONGEST_LYRICS:,} characters")
    return lyrics, notes


def _lines(text: str) -> list[str]:
    return _printable(text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")


def _printable(text: str) -> str:
    """The text without chat tags and what cannot be seen; other white space becomes spaces."""
    text = _INVISIBLE.sub("", _TAGS.sub("", unicodedata.normalize("NFC", text)))
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    """A character as it may stand in a label: nothing for control characters and surrogates."""
    if letter == "\n" or letter.isprintable():
        return letter
    if letter.isspace():
        return " "
    return letter if unicodedata.category(letter) == "Cf" else ""  # joiners: Persian, Hindi


def _closed(line: str) -> str:
    """A section mark with both of its brackets."""
    if line.startswith("[") and "]" not in line and len(line) <= 60:
        return f"{line.rstrip(' :')}]"
    if line.endswith("]") and "[" not in line and len(line) <= 60:
        return f"[{line}"
    return line


def _without_loops(lines: list[str], notes: list[str]) -> Iterator[str]:
    last, times = "", 0
    for line in lines:
        times = times + 1 if line == last else 1
        last = line
        if not line or times <= MOST_REPEATS:
            yield line
        elif times == MOST_REPEATS + 1:
            notes.append(f"the line {line[:60]!r} was repeated without end; {MOST_REPEATS} remain")
