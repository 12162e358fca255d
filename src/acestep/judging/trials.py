"""Test prompts: what a user would ask an adapter for, made from the labels of its songs.

Half of them are the songs' own prompts, where copies show first. The other half are new: the
caption of one song with the tempo, key, metre and lyrics of another. Each has a seed of its own,
and base and adapters get the same ones, so that clips can be compared in pairs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from acestep.data.labels import (
    INSTRUMENTAL,
    apply_tag,
    normalize_key,
    normalize_meter,
    read_bpm,
    strip_tag,
)


@dataclass(frozen=True)
class Trial:
    """A prompt and its seed. ``caption`` bears the tag, ``plain`` does not.

    ``kind`` is ``training`` (a song's own prompt), ``new`` or ``own`` (given by the user); ``song``
    is the song whose caption it has.
    """

    id: str
    kind: str
    song: str
    caption: str
    plain: str
    lyrics: str = INSTRUMENTAL
    bpm: int | None = None
    keyscale: str | None = None
    timesignature: str | None = None
    language: str = "unknown"
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "song": self.song or None}


def make_trials(
    songs: Sequence[tuple[str, dict[str, Any]]],
    tag: str,
    position: str,
    own: Sequence[str],
    count: int,
    seed: int,
) -> list[Trial]:
    """``count`` prompts from the songs' labels and one for each of the user's ``own`` captions.

    ``songs`` are (song, metadata of its tensors). The same arguments give the same prompts; the
    first prompts are the same for a smaller count, so that clips made for it count on.
    """
    asked = [_trial(song, labels, tag, position) for song, labels in songs]
    made: list[Trial] = []
    for place in range(count):
        turn, new = divmod(place, 2)
        trial = asked[turn % len(asked)]
        if new:
            round_ = 1 + turn // len(asked)
            other = asked[(turn + round_) % len(asked)]
            trial = replace(
                trial,
                kind="new",
                lyrics=other.lyrics,
                bpm=other.bpm,
                keyscale=other.keyscale,
                timesignature=other.timesignature,
                language=other.language,
            )
        made.append(trial)
    for number, text in enumerate(own):
        labels = asked[number % len(asked)]
        caption = apply_tag(text.strip(), tag, position if position != "replace" else "prepend")
        plain = strip_tag(text.strip(), tag)
        made.append(replace(labels, kind="own", song="", caption=caption, plain=plain))
    return [
        replace(trial, id=f"{number:02d}", seed=seed + number)
        for number, trial in enumerate(made, 1)
    ]


def _trial(song: str, labels: dict[str, Any], tag: str, position: str) -> Trial:
    """A song's own prompt from what its tensors say; what is missing or odd is left out."""
    caption = _text(labels.get("caption"))
    lyrics = _text(labels.get("lyrics"))
    plain = strip_tag(caption, tag)
    return Trial(
        id="",
        kind="training",
        song=song,
        caption=apply_tag(caption, tag, position),
        plain="" if plain.strip().lower() == tag.lower() else plain,
        lyrics=lyrics if lyrics.strip() else INSTRUMENTAL,
        bpm=_bpm(labels.get("bpm")),
        keyscale=normalize_key(_text(labels.get("keyscale"))),
        timesignature=normalize_meter(labels.get("timesignature")),
        language=_text(labels.get("language")) or "unknown",
    )


def _bpm(value: Any) -> int | None:
    try:
        return read_bpm(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
