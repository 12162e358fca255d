"""The text the encoder sees: built here for training and for generation, and nowhere else.

A caption prompt holds the task's instruction, the caption and the metas (tempo, metre, key,
duration); a lyrics prompt holds the language and the lyrics. Both end with ``<|endoftext|>``, and
the tokenizer appends another one where its file says so (Qwen3-Embedding's does). Golden data:
``text.json`` (strings), ``text.safetensors`` (ids). Nothing here needs torch.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from acestep.data.lyrics import MAX_LYRICS_TOKENS
from acestep.errors import ConfigError, LabelError

if TYPE_CHECKING:
    from acestep.data.song import PromptLabels

MAX_CAPTION_TOKENS = 256
_QUOTED = 200  # characters of a removed passage that a message repeats

_JOINER = "\u200d"  # zero-width joiner: holds the parts of one emoji together

# Without and with the names of tracks ({}); None where a task knows no tracks.
INSTRUCTIONS: dict[str, tuple[str, str | None]] = {
    "text2music": ("Fill the audio semantic mask based on the given conditions:", None),
    "cover": ("Generate audio semantic tokens based on the given conditions:", None),
    "repaint": ("Repaint the mask area based on the given conditions:", None),
    "extract": ("Extract the track from the audio:", "Extract the {} track from the audio:"),
    "lego": (
        "Generate the track based on the audio context:",
        "Generate the {} track based on the audio context:",
    ),
    "complete": ("Complete the input track:", "Complete the input track with {}:"),
}


@dataclass(frozen=True)
class Prompt:
    """What the text encoder is given for one song: two texts and their token ids.

    ``cut`` has one sentence for each text that had to be shortened, fit for showing to the user.
    """

    caption_text: str
    lyrics_text: str
    caption_ids: tuple[int, ...]
    lyrics_ids: tuple[int, ...]
    cut: tuple[str, ...] = ()


def instruction_for(task: str, tracks: Sequence[str] = ()) -> str:
    """The sentence that tells the model its task (golden data: ``text.json`` task_instructions).

    ``tracks`` names what to extract, generate (``lego``: one track each) or complete with (any
    number), in any case: ``vocals``, ``drums`` … Raises :class:`ConfigError` for an unknown task or
    tracks that the task has no place for.
    """
    if task not in INSTRUCTIONS:
        raise ConfigError([f"--task {task}: must be one of {', '.join(INSTRUCTIONS)}"])
    plain, named = INSTRUCTIONS[task]
    names = [track.strip().upper() for track in tracks if track.strip()]
    if not names:
        return plain
    if named is None:
        raise ConfigError([f"--track {', '.join(tracks)}: the task {task} takes no tracks"])
    if task != "complete" and len(names) > 1:
        raise ConfigError([f"--track {', '.join(tracks)}: the task {task} takes one track"])
    return named.format(" | ".join(names))


def caption_prompt(labels: "PromptLabels", instruction: str | None = None) -> str:
    """The caption prompt; metas without a value print as ``N/A``, the duration in whole seconds."""
    sentence = instruction or instruction_for("text2music")
    if not sentence.endswith(":"):
        sentence += ":"
    metas = (
        f"- bpm: {_meta(labels.bpm)}\n"
        f"- timesignature: {_meta(labels.timesignature)}\n"
        f"- keyscale: {_meta(labels.keyscale)}\n"
        f"- duration: {int(labels.seconds)} seconds\n"
    )
    return (
        f"# Instruction\n{sentence}\n\n"
        f"# Caption\n{labels.caption}\n\n"
        f"# Metas\n{metas}<|endoftext|>\n"
    )


def lyrics_prompt(labels: "PromptLabels") -> str:
    """The lyrics prompt: language, then lyrics as they are."""
    return f"# Languages\n{labels.language}\n\n# Lyric\n{labels.lyrics}<|endoftext|>"


def build_prompt(labels: "PromptLabels", tokenizer: Any, instruction: str | None = None) -> Prompt:
    """Texts and token ids of one song, within 256 and 2048 tokens, not padded.

    A caption that is too long is shortened at a word (a character, where the script has no spaces)
    so that the metas and the end stay whole; lyrics are cut at a line where that is possible. What
    was removed is said in :attr:`Prompt.cut`. Raises :class:`LabelError` where the rest alone
    (instruction, metas, language) is too long.
    """

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text)["input_ids"])

    def caption_text(caption: str) -> str:
        return caption_prompt(replace(labels, caption=caption), instruction)

    def lyrics_text(lyrics: str) -> str:
        return lyrics_prompt(replace(labels, lyrics=lyrics))

    caption, caption_cut = _shorten(
        "caption", labels.caption, caption_text, tokens, MAX_CAPTION_TOKENS
    )
    lyrics, lyrics_cut = _shorten("lyrics", labels.lyrics, lyrics_text, tokens, MAX_LYRICS_TOKENS)
    return Prompt(
        caption_text=caption_text(caption),
        lyrics_text=lyrics_text(lyrics),
        caption_ids=tokens(caption_text(caption)),
        lyrics_ids=tokens(lyrics_text(lyrics)),
        cut=tuple(sentence for sentence in (caption_cut, lyrics_cut) if sentence),
    )


def _meta(value: object) -> str:
    text = "" if value is None else str(value).strip()
    return text or "N/A"


def _shorten(
    what: str,
    text: str,
    wrapped: Callable[[str], str],
    tokens: Callable[[str], tuple[int, ...]],
    limit: int,
) -> tuple[str, str]:
    """The longest beginning of ``text`` that fits, wrapped, into ``limit`` tokens; what was cut."""
    whole = len(tokens(wrapped(text)))
    if whole <= limit:
        return text, ""

    def fits(end: int) -> bool:
        return len(tokens(wrapped(text[:end]))) <= limit

    if not fits(0):
        raise LabelError(
            f"everything but the {what} takes {len(tokens(wrapped('')))} tokens, "
            f"and the model reads {limit}",
            hint="Shorten the key, the language or the list of tracks.",
        )
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    boundary = _line_boundary if what == "lyrics" else _word_boundary
    end = boundary(text, low)
    while end > 0 and not fits(end):  # a token may span the new end
        end = boundary(text, end - 1)
    kept = text[:end]
    gone = whole - len(tokens(wrapped(kept)))
    return kept, _cut_sentence(what, text[end:], gone, whole, limit)


def _cut_sentence(what: str, removed: str, gone: int, whole: int, limit: int) -> str:
    quoted = " / ".join(line.strip() for line in removed.strip().splitlines() if line.strip())
    if len(quoted) > _QUOTED:
        quoted = f"{quoted[:_QUOTED].rstrip()} …"
    return (
        f"the {what} makes {whole} tokens of text and the model reads {limit}: "
        f"its last {gone} tokens were cut: “{quoted}”"
    )


def _line_boundary(text: str, end: int) -> int:
    line = text.rfind("\n", 0, end + 1)
    return line if line > 0 else _word_boundary(text, end)


def _word_boundary(text: str, end: int) -> int:
    """The last place at or before ``end`` where a word ends, without separators behind it."""
    if end < len(text) and not text[end].isspace() and end > 0:
        start = max((space.end() for space in re.finditer(r"\s", text[:end])), default=0)
        if _spaced_script(text[start:end]) and start > 0:
            end = start
        else:
            while end > 0 and (_joins(text[end]) or text[end - 1] == _JOINER):
                end -= 1
    return len(text[:end].rstrip(" \t\n,;、，；"))


def _spaced_script(word: str) -> bool:
    """Whether a word is of a script that puts spaces between words (Hangul does, Han does not)."""
    return all(
        unicodedata.east_asian_width(letter) not in "WF" or "\uac00" <= letter <= "\ud7a3"
        for letter in word
    )


def _joins(letter: str) -> bool:
    """Whether a character only completes the one before it (accents, joiners, variants)."""
    return unicodedata.category(letter) in ("Mn", "Mc", "Me") or letter == _JOINER
