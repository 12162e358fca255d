"""The models that write captions and lyrics, behind one shape each.

A *captioner* describes a song, a *lyricist* writes its words down. What they have in common is
:class:`~acestep.labellers.described.Described`. Where a model's files are missing its ``open``
raises :class:`~acestep.errors.ModelError`, which says what to download, how big it is, and where to
put it; nothing is downloaded unless a Hub id was named.
"""

from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from acestep.labellers.described import Described
from acestep.model.layout import BaseModel

CaptionerKind = Literal["music-lm", "omni"]
LyricistKind = Literal["transcriber", "whisper", "music-lm"]


class Captioner(Protocol):
    """Describes songs. ``name`` is the source of what it says."""

    name: str

    def describe(self, audio: np.ndarray, seconds: float) -> Described:
        """What it says of ``audio`` ``[2, N]`` float32 at 48 kHz, of a song of ``seconds``.

        Raises :class:`~acestep.errors.LabelError` naming what it said where that is of no use.
        """
        ...


class Lyricist(Protocol):
    """Writes lyrics down. ``name`` is the source of what it says."""

    name: str

    def transcribe(self, audio: np.ndarray) -> Described:
        """Lyrics, language and whether anybody sings, of ``audio`` ``[2, N]`` float32 at 48 kHz.

        Raises :class:`~acestep.errors.LabelError` naming what it said where that is of no use.
        """
        ...


def open_captioner(
    kind: CaptionerKind,
    path: str | Path | None = None,
    *,
    model: BaseModel,
    device: str | None = None,
    seed: int = 0,
) -> Captioner:
    """The captioner of that kind, loaded: ``path`` is a folder, a name or a Hub id.

    ``model`` is the base model that turns audio into the codes which the music language model
    reads: a published one, since those of ``mini`` mean nothing to it. Raises
    :class:`~acestep.errors.ModelError`.
    """
    wanted = None if path is None else str(path)
    match kind:
        case "music-lm":
            from acestep.labellers.music_lm import load_music_lm

            return load_music_lm(wanted, model=model, device=device, seed=seed)
        case "omni":
            from acestep.labellers.omni import load_captioner

            return load_captioner(wanted, device=device)


def open_lyricist(
    kind: LyricistKind,
    path: str | Path | None = None,
    *,
    model: BaseModel,
    device: str | None = None,
    seed: int = 0,
) -> Lyricist:
    """The lyricist of that kind, loaded; arguments and errors are those of :func:`open_captioner`.

    Who captions with the music language model has its lyrics already: ``describe`` answers both.
    """
    wanted = None if path is None else str(path)
    match kind:
        case "transcriber":
            from acestep.labellers.omni import load_transcriber

            return load_transcriber(wanted, device=device)
        case "whisper":
            from acestep.labellers.whisper import load_whisper

            return load_whisper(wanted, device=device)
        case "music-lm":
            from acestep.labellers.music_lm import load_music_lm

            return load_music_lm(wanted, model=model, device=device, seed=seed)
