"""What the music language model answered, read back. It is text: nothing in it is taken on trust.

The rules are those of ACE-Step 1.5's own reader, without its slips: quotes that YAML puts around a
value are taken off, the heading may be ``# Lyric`` or ``# Lyrics``.
"""

import re
from dataclasses import replace

from acestep.data.labels import LANGUAGES, normalize_key, normalize_meter, read_language
from acestep.labellers.described import (
    LONGEST_CAPTION,
    LONGEST_GENRE,
    Described,
    clean_line,
    describe_lyrics,
)
from acestep.labellers.lm_grammar import DURATIONS, TEMPI

FIELDS = ("bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature")
_THOUGHT = re.compile(r"<(think|reasoning)>(.*?)(?:</\1>|\Z)", re.DOTALL)
_HEADING = re.compile(r"\s*#\s*lyrics?\s*:?[^\S\n]*(\n|\Z)", re.IGNORECASE)
_END = re.compile(r"<\|(im_end|endoftext)\|>")


def parse_answer(text: str) -> tuple[dict[str, str | int], str]:
    """The fields of an answer as they stand in it, and the lyrics behind them.

    ``bpm`` and ``duration`` are whole numbers where they can be read as such. Anything is an
    answer: one without fields has none. Golden cases (facts restated): ``caption: A.`` with the
    next line ``  B.`` is "A. B."; ``bpm: 73`` is 73 and ``bpm: abc`` "abc"; ``timesignature: 4`` is
    "4"; without think tags the fields are what stands before the first code; without
    ``</think>`` there are no lyrics.
    """
    metas, lyrics = _parts(text.replace("\r\n", "\n"))
    lines: dict[str, list[str]] = {}
    current: list[str] = []
    for line in metas.split("\n"):
        if line.startswith("<"):
            continue
        if line[:1] in (" ", "\t"):
            current.append(line.strip())
        elif ":" in line:
            name, _, value = line.partition(":")
            current = [value.strip()]
            lines[name.strip().lower()] = current
    found: dict[str, str | int] = {}
    found |= {name: _value(lines[name]) for name in FIELDS if name in lines}
    for name in ("bpm", "duration"):
        number = str(found.get(name, ""))
        if re.fullmatch(r"[+-]?\d{1,9}", number):
            found[name] = int(number)
    return found, lyrics


def describe_answer(text: str, notes: list[str]) -> Described:
    """An answer as labels; a value outside of the vocabulary is as if it was not said.

    Without lyrics nothing is said of the language, nor of whether anybody sings.
    """
    fields, lyrics = parse_answer(text)
    bpm, duration = fields.get("bpm"), fields.get("duration")
    written = {name: str(value) for name, value in fields.items()}
    language = read_language(written.get("language"))
    if lyrics.strip():
        sung = describe_lyrics(lyrics, language if language in LANGUAGES else None, notes=notes)
    else:
        sung = Described(notes=tuple(notes))
    return replace(
        sung,
        caption=clean_line(written.get("caption", ""), LONGEST_CAPTION) or None,
        genre=clean_line(written.get("genres", ""), LONGEST_GENRE) or None,
        bpm=bpm if isinstance(bpm, int) and bpm in TEMPI else None,
        keyscale=normalize_key(written.get("keyscale")),
        timesignature=normalize_meter(written.get("timesignature")),
        duration=duration if isinstance(duration, int) and duration in DURATIONS else None,
    )


def _parts(text: str) -> tuple[str, str]:
    """What was thought, and the lyrics that follow, each without marks."""
    thought = _THOUGHT.search(text)
    if thought is None:
        return text.partition("<|audio_code_")[0], ""
    rest = _END.split(text[thought.end() :])[0]
    heading = _HEADING.match(rest)
    return thought[2], rest[heading.end() if heading else 0 :].strip()


def _value(lines: list[str]) -> str:
    """A value that may go on in indented lines, without the quotes and marks of YAML."""
    if re.fullmatch(r"[|>][+-]?", lines[0]):
        lines = lines[1:]
    value = " ".join(line for line in lines if line)
    if len(value) < 2 or value[0] != value[-1]:
        return value
    match value[0]:
        case "'":
            return value[1:-1].replace("''", "'").strip()
        case '"':
            return re.sub(r'\\(["\\])', r"\1", value[1:-1]).strip()
    return value
