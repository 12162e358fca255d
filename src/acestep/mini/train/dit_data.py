"""What the transformer is shown: crops of songs in each of the model's tasks.

Context, instruction and labels of a crop come from the functions that generation calls
(:mod:`acestep.model.tasks`, :mod:`acestep.model.prompt`). A crop that begins at frame ``o`` has the
silence from frame ``o`` on; generation always begins at frame 0, and so do most crops.

============  =====================================  =================
task          context                                target
============  =====================================  =================
text2music    silence                                the song
cover         the song as its codes say it           the song
repaint       the song, silent inside a window       the song
extract       the song                               one of its tracks
lego          the song without the track             the track
complete      one track                              the song
============  =====================================  =================
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.data.labels import PromptLabels
from acestep.mini.train.codes import WINDOW
from acestep.mini.train.scores import rhythm_of
from acestep.mini.train.shards import Encoded, Stem, load_shard, shard_names
from acestep.mini.train.text_prompts import Tokens, song_labels, song_prompt
from acestep.model.condition import silence_context
from acestep.model.prompt import Prompt, instruction_for
from acestep.model.tasks import TRACK_TASKS, code_hints, source_context

OTHER_LENGTHS = (10, 20, 30, 45, 60, 120, 180, 240)  # s


@dataclass(frozen=True)
class Mix:
    """How often each task is drawn, and some of what else chance decides."""

    cover: float = 0.18
    repaint: float = 0.15
    stems: float = 0.10
    from_start: float = 0.6  # of the crops, since generation begins at frame 0
    other_length: float = 0.15  # of the prompts say the length of a longer piece
    slack: int = 2  # bpm by which half of the prompts may be beside the song's round tempo


@dataclass(frozen=True)
class Sample:
    """One crop: target ``[T, C]``, context ``[T, 2C]``, prompt.

    ``rhythm`` is its beat and who is struck (:func:`acestep.mini.train.scores.rhythm_of`), and
    ``counts`` whether it can be known: the tempo is told, and the target is the song.
    """

    task: str
    target: Tensor
    context: Tensor
    prompt: Prompt
    rhythm: tuple[Tensor, Tensor]
    counts: bool


@dataclass
class Library:
    """The songs in a folder of shards; :meth:`refresh` takes in what has been added since."""

    folder: Path
    songs: list[Encoded] = field(default_factory=list)
    stems: list[Encoded] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def refresh(self, most: int | None = None) -> None:
        """Load new shards, as long as there are fewer than ``most`` songs."""
        for name in shard_names(self.folder):
            if name not in self.known and (most is None or len(self.songs) < most):
                self.known.add(name)
                loaded = load_shard(self.folder, name)
                self.songs += loaded
                self.stems += [encoded for encoded in loaded if encoded.stem is not None]


@dataclass(frozen=True)
class Sampler:
    """Draws crops; ``codes`` are the audio tokenizer and detokenizer, if there are any yet."""

    library: Library
    tokens: Tokens
    silence: Tensor
    codes: tuple[Any, Any] | None = None
    mix: Mix = Mix()

    def draw(
        self, frames: int, rng: np.random.Generator, longest: tuple[int, int] | None = None
    ) -> Sample:
        """One crop of ``frames`` frames; its prompt has at most ``longest`` tokens of each text."""
        while True:
            sample = self._draw(frames, rng)
            prompt = sample.prompt
            sizes = len(prompt.caption_ids), len(prompt.lyrics_ids)
            if longest is None or (sizes[0] <= longest[0] and sizes[1] <= longest[1]):
                return sample

    def _draw(self, frames: int, rng: np.random.Generator) -> Sample:
        task = self._task(rng)
        pool = self.library.stems if task in ("extract", "lego", "complete") else self.library.songs
        encoded = pool[rng.integers(len(pool))]
        last = len(encoded.latents) - frames
        grid = 2 * WINDOW if task == "cover" else 2  # so that codes and patches stay whole
        first = 0
        if rng.random() >= self.mix.from_start:
            first = grid * int(rng.integers(last // grid + 1))
        part = slice(first, first + frames)
        target, context = self._scene(task, encoded, part, rng)
        instruction = instruction_for(task, _tracks(task, encoded.stem))
        slack = self.mix.slack if rng.random() < 0.5 else 0
        labels = song_labels(encoded.song, rng, start=first, frames=frames, slack=slack)
        if rng.random() < self.mix.other_length:
            labels = _as_long(labels, rng)
        beat, struck = rhythm_of(encoded.song)
        return Sample(
            task, target, context, song_prompt(labels, self.tokens, instruction),
            (beat[part], struck[part]), labels.bpm is not None and task not in TRACK_TASKS,
        )  # fmt: skip

    def _task(self, rng: np.random.Generator) -> str:
        chance, mix = rng.random(), self.mix
        if chance < mix.cover:
            return "cover" if self.codes is not None else "text2music"
        if chance < mix.cover + mix.repaint:
            return "repaint"
        if chance < mix.cover + mix.repaint + mix.stems and self.library.stems:
            return ("extract", "lego", "complete")[rng.integers(3)]
        return "text2music"

    def _scene(
        self, task: str, encoded: Encoded, part: slice, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Target ``[T, C]`` and context ``[T, 2C]``."""
        song = encoded.latents[part].float()[None]
        silence = self.silence[:, part.start :]
        if task == "text2music":
            return song[0], silence_context(silence, song.shape[1])[0]
        if task == "cover":
            assert self.codes is not None
            hints = code_hints(*self.codes, song, self.silence)
            return song[0], source_context(hints, silence)[0]
        if task == "repaint":
            window = _window(song.shape[1], rng)
            return song[0], source_context(song, silence, window=window)[0]
        assert encoded.stem is not None
        alone = encoded.stem.alone[part].float()[None]
        rest = encoded.stem.rest[part].float()[None]
        source, target = {
            "extract": (song, alone),
            "lego": (rest, alone),
            "complete": (alone, song),
        }[task]
        return target[0], source_context(source, silence)[0]


def _tracks(task: str, stem: Stem | None) -> Sequence[str]:
    if task in ("extract", "lego") and stem is not None:
        return [stem.track]
    return stem.others if task == "complete" and stem is not None else []


def _window(frames: int, rng: np.random.Generator) -> tuple[int, int]:
    """A window of an eighth of the crop up to all of it."""
    length = int(rng.integers(frames // 8, frames + 1))
    first = int(rng.integers(frames - length + 1))
    return first, first + length


def _as_long(labels: PromptLabels, rng: np.random.Generator) -> PromptLabels:
    """The labels of a longer piece: a length that no crop has must not be news to the model."""
    return replace(labels, seconds=float(rng.choice(OTHER_LENGTHS)))


def held_out_batch(
    songs: Sequence[Encoded], silence: Tensor, tokens: Tokens, frames: int
) -> tuple[Tensor, Tensor, list[Prompt]]:
    """The first ``frames`` of songs for text2music: targets, contexts, prompts as they are."""
    targets = torch.stack([encoded.latents[:frames].float() for encoded in songs])
    context = silence_context(silence, frames).expand(len(songs), -1, -1)
    prompts = [song_prompt(song_labels(each.song, frames=frames), tokens) for each in songs]
    return targets, context, prompts
