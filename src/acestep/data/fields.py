"""The fields of a song and of a dataset: their keys in a file, and how each value is read.

Every reader takes a JSON value of any type and raises ``ValueError`` with the end of a sentence
("is not text") for what cannot be meant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acestep.data.labels import (
    TAG_POSITIONS,
    read_bpm,
    read_key,
    read_language,
    read_meter,
)


@dataclass(frozen=True)
class Field:
    """A field of a song: its key in the guide's layout and in the original's, and how it is read.

    ``read`` raises ``ValueError`` with the end of a sentence ("is not text"). An ``optional`` field
    is left out of the guide's layout while it is empty.
    """

    name: str
    guide: str
    original: str
    read: Callable[[Any], Any]
    optional: bool = False


def read_flag(text: str) -> bool | None:
    """A truth value as people write it; None for nothing. Raises ``ValueError`` for other text."""
    word = text.strip().lower()
    if word in ("", "n/a", "none"):
        return None
    if word not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError("is neither true nor false")
    return word in ("true", "yes", "1")


def _text(value: Any) -> str:
    """A string, or nothing."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("is not text")
    return value


def _ratio(value: Any) -> int:
    """A percentage."""
    if isinstance(value, bool) or not isinstance(value, int | None) or not 0 <= (value or 0) <= 100:
        raise ValueError("is not a whole number from 0 to 100")
    return value or 0


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    """One of some words, in any case."""
    if not isinstance(value, str) or value.strip().lower() not in choices:
        raise ValueError(f"is not one of {', '.join(choices)}")
    return value.strip().lower()


def _position(value: Any) -> str:
    return "prepend" if value is None else _choice(value, TAG_POSITIONS)


def _identity(value: Any) -> str:
    """It becomes part of a file name."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    word = _text(value)
    if len(word.encode("utf-8", "replace")) > 100 or word.startswith("."):
        raise ValueError("cannot be part of a file name")
    if any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in word):
        raise ValueError("cannot be part of a file name")
    return word


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a path")
    return value


def _key(value: Any) -> str | None:
    return read_key(_text(value))


def _meter(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError("is not a time signature")
    return read_meter(value)


def _language(value: Any) -> str:
    return read_language(_text(value))


def _flag(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return bool(value)


def _seconds(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number of seconds")
    if not 0 <= value < 1e9:  # nor NaN
        raise ValueError("is not a number of seconds")
    return float(value)


def _override(value: Any) -> str | None:
    return _choice(value, ("caption", "genre")) if _text(value) else None


def _sources(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("is not an object of label: source")
    return dict(value)


def _evidence(value: Any) -> dict[str, dict[str, Any]]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise ValueError("is not an object of label: what was found of it")
    return dict(value)


FIELDS = (
    Field("audio_path", "audio_path", "audio_path", _path),
    Field("caption", "caption", "caption", _text),
    Field("lyrics", "lyrics", "lyrics", _text),
    Field("bpm", "bpm", "bpm", read_bpm),
    Field("keyscale", "keyscale", "keyscale", _key),
    Field("timesignature", "timesignature", "timesignature", _meter),
    Field("language", "language", "language", _language),
    Field("instrumental", "instrumental", "is_instrumental", _flag),
    Field("id", "id", "id", _identity),
    Field("duration", "duration", "duration", _seconds, optional=True),
    Field("genre", "genre", "genre", _text, optional=True),
    Field("title", "title", "title", _text, optional=True),
    Field("prompt_override", "prompt_override", "prompt_override", _override, optional=True),
    Field("tag", "custom_tag", "custom_tag", _text, optional=True),
    Field("sources", "sources", "sources", _sources),
    Field("evidence", "evidence", "evidence", _evidence, optional=True),
)
# key → (field of Dataset, how it is read)
SETTINGS: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "guide": {
        "dataset_name": ("name", _text),
        "activation_tag": ("tag", _text),
        "tag_position": ("tag_position", _position),
        "genre_ratio": ("genre_ratio", _ratio),
    },
    "original": {
        "name": ("name", _text),
        "custom_tag": ("tag", _text),
        "tag_position": ("tag_position", _position),
        "genre_ratio": ("genre_ratio", _ratio),
    },
    "list": {},
}
