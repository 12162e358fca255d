"""What previews play: the user's captions, or three prompts made from the labels of the songs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from acestep.config import GenerateConfig, TrainConfig
from acestep.data.labels import apply_tag
from acestep.judging.trials import Trial, make_trials
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.render import DEFAULT_SECONDS
from acestep.training.clips import Clip

NEUTRAL = "a short instrumental piece with a clear melody"  # where captions give nothing new
_LONGEST_NAME = 48  # characters of a caption in a file's name


@dataclass(frozen=True)
class Request:
    """One preview to be made: what the prompt is (see ``events.Sample``) and the piece itself."""

    kind: str
    config: GenerateConfig

    def file_name(self, number: int) -> str:
        """A name for the ``number``-th file, safe on every file system whatever the caption is."""
        words = re.sub(r"[\W_]+", "-", self.config.caption).strip("-").lower()
        return f"{number}_{words[:_LONGEST_NAME].strip('-')}".rstrip("_")


def preview_requests(
    config: TrainConfig, clips: Sequence[Clip], dataset: dict[str, Any]
) -> list[Request]:
    """The user's captions as they are, or else three prompts (two for a dataset without a tag).

    These are the first song's own prompt with all its labels, a new caption with the tag, and the
    same without it. All have the run's seed, so that they differ by the words alone, and one piece
    at two epochs by the adapter alone. ``clips`` are those that are trained on.
    """
    given: dict[str, Any] = {
        "seed": config.seed,
        "duration": config.preview_seconds or usual_seconds(clips),
    }
    if config.preview:
        return [
            Request("own", GenerateConfig(caption=_clean(text), **given)) for text in config.preview
        ]
    tag, position = (str(dataset.get(key) or "") for key in ("tag", "tag_position"))
    songs = {clip.song: clip.labels for clip in clips if not clip.origin}
    songs = songs or {clip.song: clip.labels for clip in clips}
    trials = make_trials(list(songs.items()), tag, position or "prepend", [], 2 * len(songs), 0)
    first, other = trials[:2]
    caption = new_caption([trial.plain for trial in trials[::2]])
    tagged = apply_tag(caption, tag, "append" if position == "append" else "prepend")
    wanted = [("training", first), ("new", replace(other, caption=tagged))]
    if tag.strip():
        wanted.append(("untagged", replace(other, caption=caption)))
    return [Request(kind, _piece(trial, given)) for kind, trial in wanted]


def new_caption(captions: Sequence[str]) -> str:
    """Half of the first song's caption and half of another's, so that it is none of the songs'."""
    known = {_plain(caption) for caption in captions}
    parts = [[part for part in re.split(r"[,;.]\s*", text) if part.strip()] for text in captions]
    for other in parts[1:]:
        start = parts[0][: max(1, len(parts[0]) // 2)]
        end = [part for part in other[len(other) // 2 :] if part not in start]
        made = ", ".join([*start, *end])
        if made and _plain(made) not in known:
            return made
    return NEUTRAL


def usual_seconds(clips: Sequence[Clip]) -> float:
    """The clips' median length in whole seconds, from 1 to what ``generate`` makes unasked."""
    lengths = [clip.latents.shape[1] / FRAMES_PER_SECOND for clip in clips]
    return float(np.clip(np.floor(np.median(lengths)), 1.0, DEFAULT_SECONDS))


def _piece(trial: Trial, given: dict[str, Any]) -> GenerateConfig:
    return GenerateConfig(
        caption=_clean(trial.caption),
        lyrics=_clean(trial.lyrics),
        bpm=trial.bpm,
        keyscale=trial.keyscale,
        timesignature=trial.timesignature,
        language=_clean(trial.language),
        **given,
    )


def _plain(caption: str) -> str:
    return re.sub(r"\W+", " ", caption).strip().lower()


def _clean(words: str) -> str:
    """Text that UTF-8 can hold."""
    return words.encode("utf-8", "replace").decode("utf-8")
