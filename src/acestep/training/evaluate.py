"""Loss at fixed times and fixed noise: of held-out songs and, beside them, of training songs.

The adapter and the base are measured on the same draws, so two measurements differ by the weights
alone, and small differences are seen that would drown in the noise of the training loss.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acestep.model.flow import frame_losses
from acestep.training.clips import Clip, Split
from acestep.training.draws import HELD_OUT, TimeLaw, generator_for

PASSAGES = 8  # equal parts of a clip's frames


@dataclass(frozen=True)
class SongLosses:
    """Losses of one song: ``means`` [clips, times] over the frames of each of its clips, and
    ``passages`` [passages, times] over parts of them; float32, on the CPU."""

    means: Tensor
    passages: Tensor

    @property
    def loss(self) -> float:
        """The mean over clips and times."""
        return self.means.mean().item()


Songs = dict[str, SongLosses]


@dataclass(frozen=True)
class Measured:
    """Losses by song at ``times``: of the held-out frames, and of frames that are trained on."""

    times: tuple[float, ...]
    held_out: Songs
    training: Songs


def measure(
    transformer: nn.Module,
    split: Split,
    law: TimeLaw,
    seed: int,
    device: torch.device,
    *,
    everything: bool = False,
) -> Measured:
    """Losses at the law's eight fixed times, of what is held out and of training songs.

    ``everything`` measures all training songs (:func:`training_side` says which otherwise). Where a
    clip is partly held out, both its parts are measured in one pass.
    """
    return Measured(
        tuple(law.fixed()),
        *fixed_losses(
            transformer,
            split.held_out,
            training_side(split, everything=everything),
            law,
            seed,
            device,
        ),
    )


def training_side(split: Split, *, everything: bool = False) -> list[Clip]:
    """The training clips to measure beside the held-out ones: songs themselves, not variants.

    Where songs are held out in part, the other parts of the same clips, which cost nothing more.
    Else as many clips as are held out, evenly spread over the training songs; all of them with
    ``everything`` or if nothing is held out.
    """
    clips = [clip for clip in split.train if not clip.origin] or split.train
    held = {clip.name for clip in split.held_out}
    cut = [clip for clip in clips if clip.name in held]
    if cut:
        return cut
    wanted = len(clips) if everything or not held else min(len(held), len(clips))
    return [clips[place * len(clips) // wanted] for place in range(wanted)]


@torch.no_grad()
def fixed_losses(
    transformer: nn.Module,
    held_out: list[Clip],
    training: list[Clip],
    law: TimeLaw,
    seed: int,
    device: torch.device,
) -> tuple[Songs, Songs]:
    """Losses of two lists of clips, each clip over its own frames.

    The noise depends on the seed, the clip's place and the time's place alone. The transformer is
    put into eval mode for the call: no dropout.
    """
    was_training = transformer.training
    transformer.eval()
    found: tuple[dict, dict] = (defaultdict(list), defaultdict(list))
    wanted: dict[str, list[tuple[int, Clip]]] = defaultdict(list)
    for side, clips in enumerate((held_out, training)):
        for clip in clips:
            wanted[clip.name].append((side, clip))
    for place, sides in enumerate(wanted.values()):
        losses = _clip_losses(transformer, sides[0][1].to(device), law, seed, place)
        for side, clip in sides:
            found[side][clip.song].append([_averages(each, clip.frames) for each in losses])
    transformer.train(was_training)
    held, trained = ({song: _together(clips) for song, clips in songs.items()} for songs in found)
    return held, trained


def held_out_losses(
    transformer: nn.Module, clips: list[Clip], law: TimeLaw, seed: int, device: torch.device
) -> dict[str, float]:
    """Mean loss of each song over its held-out frames at the law's eight fixed times."""
    return losses_by_song(fixed_losses(transformer, clips, [], law, seed, device)[0])


@torch.no_grad()
def is_sound(transformer: nn.Module, clip: Clip, law: TimeLaw, device: torch.device) -> bool:
    """Whether the model as it is now gives a finite loss on a clip, at one of the fixed times."""
    was_training = transformer.training
    transformer.eval()
    clip = clip.to(device)
    time = torch.tensor([law.fixed()[-1]], device=device)
    losses = frame_losses(
        transformer,
        clip.latents,
        torch.zeros_like(clip.latents),
        time,
        clip.condition,
        clip.context,
    )
    transformer.train(was_training)
    return bool(torch.isfinite(losses).all())


def losses_by_song(songs: Songs) -> dict[str, float]:
    """The mean loss of each song."""
    return {song: losses.loss for song, losses in songs.items()}


def mean(losses: dict[str, float]) -> float:
    """The mean over songs."""
    return sum(losses.values()) / len(losses)


def _clip_losses(
    transformer: nn.Module, clip: Clip, law: TimeLaw, seed: int, place: int
) -> list[Tensor]:
    """Losses of all the frames of a clip, ``[1, frames]`` at each of the fixed times."""
    device = clip.latents.device
    losses = []
    for index, time in enumerate(law.fixed()):
        noise = torch.randn(
            clip.latents.shape, generator=generator_for(seed, HELD_OUT, place, index)
        )
        losses.append(
            frame_losses(
                transformer,
                clip.latents,
                noise.to(device),
                torch.tensor([time], device=device),
                clip.condition,
                clip.context,
            )
        )
    return losses


def _averages(losses: Tensor, frames: slice) -> tuple[Tensor, Tensor]:
    """The mean of ``[1, frames]`` over some frames, and the means of up to eight parts of them."""
    some = losses[:, frames]
    parts = torch.tensor_split(some, min(PASSAGES, some.shape[1]), dim=1)
    return some.mean(), torch.stack([part.mean() for part in parts])


def _together(clips: list[list[tuple[Tensor, Tensor]]]) -> SongLosses:
    means = torch.stack([torch.stack([mean for mean, _ in times]) for times in clips])
    passages = torch.cat([torch.stack([parts for _, parts in times], 1) for times in clips])
    return SongLosses(means.cpu(), passages.cpu())
