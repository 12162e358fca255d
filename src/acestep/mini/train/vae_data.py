"""What the autoencoder hears: songs of the corpus, and the same kind with sampled instruments.

Songs are rendered into memory and replaced one after another as training goes on, so that it hears
thousands. Which song is where at a step depends on nothing but the step.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from acestep.mini.corpus import VALIDATION, compose, render, render_parts
from acestep.mini.soundfont import has_fluidsynth, render_soundfont
from acestep.mini.styles import STYLES

SAMPLED = 0.4  # share of songs with sampled instruments, where FluidSynth is installed
RARE = 0.3  # of those, the share in styles whose sampled sound is farthest from the corpus's:
RARE_STYLES = ("musicbox", "chiptune")  # bells two octaves above the others, and leads that buzz
STEMS = 0.15  # of the others, the share of which only some parts are heard
GATED = 0.1  # share of songs with a stretch of silence
QUIETEST = 15.0  # dB that a song may be quieter than it was rendered

Held = TypeVar("Held")


class Pool(Generic[Held]):
    """``size`` songs at a time, one of them new every ``every`` steps."""

    def __init__(self, make: Callable[[int], Held], size: int, every: int) -> None:
        self._make, self._size, self._every = make, size, every
        self._held: dict[int, tuple[int, Held]] = {}

    def at(self, step: int) -> list[Held]:
        """The songs of a step; those that are not there yet are made."""
        replaced = step // self._every
        for slot in range(self._size):
            number = slot + self._size * ((replaced + self._size - 1 - slot) // self._size)
            if slot not in self._held or self._held[slot][0] != number:
                self._held[slot] = (number, self._make(number))
        return [self._held[slot][1] for slot in range(self._size)]


def training_song(number: int, seconds: float, sampled: float = SAMPLED) -> Tensor:
    """Song ``number``: ``[2, n]`` float32, some of them quieter, with gaps, or stems alone.

    ``sampled`` is the share of songs that sampled instruments play.
    """
    rng = np.random.default_rng([number, 1])
    song = compose(number, seconds)
    if rng.random() < sampled and has_fluidsynth():
        if rng.random() < RARE:
            song = compose(number, seconds, style=RARE_STYLES[number % len(RARE_STYLES)])
        audio = render_soundfont(song)
    elif rng.random() < STEMS:
        parts = list(render_parts(song).values())
        audio = np.sum([part for part in parts if rng.random() < 0.5] or parts[:1], axis=0)
    else:
        audio = render(song)
    audio = audio * np.float32(10 ** (-QUIETEST * rng.random() ** 2 / 20))
    if rng.random() < GATED:
        first, last = np.sort(rng.integers(audio.shape[1], size=2))
        audio[:, first:last] = 0
    return torch.from_numpy(audio.astype(np.float32))


def held_out_songs(seconds: float, *, sampled: bool = False) -> tuple[Tensor, list[float]]:
    """A song of each style, ``[B, 2, n]``, and their tempi; never trained on."""
    songs = [
        compose(VALIDATION + number, seconds, style=style)
        for number, style in enumerate(STYLES)
    ]
    play = render_soundfont if sampled else render
    return torch.from_numpy(np.stack([play(song) for song in songs])), [s.bpm for s in songs]


def crops(songs: list[Tensor], count: int, samples: int, rng: torch.Generator) -> Tensor:
    """``count`` stretches of ``samples`` of songs ``[2, n]``: ``[count, 2, samples]``."""
    chosen = []
    for number in torch.randint(len(songs), (count,), generator=rng).tolist():
        room = songs[number].shape[1] - samples
        first = int(torch.randint(room + 1, (), generator=rng))
        chosen.append(songs[number][:, first : first + samples])
    return torch.stack(chosen)
