"""Clips for judging: made once, kept in the evaluation's folder, found again by what made them."""

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
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
from acestep.playing import Piece, Rendition, Scene, choose_sampling, play_all
from acestep.render import Sounds, memory_is_named, set_scene

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
    def who(self) -> tuple[str, float, str]:
        """What tells it from others."""
        return self.name, self.strength, self.digest

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
        self._scenes: dict[str, Scene] = {}

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
        """Make one clip unless it is there; yields and raises what :meth:`make_all` does."""
        yield from (item for item in self.make_all([order]) if not isinstance(item, Clip))

    def make_all(self, orders: Iterable[Order]) -> Iterator[Event | Clip]:
        """Make the clips that are not there, each yielded when it is, and say what is new.

        The clips of one voice that follow each other are played as
        :func:`acestep.playing.play_all` plays them. Raises what
        :func:`acestep.render.render_all` does.
        """
        missing = [order for order in orders if not self.is_made(order)]
        for _, members in groupby(missing, lambda order: order.voice.who):
            together = list(members)
            with memory_is_named(self.parts):
                pieces = []
                for order in together:
                    config = self._config(order)
                    pieces.append(Piece(config, (yield from self._scene(config))))
                yield from self._put_on(together[0].voice)
                waiting = iter(together)
                for item in play_all(self.parts, pieces):
                    if isinstance(item, Rendition):
                        yield self._keep(next(waiting), item)
                    elif isinstance(item, Notice):
                        yield from self._once(item)

    def _keep(self, order: Order, rendition: Rendition) -> Clip:
        """Write the latents and the audio."""
        clip = self.clip(order)
        with atomic(clip.latents_file) as temporary, temporary.open("wb") as file:
            np.save(file, rendition.latents.numpy(), allow_pickle=False)
        with atomic(clip.audio_file) as temporary:
            rendition.save(temporary)
        return clip

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

    def _scene(self, config: GenerateConfig) -> Generator[Event, None, Scene]:
        """The scene of a prompt, encoded when it is first played, whoever plays it."""
        prompt = config.model_dump_json(exclude={"seed"})
        if prompt in self._scenes:
            return self._scenes[prompt]
        missing = set(self.parts.missing_tags(config.caption))  # where there is no tag, by design
        steps = set_scene(self.parts, config, Sounds())
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return self._scenes.setdefault(prompt, end.value)
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
