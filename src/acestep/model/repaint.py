"""A part of a song made anew by a base model, with the model's own sampling."""

import numpy as np

from acestep.data.audio import RATE
from acestep.data.labels import PromptLabels
from acestep.model.flow import FRAMES_PER_SECOND, frames_in, schedule
from acestep.model.parts import Parts
from acestep.model.prompt import instruction_for
from acestep.model.sample import (
    Condition,
    Guidance,
    denoise,
    draw_noise,
    other_seed,
    usual_sampling,
)
from acestep.model.scene import (
    TaskWindow,
    encode_prompts,
    encode_source,
    null_condition,
    task_context,
)
from acestep.model.tasks import splice
from acestep.model.vae import decode_audio


def repaint(
    parts: Parts, audio: np.ndarray, labels: PromptLabels, window: TaskWindow, seed: int
) -> np.ndarray:
    """``audio`` ``(2, samples)`` with the window made anew; outside it is bit for bit what it was.

    The model hears the whole song through the VAE, with silence in the window. What it makes is
    decoded and put into the untouched samples, cross-faded over 30 ms just inside each edge. The
    result is what generating with the task repaint, the same labels and the same seed gives.
    Raises ``AudioError`` for a song of less than one latent frame or more than ten minutes.
    """
    source = encode_source(parts, audio, "repaint", window, other_seed(seed, 1))
    assert source.window is not None  # a repaint always has one
    _, (states,) = encode_prompts(parts, labels, [instruction_for("repaint")])
    sampling = usual_sampling(parts.model.variant)
    guidance = None
    if sampling.scale > 1:
        guidance = Guidance(null_condition(parts), sampling.scale)
    context = task_context(parts, "repaint", source, chunk_mask=1.0)
    latents = draw_noise(seed, source.latents.shape[1], parts.channels)
    steps = denoise(
        parts.transformer(),
        latents,
        schedule(sampling.steps, sampling.shift),
        Condition(states.to(parts.device), context.to(parts.device)),
        guidance=guidance,
    )
    for cleaner in steps:
        latents = cleaner
    made = decode_audio(parts.vae(), latents)[:, : source.audio.shape[1]]
    return splice(source.audio, made, source.window, parts.rate)


def section_window(seconds: float, place: float, section: float) -> tuple[float, float]:
    """Start and end, in seconds, of a section that takes a share of a song of so many seconds.

    It is of whole latent frames, one at least. ``place`` is from 0 (at the song's beginning) to 1
    (at its end).
    """
    frames = max(1, frames_in(seconds))
    length = max(1, round(section * frames))
    first = round(place * (frames - length))
    half = 0.5 / RATE  # of a sample: bounds are rounded down to samples
    return first / FRAMES_PER_SECOND + half, (first + length) / FRAMES_PER_SECOND + half
