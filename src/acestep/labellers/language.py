"""The language of given lyrics, by their script and, where several share it, by py3langid.

Each line is cut into stretches of one script. A script with one language decides at once (Hangul is
Korean); for the others the library says how likely each of its 139 languages makes the stretch. The
lyrics are taken as a mixture of languages, whose shares are found by expectation maximisation
(Dempster, Laird and Rubin 1977): so a line that could be either language is read in the light of
the others, and a song in two languages comes out as two.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from acestep.data.labels import LANGUAGES
from acestep.data.lyrics import sung_lines
from acestep.data.scripts import SCRIPTS, letters_by_script, script_of, words_by_script
from acestep.labellers.estimate import Estimate

_SOURCE = "lyrics"
_SURE_ENOUGH = 0.5  # a probability below it is a guess, and a guess is not kept
_LEAST_SHARE = 1 / 3  # of the words; more than two languages may share a song
_WORTH_NAMING = 0.05  # a share of the words, or a probability, that makes a runner-up
# Languages that the model has no code for: less likely in a dataset for it, but not impossible
_OTHERS = 0.2
# What py3langid tells apart and the model does not
_VARIANTS = {"nn": "no", "bs": "hr", "arz": "ar", "ary": "ar", "hbo": "he", "pcm": "en",
             "gcf": "ht", "gcr": "ht", "wuu": "zh"}  # fmt: skip
# The languages of a script that has several; a script with one language needs no library
_SHARED = ("LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI", "CJK")
_ALONE = {"HANGUL": "ko", "KANA": "ja", "GREEK": "el", "HEBREW": "he", "BENGALI": "bn",
          "GURMUKHI": "pa", "TAMIL": "ta", "TELUGU": "te", "THAI": "th"}  # fmt: skip
# Sung without meaning anything, in whatever language; "la" and "na" are words too, so that only
# lines of nothing else and repetitions are left out
_VOCABLE = re.compile(
    r"(?:l[aeiou]+h?|n[ao]+h?|d[aou]+[mb]?|o+h?|a+h?|u+h?|e+h?|[hw]e+y|ye+a+h?|yeah|ay+e?|h[aou]+h?"
    r"|m+h?m*|h+m+|sha|w?hoa|wo+a*h?|ba[mp]?|bop|du[bm]?|shoo|whoo+|yo+|hu+|ra|pa[mr]?|tra|ooh|aah"
    r"|ла|на|о+|а+|э+й?|у+|ой|да|та|па|эге|ラ+|ナ+|ル+|ア+|オ+|ウ+|イェ+|ー|라+|나+|오+|우+|아+|예+|워+"
    r"|啦+|哦+|啊+|喔+|呜+|嗚+|噢+|λα+|να+|ω+|[-~'’])+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Stretch:
    """A piece of a line in one script: its text, and how many words it is."""

    script: str
    text: str
    words: int


def language_of(lyrics: str) -> Estimate:
    """The language that most words of the lyrics are in, as one of the model's codes or "unknown".

    Section marks and vocables ("la la", "oh") are no evidence. The confidence is the share of the
    words in that language times how sure the library is of them; the runner-up is the second
    language of the song, or else what the words would be taken for otherwise. "unknown" with a
    confidence of 0 is for lyrics without words, with too few to tell, of none of the model's
    languages, or of no language at all; a runner-up is then the likeliest of the model's.
    """
    stretches = _stretches(lyrics)
    if not stretches:
        return Estimate("unknown", 0.0, source=_SOURCE)
    languages, likelihood = _likelihoods(stretches)
    words = np.array([stretch.words for stretch in stretches], float)
    share, belongs = _mixture(likelihood, words)
    best = languages[int(share.argmax())]
    ours = [stretches[index] for index in np.flatnonzero(belongs.argmax(1) == share.argmax())]
    sure = _all_at_once(ours)
    ranking = np.argsort(-share, kind="stable")[1:]
    beside = [languages[index] for index in ranking if share[index] >= _WORTH_NAMING]
    beside += [code for code in sure if sure[code] >= _WORTH_NAMING and code != best]
    second = next((code for code in beside if code in SCRIPTS), None)
    if best not in LANGUAGES:
        nearest = (code for code in sure if code in SCRIPTS)
        return Estimate("unknown", 0.0, next(nearest, second), _SOURCE)
    probability = sure.get(best, 0.0)
    if probability < _SURE_ENOUGH or share.max() < _LEAST_SHARE:
        return Estimate("unknown", 0.0, best, _SOURCE)
    return Estimate(best, min(1.0, float(share.max()) * probability), second, _SOURCE)


def _stretches(lyrics: str) -> list[_Stretch]:
    """What is sung, cut at every change of script; Japanese keeps its Chinese characters."""
    lines = [_without_vocables(line) for line in sung_lines(lyrics)]
    letters = letters_by_script("\n".join(lines))
    japanese = letters["KANA"] > 0.1 * (letters["KANA"] + letters["CJK"])
    found = []
    for line in lines:
        for script, text in _runs(line, "KANA" if japanese else "CJK"):
            found.append(_Stretch(script, text, words_by_script(text).total()))
    return found


def _runs(line: str, east_asian: str) -> list[tuple[str, str]]:
    """Each script of a line with all of its words, in the order of their first letters."""
    runs: dict[str, str] = {}
    last = ""
    for letter in line:
        script = script_of(letter)
        script = east_asian if script in ("KANA", "CJK") else script
        if script and script != last:
            runs[script] = runs.get(script, "") + " "
            last = script
        if last:
            runs[last] += letter
    return [(script, text.strip()) for script, text in runs.items()]


def _without_vocables(line: str) -> str:
    """A line without its vocables, where they stand alone or side by side."""
    words = line.split()
    empty = [_VOCABLE.fullmatch(re.sub(r"[^\w'’~-]", "", word)) is not None for word in words]
    beside = [False, *empty, False]
    alone = all(empty)
    kept = [
        word
        for number, word in enumerate(words)
        if not (empty[number] and (alone or beside[number] or beside[number + 2]))
    ]
    return " ".join(kept)


def _likelihoods(stretches: list[_Stretch]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The languages, and ``[stretches, languages]`` how likely each makes each stretch."""
    known = {(stretch.script, stretch.text) for stretch in stretches}  # choruses come back
    looked_up = {each: _guesses(*each) for each in known}
    guesses = [looked_up[stretch.script, stretch.text] for stretch in stretches]
    languages = sorted({code for guess in guesses for code in guess})
    rows = [[guess.get(code, 0.0) for code in languages] for guess in guesses]
    return languages, np.array(rows)


