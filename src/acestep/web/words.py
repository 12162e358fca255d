"""Every text of the studio, in English and in Korean.

What stands on the page is sent as a key and translated by the browser in its own language; what is
said while working is put into words here, in the language that the browser asks for.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

LANGUAGES = ("en", "ko")
# Each module holds ``WORDS``: key → (English, Korean)
TABLES = ("shell", "dataset", "training", "music", "knobs")


@cache
def table() -> dict[str, tuple[str, str]]:
    """All texts: key → (English, Korean). A key stands in one table only."""
    words: dict[str, tuple[str, str]] = {}
    for name in TABLES:
        words |= import_module(f"acestep.web.texts.{name}").WORDS
    return words


def t(key: str) -> Any:
    """A text for a label, heading or button, translated in the browser."""
    from gradio.i18n import I18nData

    _ = table()[key]
    return I18nData(key)


def say(language: str, key: str, **values: Any) -> str:
    """A text with values in it (``{name}``), in a language of :data:`LANGUAGES`."""
    return table()[key][LANGUAGES.index(language)].format(**values)


def language_of(headers: Mapping[str, str] | None) -> str:
    """The language a browser asks for (its ``Accept-Language``); English where it is neither."""
    asked = (headers or {}).get("accept-language", "")
    for part in asked.split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"


def translations() -> dict[str, dict[str, str]]:
    """What the browser translates with: language → key → text."""
    words = table()
    return {
        language: {key: texts[place] for key, texts in words.items()}
        for place, language in enumerate(LANGUAGES)
    }
