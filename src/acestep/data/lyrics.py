"""Lyrics: the section marks that the model knows, and what may go wrong with the text.

Section marks stand in square brackets on lines of their own, as in the captions and lyrics that the
model was trained on: ``[Verse 1]``, ``[Chorus - explosive]``, ``[Guitar Solo]``. Round brackets are
for backing vocals.
"""

import re
from collections.abc import Iterator

from acestep.data.labels import has_words
from acestep.data.scripts import SCRIPTS, letters_by_script

MAX_LYRICS_TOKENS = 2048  # what the model reads; the rest is cut
SECTIONS = (
    "Intro", "Verse", "Pre-Chorus", "Chorus", "Post-Chorus", "Bridge", "Interlude", "Instrumental",
    "Outro", "Hook", "Refrain", "Spoken", "Build", "Drop", "Break", "Breakdown", "Solo",
    "Guitar Solo", "Piano Solo", "Drum Solo", "Saxophone Solo", "Piano Interlude",
    "Instrumental Break", "Fade Out", "Silence", "End",
)  # fmt: skip
# How else they are written
_SPELLINGS = {"Inst": "Instrumental", "Sax Solo": "Saxophone Solo", "Build Up": "Build",
              "Ending": "Outro", "Rap Verse": "Verse"}  # fmt: skip
# Words that are also sung: outside of square brackets and before no colon they stay words
_SUNG = frozenset({"hook", "build", "drop", "break", "silence", "spoken", "end", "refrain"})
_BRACKETS = (("[", "]"), ("(", ")"), ("{", "}"), ("<", ">"), ("**", "**"), ("*", "*"), ("__", "__"),
             ("【", "】"))  # fmt: skip
_SURE = ("[", "【", "**")
_DETAIL = re.compile(r"\s*(?:[-–—:|,]\s*|(?=[x×]\s?\d|\())(.+)")


def normalize_sections(lyrics: str) -> str:
    """Lyrics whose section marks are written as the model knows them; every other line is kept.

    On a line of their own ``[verse]``, ``(Chorus)``, ``Verse 1:``, ``**CHORUS**`` and ``# Bridge``
    become ``[Verse]``, ``[Chorus]``, ``[Verse 1]`` and so on; what a mark says beside its name is
    kept: ``[chorus: all together]`` becomes ``[Chorus - all together]``. Words are not touched, and
    neither are marks with other names.
    """
    return "\n".join(_mark(line) or line for line in lyrics.split("\n"))


def is_mark(line: str) -> bool:
    """Whether a line is a section mark, of the known ones or of any other in square brackets."""
    return _mark(line) is not None or re.fullmatch(r"\s*\[[^\]\n]*\]\s*", line) is not None


def sung_lines(lyrics: str) -> Iterator[str]:
    """The lines that are sung: no section marks, nothing in square brackets, nothing empty."""
    for line in lyrics.split("\n"):
        words = "" if is_mark(line) else re.sub(r"\[[^\]\n]*\]", " ", line).strip()
        if words:
            yield words


def unknown_marks(lyrics: str) -> list[str]:
    """The marks in square brackets whose names are none of :data:`SECTIONS`, each once."""
    marks = [line.strip() for line in lyrics.split("\n") if is_mark(line) and not _mark(line)]
    return list(dict.fromkeys(marks))


def lyrics_advice(lyrics: str, language: str, tokens: int | None = None) -> list[str]:
    """What is wrong with lyrics, a sentence each; nothing for an instrumental piece.

    ``language`` is a code of the model or "unknown"; ``tokens`` is how many the tokenizer makes of
    the lyrics with their header, where that was counted.
    """
    if not has_words(lyrics):
        return []
    words = "\n".join(sung_lines(lyrics))
    letters = letters_by_script(words)
    advice = []
    if not letters:
        advice.append("its lyrics have section marks and no words: is it instrumental?")
    if tokens is not None and tokens > MAX_LYRICS_TOKENS:
        advice.append(
            f"its lyrics are {tokens} tokens long and the model reads {MAX_LYRICS_TOKENS}: "
            "the end is cut"
        )
    own = sum(letters[script] for script in SCRIPTS.get(language, ()))
    if letters and language in SCRIPTS and own < 0.1 * letters.total():
        found = letters.most_common(1)[0][0].capitalize().replace("Cjk", "Chinese")
        advice.append(f"its language is {language!r} and its lyrics are in {found} letters")
    if strange := unknown_marks(lyrics):
        few = ", ".join(strange[:3]) + (" …" if len(strange) > 3 else "")
        advice.append(f"it has section marks that the model may not know: {few}")
    return advice


def _mark(line: str) -> str | None:
    """The section mark that a line is, as the model knows it; None for any other line."""
    text = line.strip()
    heading = text.startswith("#")
    text, colon = text.strip("#").strip(), False
    opened = ""
    while True:  # **[Chorus]:** has several coats
        if text.endswith((":", "：")):
            text, colon = text[:-1].rstrip(), True
        pair = next((pair for pair in _BRACKETS if _inside(text, *pair)), None)
        if pair is None:
            break
        text, opened = text[len(pair[0]) : -len(pair[1])].strip(), pair[0]
    section = _section(text)
    if section is None:
        return None
    name, detail = section
    sure = opened in _SURE or colon or heading
    may_be_sung = name.rstrip(" 0123456789").lower() in _SUNG
    numbered = name[-1].isdecimal()
    if not sure and (may_be_sung or not (opened or numbered)):
        return None
    if detail and opened not in _SURE:  # (bridge - it burns) may be sung
        return None
    return f"[{name} - {detail}]" if detail else f"[{name}]"


def _inside(text: str, left: str, right: str) -> bool:
    long = len(text) > len(left) + len(right)
    return long and text.startswith(left) and text.endswith(right)


def _section(text: str) -> tuple[str, str] | None:
    """A section's name with its number, and what else a mark says; None for other text."""
    for pattern, name in _PATTERNS:
        match = pattern.match(text)
        if match is None:
            continue
        number, rest = match[1], text[match.end() :].strip()
        detail = _DETAIL.fullmatch(rest)
        if rest and detail is None:
            continue
        return f"{name} {number}" if number else name, detail[1].strip() if detail else ""
    return None


def _patterns() -> Iterator[tuple[re.Pattern[str], str]]:
    names = {name: name for name in SECTIONS} | _SPELLINGS
    for written in sorted(names, key=len, reverse=True):
        spaced = r"[\s_-]*".join(map(re.escape, re.split(r"[ -]", written)))
        yield re.compile(rf"{spaced}\s*#?(\d{{1,2}})?(?![\w])", re.IGNORECASE), names[written]


_PATTERNS = tuple(_patterns())
