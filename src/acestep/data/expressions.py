"""Conditions on songs (``bpm<60 and caption~jazz``) and assignments (``bpm*=2``), as text.

::

    condition  = and-group { "or" and-group }          and-group = test { "and" test }
    test       = "not" test | "(" condition ")" | field operator value
    operator   = == (or =)  !=  <  <=  >  >=  ~ (contains)  !~ (does not contain)
    assignment = field ( = | += | -= | *= | /= ) value

A language of its own: nothing is evaluated but these. Text is compared without regard to case, keys
and time signatures as the model writes them ("Am" is "A minor"). A value may be quoted, and has to
be where it holds "and", "or" or an operator. ``bpm==""`` finds what is missing; a comparison of
size is never true of it.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acestep.data.fields import FIELDS, read_flag
from acestep.data.labels import normalize_key, normalize_meter, read_bpm
from acestep.data.song import Song
from acestep.errors import ConfigError

Condition = Callable[[Song], bool]
_TEXTS = ("caption", "genre", "lyrics", "title", "language", "keyscale", "timesignature", "id",
          "tag", "prompt_override", "audio_path", "filename")  # fmt: skip
_NUMBERS = ("bpm", "duration")
_OF_LABELS = ("source", "confidence")
SETTABLE = ("caption", "genre", "lyrics", "title", "bpm", "keyscale", "timesignature", "language",
            "instrumental")  # fmt: skip
_SIZES: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NORMALIZERS: dict[str, Callable[[str], str | None]] = {
    "keyscale": normalize_key,
    "timesignature": normalize_meter,
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<sign><=|>=|==|!=|!~|[<>=~()])|(?P<word>[^\s<>=!~()"']+))"""
)
_ASSIGNMENT = re.compile(r"\s*([\w.]+)\s*([-+*/]?=)(.*)", re.DOTALL)
_LONGEST, _DEEPEST = 2000, 50  # characters, brackets within brackets


def condition(text: str) -> Condition:
    """The test that a condition describes.

    Raises ``ConfigError`` that says what in it is not understood, and lists the fields.
    """
    if len(text) > _LONGEST:
        raise _wrong(text[:40] + " …", f"is longer than {_LONGEST} characters")
    return _Parser(text).whole()


@dataclass(frozen=True)
class Assignment:
    """A label, how it changes, and by what."""

    label: str
    sign: str
    value: str

    def of(self, song: Song) -> Any:
        """The label's new value for a song; the present one where there is nothing to change.

        Raises ``ConfigError`` that names the song if the result is no value for this label.
        """
        present = vars(song)[self.label]
        try:
            match self.label, self.sign:
                case "bpm", "=":
                    return read_bpm(self.value)
                case "bpm", _:
                    return None if present is None else self._tempo(present)
                case "instrumental", _:
                    return _truth(self.value)
                case _, "+=":
                    return _FIELDS[self.label].read((present or "") + self.value)
            return _FIELDS[self.label].read(self.value)
        except ValueError as error:
            what = f"{self.label}{self.sign}{self.value}"
            raise ConfigError([f"{what}: {song.filename}: {error}"]) from error

    def _tempo(self, present: int) -> int:
        amount = _number(self.value)
        if self.sign == "/=" and amount == 0:
            raise ValueError("cannot be divided by 0")
        changes: dict[str, Callable[[float, float], float]] = {
            "+=": operator.add, "-=": operator.sub, "*=": operator.mul, "/=": operator.truediv,
        }  # fmt: skip
        result = changes[self.sign](present, amount)
        if not 0.5 <= result < 999.5:
            raise ValueError(f"{present} would become {result:g}, not between 1 and 999")
        return math.floor(result + 0.5)


