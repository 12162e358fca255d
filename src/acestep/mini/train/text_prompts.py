"""What the small base model is told of a song: the project's own prompts, in many wordings."""

from dataclasses import replace
from typing import Any

import numpy as np

from acestep.data.labels import INSTRUMENTAL, PromptLabels, has_words
from acestep.data.segments import segment_lyrics
from acestep.mini.corpus import Song, describe
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.prompt import Prompt, build_prompt

OMITTED = 0.1  # how often a meta is N/A,
BARE = 0.15  # and how often all of them are: what a prompt of nothing but a tag looks like
UNKNOWN = 0.15  # how often a caption has a word that means nothing, half of them nothing else
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
SPELLINGS = {
    "C#": "Db", "D#": "Eb", "F#": "Gb", "G#": "Ab", "A#": "Bb",
    "Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#",
}  # fmt: skip


class Tokens:
    """A fast tokenizer as :func:`acestep.model.prompt.build_prompt` calls it, and nothing more.

    The same ids as the library's wrapper gives, in a fifth of the time.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._backend = tokenizer.backend_tokenizer

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self._backend.encode(text).ids}


def song_labels(
    song: Song,
    rng: np.random.Generator | None = None,
    *,
    start: int = 0,
    frames: int | None = None,
    slack: int = 0,
) -> PromptLabels:
    """The labels of ``frames`` of a song from frame ``start`` on (40 ms each).

    With ``rng`` the caption is worded anew, keys are spelt either way, and metas are now and then
    left out, one or all; without it they are the song's own. Captions with a word that means
    nothing are what an adapter's tag is to the base: it has to play something all the same. The
    tempo told is at most ``slack`` beside the true one: so songs of round tempi teach what to play
    at any.
    """
    seconds = (frames or int(song.seconds * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND
    lyrics = segment_lyrics(song.lyrics, start / FRAMES_PER_SECOND, seconds, song.seconds)
    labels = PromptLabels(
        caption=song.caption,
        lyrics=lyrics if has_words(lyrics) else INSTRUMENTAL,
        bpm=song.bpm,
        keyscale=song.keyscale,
        timesignature=song.timesignature,
        language=song.language,
        seconds=seconds,
    )
    if rng is None:
        return labels
    labels = replace(labels, caption=_caption(song, rng))
    if rng.random() < BARE:
        return replace(labels, bpm=None, keyscale=None, timesignature=None, language="unknown")
    bpm = song.bpm + int(rng.integers(-slack, slack + 1))
    note, mode = song.keyscale.split()
    if note in SPELLINGS and rng.random() < 0.5:
        note = SPELLINGS[note]
    return replace(
        labels,
        bpm=None if rng.random() < OMITTED else bpm,
        keyscale=None if rng.random() < OMITTED else f"{note} {mode}",
        timesignature=None if rng.random() < OMITTED else song.timesignature,
        language="unknown" if rng.random() < OMITTED else song.language,
    )


def _caption(song: Song, rng: np.random.Generator) -> str:
    caption = describe(song, rng)
    if rng.random() >= UNKNOWN:
        return caption
    word = "".join(rng.choice(LETTERS, rng.integers(3, 9)))
    return word if rng.random() < 0.5 else f"{word}, {caption}"


def song_prompt(labels: PromptLabels, tokens: Tokens, instruction: str | None = None) -> Prompt:
    """The prompt of these labels, as generation builds it."""
    return build_prompt(labels, tokens, instruction)
