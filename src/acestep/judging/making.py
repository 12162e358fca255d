"""Clips for judging: made once, kept in the evaluation's folder, found again by what made them."""

import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acestep.adapters.adapter import Adapter
from acestep.adapters.locate import find_files
from acestep.adapters.stack import AdaptedParts
from acestep.config import GenerateConfig
from acestep.data.audio import read_audio
from acestep.data.files import atomic, file_digest
from acestep.events import Event, Notice
from acestep.judging.trials import Trial
from acestep.playing import Rendition, choose_sampling
from acestep.render import Sounds, render

FORMAT = 1  # of the clips: another way of making them needs another number
BASE = "base"


@dataclass(frozen=True)
class Voice:
    """Who plays: the base model, or one adapter at one strength. ``digest`` is of its files."""

    name: str
    strength: float = 1.0
    digest: str = ""
    adapter: Adapter | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """For people: ``epoch_200 at 0.8``."""
        return self.name if self.strength == 1 else f"{self.name} at {self.strength:g}"


@dataclass(frozen=True)
class Order:
    """One clip to be made: who plays which prompt, with the tag or without it."""

    voice: Voice
    trial: Trial
    tagged: bool

    @property
    def caption(self) -> str:
        return self.trial.caption if self.tagged else self.trial.plain


@dataclass(frozen=True)
class Clip:
    """A clip on disk. ``id`` names its files: the audio, and the latents it was decoded from."""

    id: str
    order: Order
    audio_file: Path
    latents_file: Path

    def audio(self) -> np.ndarray:
        """Float32 ``[2, n]`` at 48 kHz, as written."""
        return read_audio(self.audio_file)

    def latents(self) -> np.ndarray:
        """Float32 ``[T, C]``."""
        return np.load(self.latents_file, allow_pickle=False)


class Maker:
    """Makes clips with one base model, which is loaded once; adapters are put on in turn."""

    def __init__(self, parts: AdaptedParts, folder: Path, seconds: float) -> None:
        self.parts = parts
        self.folder = folder
        self.seconds = seconds
        self._on: Voice | None = None
        self._said: set[str] = set()

    def clip(self, order: Order) -> Clip:
        """Where the clip of an order lies, made or not."""
        name = clip_id(self.recipe(order))
        audio = self.folder / "clips" / f"{name}.flac"
        return Clip(name, order, audio, self.folder / "latents" / f"{name}.npy")

    def is_made(self, order: Order) -> bool:
        """Whether its files are there. They are written whole or not at all."""
        clip = self.clip(order)
        return clip.audio_file.is_file() and clip.latents_file.is_file()

    def recipe(self, order: Order) -> dict[str, Any]:
        """Everything that decides how the clip sounds."""
        config = self._config(order)
        sampling, _ = choose_sampling(config, self.parts.model.variant)
        voice = order.voice
        return {
            "format": FORMAT,
            "model": self.parts.model.fingerprint,
            "precision": str(self.parts.dtype),
            "adapter": voice.digest,
            "strength": voice.strength if voice.digest else 0,
            "sampling": [sampling.steps, sampling.shift, sampling.scale],
            "prompt": [
                config.caption,
                config.lyrics,
                config.bpm,
                config.keyscale,
                config.timesignature,
                config.language,
            ],
            "seed": config.seed,
            "seconds": self.seconds,
        }

    def make(self, order: Order) -> Iterator[Event]:
        """Make the clip unless it is there; yield only what is new to the user.

        Raises what :func:`acestep.render.render` raises.
        """
        if self.is_made(order):
            return
        yield from self._put_on(order.voice)
        rendition = yield from self._play(self._config(order))
        clip = self.clip(order)
        with atomic(clip.latents_file) as temporary, temporary.open("wb") as file:
            np.save(file, rendition.latents.numpy(), allow_pickle=False)
        with atomic(clip.audio_file) as temporary:
            rendition.save(temporary)

    def _config(self, order: Order) -> GenerateConfig:
        trial = order.trial
        return GenerateConfig(
            caption=order.caption,
            lyrics=trial.lyrics,
            bpm=trial.bpm,
            keyscale=trial.keyscale,
            timesignature=trial.timesignature,
            language=trial.language,
            duration=self.seconds,
            seed=trial.seed,
        )

    def _put_on(self, voice: Voice) -> Iterator[Event]:
        """The transformer as this voice wants it; the same adapter only changes its strength."""
        on, self._on = self._on, voice
        if voice.adapter is None:
            self.parts.enabled = False
        elif on is not None and on.digest == voice.digest and voice.name in self.parts.scales():
            self.parts.enabled = True
            self.parts.rescale({voice.name: voice.strength})
        else:
            self.parts.remove()
            for sentence in self.parts.add(voice.adapter, voice.name, voice.strength):
                yield from self._once(Notice(sentence))

    def _play(self, config: GenerateConfig) -> Generator[Event, None, Rendition]:
        """Pass on each notice once, keep the steps to ourselves, and return the piece."""
        missing = set(self.parts.missing_tags(config.caption))  # where there is no tag, by design
        steps = render(self.parts, config, Sounds())
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return end.value
            if isinstance(event, Notice) and event.message not in missing:
                yield from self._once(event)

    def _once(self, notice: Notice) -> Iterator[Event]:
        if notice.message not in self._said:
            self._said.add(notice.message)
            yield notice


def clip_id(recipe: dict[str, Any]) -> str:
    """A name for what a recipe makes: sixteen hexadecimal digits."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def adapter_digest(path: Path) -> str:
    """A hash of an adapter's weights and of what says how they act. Raises ``AdapterError``."""
    files = find_files(path)
    parts = [file_digest(file) for file in (files.weights, files.config) if file is not None]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
