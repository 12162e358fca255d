"""Prompts without the tag: what an adapter has to leave as it is.

Every training prompt bears the tag, so nothing teaches an adapter what it is there for, and the
style comes with the tag or without. With ``--keep-untagged w`` each clip goes through the model
once more, at the same noise and time but with a prompt that lacks the tag; there the base's own
answer is the target::

    |v(x_t, tag) − (noise − data)|²  +  w · |v(x_t, no tag) − v_base(x_t, no tag)|²

Both halves are of one ``x_t``, so that what they pull at together cancels, and what is left to
learn is the tag (prior preservation: Ruiz et al. 2023, "DreamBooth"; here without a picture of what
is preserved, since the base is at hand). It costs two passes more, one of them without a gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from acestep.config import TrainConfig
from acestep.data.labels import PromptLabels
from acestep.data.tensors import Manifest
from acestep.errors import TensorError
from acestep.judging.trials import Trial, make_trials
from acestep.model.base import BaseModel
from acestep.model.flow import FRAMES_PER_SECOND
from acestep.model.parts import Parts
from acestep.model.prompt import instruction_for
from acestep.model.scene import encode_prompts
from acestep.training.clips import Clip

MOST = 64  # prompts in memory, some 50 MB of a 2B model's; with more songs they take turns
UNTOLD = "music"  # the caption where nothing but the tag was


@dataclass(frozen=True)
class Untagged:
    """Conditions ``[1, L, H]`` of the songs' prompts without the tag, and what keeping them weighs.

    They are encoded once, when the run begins, by the encoders that ``generate`` uses. ``turns``
    says for each clip that is trained on which of them it goes with: none if it has no tag.
    """

    weight: float
    conditions: list[Tensor]
    turns: list[int | None]

    def of(self, place: int) -> Tensor | None:
        """The condition for the clip at this place; None if there is no tag to leave out."""
        turn = self.turns[place]
        return None if turn is None else self.conditions[turn]


def encode_untagged(
    config: TrainConfig,
    manifest: Manifest,
    model: BaseModel,
    clips: Sequence[Clip],
    where: tuple[torch.device, torch.dtype],
) -> Untagged | None:
    """The prompts of the ``clips``, without the tag; None where ``--keep-untagged`` is not given.

    The encoders are dropped afterwards. Raises ``TensorError`` if no prompt of theirs has the tag.
    """
    if config.keep_untagged == 0:
        return None
    labels = untagged_labels(clips, manifest.dataset)
    told = [place for place, each in enumerate(labels) if each is not None]
    if not told:
        raise TensorError(
            f"--keep-untagged: no prompt in {config.tensors} has a tag that can be left out",
            hint="give the dataset a tag (acestep edit --tag), run acestep preprocess again, or "
            "leave --keep-untagged out",
        )
    parts = Parts(model, *where)
    instruction = [instruction_for("text2music")]
    wanted = [each for each in labels if each is not None][:MOST]
    conditions = [encode_prompts(parts, each, instruction)[1][0] for each in wanted]
    parts.free()
    turns = {place: number % len(conditions) for number, place in enumerate(told)}
    places = range(len(labels))
    return Untagged(config.keep_untagged, conditions, [turns.get(place) for place in places])


def untagged_labels(clips: Sequence[Clip], dataset: dict[str, Any]) -> list[PromptLabels | None]:
    """For each clip what its prompt says besides the tag; None where it does not have the tag."""
    tag, position = (str(dataset.get(key) or "") for key in ("tag", "tag_position"))
    told = [(clip.song, clip.labels) for clip in clips]
    trials = make_trials(told, tag, position or "prepend", [], 2 * len(told), 0)[::2]
    return [_labels(clip, trial) for clip, trial in zip(clips, trials, strict=True)]


def _labels(clip: Clip, trial: Trial) -> PromptLabels | None:
    if trial.plain == str(clip.labels.get("caption") or ""):
        return None
    return PromptLabels(
        trial.plain or UNTOLD,
        trial.lyrics,
        trial.bpm,
        trial.keyscale,
        trial.timesignature,
        trial.language,
        clip.latents.shape[1] / FRAMES_PER_SECOND,
    )