def assignment(text: str) -> Assignment:
    """The assignment that a text describes. Raises ``ConfigError`` if it is none."""
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        raise ConfigError([f"{text!r} is no assignment"], hint="for example bpm*=2 or language=ko")
    label, sign, value = match[1], match[2], match[3].strip()
    label = _NAMES.get(label.lower(), label)
    if label not in SETTABLE:
        raise ConfigError([f"{text!r}: there is no label {label!r}"], hint=f"{_list(SETTABLE)}")
    if value.startswith("="):
        raise ConfigError([f"{text!r}: == compares"], hint=f"{label}={value[1:].strip()} sets it")
    numeric, flag = label == "bpm", label == "instrumental"
    if (sign in ("-=", "*=", "/=") and not numeric) or (sign != "=" and flag):
        hint = "--strip takes words out of captions" if sign == "-=" else ""
        raise ConfigError([f"{text!r}: {sign} is for numbers"], hint=hint)
    found = Assignment(label, sign, _unquoted(match[3]))
    if numeric and sign != "=":
        try:
            _number(found.value)
        except ValueError as error:
            raise ConfigError([f"{text!r}: {found.value!r} {error}"]) from error
    return found


class _Parser:
    """Reads one condition from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int, int]] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise _wrong(text, f"{text[place:].strip()[:20]!r} is not understood")
            kind = match.lastgroup
            self.tokens.append((kind, match[kind], match.start(kind), match.end()))
            place = match.end()
        self.next = 0
        self.depth = 0

    def whole(self) -> Condition:
        """The condition; nothing may be left."""
        found = self.either()
        if self.next < len(self.tokens):
            raise _wrong(self.text, f"{self.tokens[self.next][1]!r} is not expected there")
        return found

    def either(self) -> Condition:
        """One or more groups with "or" between them."""
        tests = [self.both()]
        while self.takes("or"):
            tests.append(self.both())
        return lambda song: any(test(song) for test in tests)

    def both(self) -> Condition:
        """One or more tests with "and" between them."""
        tests = [self.test()]
        while self.takes("and"):
            tests.append(self.test())
        return lambda song: all(test(song) for test in tests)

    def test(self) -> Condition:
        """One test, turned round or in brackets."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _wrong(self.text, f"has more than {_DEEPEST} brackets within each other")
        found = self.one()
        self.depth -= 1
        return found

    def one(self) -> Condition:
        """A test at its own depth."""
        if self.takes("not"):
            turned = self.test()
            return lambda song: not turned(song)
        if self.takes("("):
            inside = self.either()
            if not self.takes(")"):
                raise _wrong(self.text, "a bracket is not closed")
            return inside
        return self.comparison()

    def comparison(self) -> Condition:
        """field operator value."""
        kind, name, *_ = self.peek("a field")
        self.next += 1
        if kind != "word":
            raise _wrong(self.text, f"{name!r} is no field")
        kind, sign, *_ = self.peek("an operator")
        if kind != "sign" or sign in "()":
            raise _wrong(self.text, f"behind {name} there is no operator")
        self.next += 1
        return _comparison(self.text, name, "==" if sign == "=" else sign, self.value(name))

    def value(self, name: str) -> str:
        """What stands behind an operator: quoted, or all words up to "and", "or", a bracket."""
        kind, first, start, end = self.peek(f"a value for {name}")
        self.next += 1
        if kind == "quoted":
            return first[1:-1]
        if kind == "sign":
            raise _wrong(self.text, f"{first!r} is no value; put it in quotes if it is one")
        while self.next < len(self.tokens):
            kind, word, _, following = self.tokens[self.next]
            if kind != "word" or word.lower() in ("and", "or"):
                break
            end = following
            self.next += 1
        return self.text[start:end]

    def takes(self, word: str) -> bool:
        """Whether the next token is this one; then it is behind us."""
        here = self.next < len(self.tokens) and self.tokens[self.next][0] != "quoted"
        if not here or self.tokens[self.next][1].lower() != word:
            return False
        self.next += 1
        return True

    def peek(self, what: str) -> tuple[str, str, int, int]:
        """The next token; there has to be one."""
        if self.next >= len(self.tokens):
            raise _wrong(self.text, f"{what} is missing at its end")
        return self.tokens[self.next]