def _guesses(script: str, text: str) -> dict[str, float]:
    """Languages of one stretch, their likelihoods adding up to 1."""
    if script in _ALONE:
        return {_ALONE[script]: 1.0}
    if script not in _SHARED:
        return {"other": 1.0}
    found: dict[str, float] = {}
    for label, probability in _identifier().rank(text):
        code = _VARIANTS.get(label, label)
        if code not in SCRIPTS or script in SCRIPTS[code]:
            prior = 1.0 if code in SCRIPTS else _OTHERS
            found[code] = found.get(code, 0.0) + prior * probability
    total = sum(found.values())
    return {code: probability / total for code, probability in found.items()}


def _mixture(
    likelihood: np.ndarray[Any, Any], words: np.ndarray[Any, Any], rounds: int = 30
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Each language's share of the words, ``[languages]``, and of every stretch."""
    share = words @ likelihood / words.sum()
    belongs = likelihood
    for _ in range(rounds):
        joint = likelihood * share + 1e-12
        belongs = joint / joint.sum(1, keepdims=True)
        share = words @ belongs / words.sum()
    return share, belongs


def _all_at_once(stretches: list[_Stretch]) -> dict[str, float]:
    """The languages of stretches that belong together, by probability, the likeliest first."""
    weights: dict[str, float] = {}
    total = sum(stretch.words for stretch in stretches)
    for script in {stretch.script for stretch in stretches}:
        own = [stretch for stretch in stretches if stretch.script == script]
        part = sum(item.words for item in own) / total
        text = "\n".join(dict.fromkeys(item.text for item in own))  # a line says it once
        for code, probability in _guesses(script, text).items():
            weights[code] = weights.get(code, 0.0) + part * probability
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """The library's model, read from its package: 4.5 MB, half a second, no download."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
