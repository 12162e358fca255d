"""What is played in each latent frame of a song, from its notes.

Lessons for the audio codes, which are to keep it, and for the transformer, which is to foresee it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep.mini.corpus import Song, compose
from acestep.mini.styles import DRUMS
from acestep.model.flow import FRAMES_PER_SECOND

SILENT = 12  # the class of no pitch
BEATS = {"4": 4, "3": 3, "6": 2}  # of a bar; in six eighths a beat has three of them
LOW_DRUMS = {"kick", "soft kick", "tom"}
SIZES = {"melody": 13, "bass": 13, "chord": 12, "drums": 10}


class Score(NamedTuple):
    """By frame: pitch class on top and of the bass ``[T]`` (12 is none), all pitch classes
    ``[T, 12]``, whether a low drum and another one is struck ``[T, 2]``.
    """

    melody: Tensor
    bass: Tensor
    chord: Tensor
    drums: Tensor


def score_of(song: Song, frames: int) -> Score:
    """The score of a song that still has its notes."""
    top, bottom = np.full(frames, -1), np.full(frames, -1)
    chord, drums = np.zeros((frames, 12), np.float32), np.zeros((frames, 2), np.float32)
    for note in song.notes:
        first = int(note.start * FRAMES_PER_SECOND)
        if first >= frames:
            continue
        if note.player in DRUMS:
            drums[first, int(note.player not in LOW_DRUMS)] = 1
            continue
        part = slice(first, max(first + 1, round((note.start + note.length) * FRAMES_PER_SECOND)))
        if note.part == "bass":
            bottom[part] = note.pitch
        else:
            top[part] = np.maximum(top[part], note.pitch)
            chord[part, note.pitch % 12] = 1
    classes = [np.where(line < 0, SILENT, line % 12) for line in (top, bottom)]
    return Score(*map(torch.from_numpy, (*classes, chord, drums)))


def score_again(song: Song, frames: int) -> Score:
    """The score of a song of a shard, which has kept no notes."""
    return score_of(_composed_again(song), frames)


@lru_cache(maxsize=100_000)
def rhythm_of(song: Song) -> tuple[Tensor, Tensor]:
    """Beat and bar as cosines and sines ``[T, 4]``, and who of DRUMS is struck ``[T, D]``.

    ``song`` is one of a shard.
    """
    frames = round(song.seconds * FRAMES_PER_SECOND)
    beat = torch.arange(frames) / FRAMES_PER_SECOND * song.bpm / 60
    turns = torch.stack([beat, beat / BEATS[song.timesignature]], dim=1)
    angles = 2 * torch.pi * turns
    struck = torch.zeros(frames, len(DRUMS))
    for note in _composed_again(song).notes:
        frame = int(note.start * FRAMES_PER_SECOND + 1e-6)
        if note.player in DRUMS and frame < frames:
            struck[frame, list(DRUMS).index(note.player)] = 1
    return torch.cat([angles.cos(), angles.sin()], dim=1), struck


def _composed_again(song: Song) -> Song:
    return compose(
        song.seed, song.seconds, style=song.style, bpm=song.bpm, keyscale=song.keyscale
    )


def lesson(heads: nn.ModuleDict, hints: Tensor, scores: Score) -> tuple[Tensor, dict[str, float]]:
    """How badly heads read a window from its hints ``[B, 5, C]``, and how often they are right.

    ``scores`` are of those windows ``[B, 5, …]``; pitches are asked for at the middle frame,
    strokes at each. Shares of right melody and bass, F1 of chord and drums.
    """
    said = {name: head(hints.flatten(1)) for name, head in heads.items()}
    middle = scores.melody.shape[1] // 2
    losses, right = [], {}
    for name, line, weight in (("melody", scores.melody, 2), ("bass", scores.bass, 2)):
        losses.append(weight * F.cross_entropy(said[name], line[:, middle]))
        right[name] = (said[name].argmax(1) == line[:, middle]).float().mean().item()
    chord, drums = scores.chord[:, middle], scores.drums.flatten(1)
    for name, played, weight, sure in (("chord", chord, 2, 0.0), ("drums", drums, 20, -0.7)):
        losses.append(weight * F.binary_cross_entropy_with_logits(said[name], played))
        hit = said[name] > sure
        both = hit.sum() + played.sum()
        right[name] = (2 * (hit * played).sum() / (both + 1e-9)).item()
    return torch.stack(losses).sum(), right
