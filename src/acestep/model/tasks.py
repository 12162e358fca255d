"""What each task puts into the context, and how its sources are cut to size. Pure functions.

======================  ==============================================  ==================
task                    source half of the context                      mask half
======================  ==============================================  ==================
text2music              silence                                         everywhere
cover                   the source as its 5 Hz codes say it             everywhere
repaint, lego (window)  the source, with silence inside the window      inside the window
lego, extract,          the source                                      everywhere
complete
======================  ==============================================  ==================

Audio is float32 ``(2, samples)``, latents are ``[1, T, C]``; a window is a half-open range of
samples, and of frames once divided by the VAE's hop.
"""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep.model.condition import silence_context

TRACKS = (
    "woodwinds", "brass", "fx", "synth", "strings", "percussion",
    "keyboard", "guitar", "bass", "drums", "backing_vocals", "vocals",
)  # fmt: skip
WINDOW_TASKS = ("repaint", "lego")
TRACK_TASKS = ("extract", "lego", "complete")
REFERENCE_SECONDS = 30
LONGEST_SECONDS = 600
FADE_SECONDS = 0.03

Window = tuple[int, int]


def track_name(text: str) -> str:
    """A track as the model knows it: ``"Backing vocals"`` is ``backing_vocals``."""
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def task_problems(task: str, tracks: list[str], has_source: bool, has_window: bool) -> list[str]:
    """What is wrong with a task's inputs, a sentence each; an empty list means nothing is."""
    problems = []
    if task == "text2music" and has_source:
        problems.append(
            "--src-audio: the task text2music takes no source; use --task cover, repaint, extract, "
            "lego or complete (or --reference-audio, for its timbre)"
        )
    if task != "text2music" and not has_source:
        problems.append(f"--task {task}: needs a source, and --src-audio names none")
    if has_window and task not in WINDOW_TASKS:
        problems.append(
            f"--repainting-start, --repainting-end: the task {task} has no window, only "
            f"{' and '.join(WINDOW_TASKS)} have"
        )
    if tracks and task not in TRACK_TASKS:
        problems.append(f"--track {', '.join(tracks)}: the task {task} takes no track")
    if len(tracks) > 1 and task in ("extract", "lego"):
        problems.append(f"--track {', '.join(tracks)}: the task {task} takes one track")
    for track in tracks:
        if task in TRACK_TASKS and track_name(track) not in TRACKS:
            problems.append(f"--track {track}: not known; the model knows {', '.join(TRACKS)}")
    return problems


def window_problems(start: float, end: float | None, seconds: float) -> list[str]:
    """What is wrong with a window from ``start`` to ``end`` seconds in a source of ``seconds``.

    A start below 0 and an end behind the source's are fine: they extend the song.
    """
    stop = seconds if end is None else end
    total = max(stop, seconds) - min(start, 0)
    window = f"--repainting-start, --repainting-end: the window {start:g} to {stop:g} s"
    if start >= stop:
        return [f"{window} is empty"]
    if stop < 0 or start > seconds:
        return [f"{window} lies outside the source (0 to {seconds:g} s)"]
    if total > LONGEST_SECONDS:
        return [f"{window} makes a song of {total:g} s, and {LONGEST_SECONDS} s are the most"]
    return []


def extend_source(
    audio: np.ndarray, start: float, end: float | None, rate: int
) -> tuple[np.ndarray, Window]:
    """The source with silence where the window reaches beyond it, and the window in its samples.

    A negative ``start`` adds silence on the left, an ``end`` behind the source's on the right; the
    window moves along with the left side. ``end`` None is the source's end.
    """
    samples = audio.shape[1]
    left = max(0, int(-start * rate))
    stop = samples if end is None else int(end * rate)
    right = max(0, stop - samples)
    extended = np.pad(audio, ((0, 0), (left, right)))
    return extended, (max(0, int(start * rate)), stop + left)


