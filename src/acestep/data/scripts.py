"""Which script a text is written in, and which scripts the model's languages use.

Scripts have the names by which Unicode calls their letters: LATIN, HANGUL, CJK and so on.
"""

import unicodedata
from collections import Counter
from functools import lru_cache

from acestep.data.labels import LANGUAGES

_ELSE = {
    "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "bg": "CYRILLIC", "ru": "CYRILLIC",
    "uk": "CYRILLIC", "sr": "CYRILLIC LATIN", "bn": "BENGALI", "el": "GREEK", "he": "HEBREW",
    "hi": "DEVANAGARI", "ne": "DEVANAGARI", "sa": "DEVANAGARI", "ja": "KANA CJK", "ko": "HANGUL",
    "pa": "GURMUKHI ARABIC", "ta": "TAMIL", "te": "TELUGU", "th": "THAI", "yue": "CJK",
    "zh": "CJK",
}  # fmt: skip
# Language code → the scripts it is written in; those that are not listed above use Latin letters
SCRIPTS = {
    code: tuple(_ELSE.get(code, "LATIN").split()) for code in sorted(LANGUAGES - {"unknown"})
}
# Letters that make a word where words are not set apart by spaces, on average
_LETTERS_A_WORD = {"CJK": 2, "KANA": 2, "THAI": 4}


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str:
    """The script of one character, such as "LATIN"; "" for what is no letter."""
    if not unicodedata.category(letter).startswith(("L", "M")):
        return ""
    name = unicodedata.name(letter, "").removeprefix("HALFWIDTH ").removeprefix("FULLWIDTH ")
    first = name.partition(" ")[0]
    if first.startswith(("HIRAGANA", "KATAKANA")):
        return "KANA"
    return "" if first in ("MODIFIER", "COMBINING", "VARIATION") else first


def letters_by_script(text: str) -> Counter[str]:
    """How many letters of each script a text has."""
    scripts = Counter(map(script_of, text))
    del scripts[""]
    return scripts


def words_by_script(text: str) -> Counter[str]:
    """About how many words of each script a text has; every script that is there counts one.

    A word of two scripts counts for the one it has more letters of. Where words are not set apart
    by spaces, two letters (four in Thai) are taken for a word.
    """
    words: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for word in text.split():
        scripts = letters_by_script(word)
        unspaced = {script: scripts.pop(script) for script in _LETTERS_A_WORD if script in scripts}
        letters.update(unspaced)
        if scripts:
            words[scripts.most_common(1)[0][0]] += 1
    for script, count in letters.items():
        words[script] += max(1, round(count / _LETTERS_A_WORD[script]))
    return words