def _comparison(text: str, name: str, sign: str, value: str) -> Condition:
    """The test of one field. Raises ``ConfigError`` where field, sign and value do not fit."""
    field, _, label = name.lower().partition(".")
    field, label = _NAMES.get(field, field), _NAMES.get(label, label)
    if field in _OF_LABELS and label not in _FIELDS:
        raise _wrong(text, f"{name}: say of which label, for example {field}.bpm")
    if field not in (*_TEXTS, *_NUMBERS, *_OF_LABELS, "instrumental") or (
        label and field not in _OF_LABELS
    ):
        raise _wrong(text, f"there is no field {name!r}")
    try:
        if field == "instrumental":
            return _flag_test(sign, _truth(value))
        if field in (*_NUMBERS, "confidence"):
            return _number_test(field, label, sign, value)
    except ValueError as error:
        raise _wrong(text, f"{name}: {value!r} {error}") from error
    if sign in _SIZES:
        raise _wrong(text, f"{name} is text: compare it with ==, !=, ~ or !~")
    return _text_test(field, label, sign, value)


def _flag_test(sign: str, wanted: bool) -> Condition:
    if sign not in ("==", "!="):
        raise ValueError("is true or false: compare it with == or !=")
    return lambda song: (song.instrumental == wanted) == (sign == "==")


def _number_test(field: str, label: str, sign: str, value: str) -> Condition:
    def present(song: Song) -> float | None:
        if field == "confidence":
            found = song.evidence.get(label, {}).get("confidence")
            return found if isinstance(found, int | float) else None
        return vars(song)[field] or None

    if sign in ("~", "!~"):
        raise ValueError("belongs to a number: compare it with ==, !=, <, <=, > or >=")
    if sign in _SIZES:
        limit, compare = _number(value), _SIZES[sign]
        return lambda song: (number := present(song)) is not None and compare(number, limit)
    wanted = None if value.strip().lower() in ("", "none", "n/a") else _number(value)
    return lambda song: (present(song) == wanted) == (sign == "==")


def _text_test(field: str, label: str, sign: str, value: str) -> Condition:
    def plain(text: str | None) -> str:
        normalize = _NORMALIZERS.get(field)
        known = normalize(text) if normalize and text and sign in ("==", "!=") else None
        return " ".join((known or text or "").split()).casefold()

    def present(song: Song) -> str:
        if field == "source":
            return plain(song.source(label))
        return plain(song.filename if field == "filename" else vars(song)[field])

    wanted = plain(value)
    if sign in ("==", "!="):
        return lambda song: (present(song) == wanted) == (sign == "==")
    return lambda song: (wanted in present(song)) == (sign == "~")


def _number(text: str) -> float:
    plain = text.strip().removesuffix("%").strip() if "%" in text else text.strip()
    if not re.fullmatch(r"[+-]?(\d{1,12}(\.\d*)?|\.\d+)", plain):
        raise ValueError("is not a number")
    return float(plain) / (100 if "%" in text else 1)


def _truth(text: str) -> bool:
    truth = read_flag(text)
    if truth is None:
        raise ValueError("is neither true nor false")
    return truth


def _unquoted(text: str) -> str:
    """A value without the quotes around it; spaces inside of quotes stay."""
    plain = text.strip()
    quoted = len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'"
    return plain[1:-1] if quoted else plain


def _wrong(text: str, problem: str) -> ConfigError:
    fields = (*_TEXTS, *_NUMBERS, "instrumental", "source.LABEL", "confidence.LABEL")
    return ConfigError([f"{text!r}: {problem}"], hint=f"fields: {_list(fields)}")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


_FIELDS = {field.name: field for field in FIELDS}
# How else they may be called
_NAMES = {"key": "keyscale", "meter": "timesignature", "file": "filename", "path": "audio_path",
          "lang": "language"}  # fmt: skip