def whole_frames(audio: np.ndarray, hop: int) -> np.ndarray:
    """The audio with silence behind it up to a multiple of ``hop`` samples."""
    return np.pad(audio, ((0, 0), (0, -audio.shape[1] % hop)))


def window_frames(window: Window, samples: int, hop: int) -> Window:
    """The frames of a window in a source of ``samples`` samples: rounded down, at least one.

    A window that reaches the source's end takes its last frame, complete or not.
    """
    first = window[0] // hop
    last = -(-samples // hop) if window[1] >= samples else window[1] // hop
    return first, max(first + 1, last)


def source_context(
    source: Tensor, silence: Tensor, *, window: Window | None = None, chunk_mask: float = 1.0
) -> Tensor:
    """Context ``[1, T, 2C]`` of a task with a source.

    ``source`` ``[1, T, C]`` and ``silence`` ``[1, N, C]`` are latents. With a ``window`` (frames)
    the source is silent inside, with the silence of the same frames, and the mask is 0 outside
    (golden case ``generation_turbo.repaint``).
    """
    frames, channels = source.shape[1:]
    context = silence_context(silence, frames, chunk_mask).clone()
    inside = torch.zeros(frames, dtype=torch.bool)
    inside[slice(*window) if window else slice(None)] = True
    if window is None:
        context[..., :channels] = source.to(context)
    else:
        context[:, ~inside, :channels] = source[:, ~inside].to(context)
        context[:, ~inside, channels:] = 0
    return context


@torch.no_grad()
def code_hints(tokenizer: Any, detokenizer: Any, source: Tensor, silence: Tensor) -> Tensor:
    """The source as a cover hears it: latents → 5 Hz codes → latents, cropped to the source.

    ``source`` ``[1, T, C]`` is padded with ``silence`` to a multiple of five frames (golden cases
    ``tokenizer.pad``, ``tokenizer.exact``). Returns ``[1, T, C]`` on the source's device.
    """
    codes, _ = tokenizer.tokenize(source, silence)
    return detokenizer(codes)[:, : source.shape[1]]


def reference_clip(audio: np.ndarray, seed: int, rate: int) -> np.ndarray:
    """Thirty seconds that stand for a reference of any length.

    Shorter audio is repeated first. Then ten seconds from somewhere in each third, drawn from the
    seed, one behind the other; exactly thirty seconds come back as they were.
    """
    wanted = REFERENCE_SECONDS * rate
    repeats = -(-wanted // audio.shape[1])
    audio = np.tile(audio, (1, repeats))
    draw = random.Random(seed)
    piece, third = wanted // 3, audio.shape[1] // 3
    starts = (index * third + draw.randint(0, third - piece) for index in range(3))
    return np.concatenate([audio[:, start : start + piece] for start in starts], axis=1)


def within_full_scale(audio: np.ndarray) -> np.ndarray:
    """The audio, divided by its peak if that is above 1; quieter audio stays as it is."""
    peak = float(np.abs(audio).max(initial=0.0))
    return audio / np.float32(peak) if peak > 1 else audio


def splice(source: np.ndarray, made: np.ndarray, window: Window, rate: int) -> np.ndarray:
    """``source`` with ``made`` inside the window; outside it is bit for bit the source.

    The two cross-fade over 30 ms just inside each edge of the window (not where the song itself
    begins or ends). Only what was made is brought within full scale.
    """
    start, end = window
    inside = within_full_scale(made[:, start:end])
    length = end - start
    fade = min(round(FADE_SECONDS * rate), length // 2)
    weight = np.ones(length, np.float32)
    if start > 0:
        weight[:fade] = np.linspace(0, 1, fade, endpoint=False)
    if end < source.shape[1]:
        weight[length - fade :] = np.linspace(1, 0, fade, endpoint=False)
    result = source.copy()
    result[:, start:end] = weight * inside + (1 - weight) * source[:, start:end]
    return result
