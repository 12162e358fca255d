"""What a checkpoint learned: its loss against the base's, on the same draws.

Loss at fixed times and fixed noise, of the songs (or parts of songs) that were held out and of
training songs beside them; by song, by band of noise, and as the difference to the base model with
a 90 % interval. Differences are adapter less base: below zero, the adapter knows the music better.

It is the loss that was trained: with ``--teach-guidance`` above 1 what has to meet the target is
the prediction less its guidance (:mod:`acestep.training.guidance`), for the base as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.locate import choose_checkpoint, run_checkpoints
from acestep.adapters.mount import alone, disabled
from acestep.data.plain import plain
from acestep.events import Evaluation
from acestep.judging.intervals import Estimate, bootstrap_mean
from acestep.training.evaluate import Measured, SongLosses, Songs, losses_by_song, mean, measure
from acestep.training.material import Material

# Times of a band: at high noise a piece's outline is drawn, at low noise its detail
BANDS = {"high": (0.8, 1.0), "middle": (0.5, 0.8), "low": (0.0, 0.5)}
FEW = 4  # songs; fewer say too little about other songs
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Band:
    """Loss at the times from ``begin`` up to ``end`` (1 is all noise), ``times`` of them."""

    begin: float
    end: float
    times: int
    loss: float
    base_loss: float
    difference: Estimate


@dataclass(frozen=True)
class SongLoss:
    """One song's loss with the adapter, and with the base alone."""

    loss: float
    base_loss: float
    difference: float


@dataclass(frozen=True)
class Side:
    """Held-out songs, or training songs: the mean over songs, its parts, and how sure it is.

    ``unit`` says what the intervals are over: other ``songs`` like these, or with fewer than four
    songs only other ``passages`` of these very songs; ``count`` is how many of them there are.
    """

    loss: float
    base_loss: float
    difference: Estimate
    bands: dict[str, Band]
    songs: dict[str, SongLoss]
    unit: str
    count: int

    @property
    def relative(self) -> Estimate:
        """The difference as a share of the base's loss."""
        return self.difference.over(self.base_loss)

    def differences(self) -> dict[str, float]:
        """The difference of every song."""
        return {song: losses.difference for song, losses in self.songs.items()}


@dataclass(frozen=True)
class Evidence:
    """A checkpoint beside the base. ``how`` says what was held out, ``loss`` which loss it is;
    ``held_out`` is None if nothing was."""

    checkpoint: str
    epoch: int | None
    step: int | None
    strength: float
    loss: str
    how: str
    held_out: Side | None
    training: Side
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json``; each side has ``relative`` beside the difference."""
        values = plain(self)
        for name, side in (("held_out", self.held_out), ("training", self.training)):
            if side is not None:
                values[name]["relative"] = plain(side.relative)
        return values


def evidence_of(
    run: Path,
    material: Material,
    checkpoints: Sequence[Path] | None = None,
    *,
    strength: float = 1.0,
) -> Iterator[Evidence]:
    """The evidence of every checkpoint of a run, oldest first; the base is measured once.

    ``material`` is what :func:`acestep.training.material.open_material` gives for the run. Raises
    ``RunError`` if the run holds no checkpoint, and ``AdapterError`` if one cannot be read.
    """
    if checkpoints is None:
        choose_checkpoint(run, None)
        checkpoints = run_checkpoints(run)
    base = measure_base(material)
    for checkpoint in checkpoints:
        yield evidence(material, read_adapter(checkpoint), base, strength=strength)


def evaluation(step: int, epoch: int, measured: Measured, base: Measured) -> Evaluation:
    """What a run says of the adapter as it is now, beside its base."""
    songs, base_songs = losses_by_song(measured.held_out), losses_by_song(base.held_out)
    everywhere = range(len(base.times))
    gap = difference(measured.held_out, base.held_out, everywhere)
    training = losses_by_song(measured.training), losses_by_song(base.training)
    return Evaluation(
        step,
        epoch,
        mean(songs),
        mean(base_songs),
        songs,
        base_songs,
        band_losses(measured.held_out, base.times),
        band_losses(base.held_out, base.times),
        gap.low,
        gap.high,
        *(mean(losses) if losses else None for losses in training),
    )


def measure_base(material: Material) -> Measured:
    """The losses of the base alone, whatever is mounted on it."""
    with disabled(material.transformer):
        return _measure(material)


def evidence(
    material: Material, adapter: Adapter, base: Measured, *, strength: float = 1.0
) -> Evidence:
    """The evidence of one adapter. Raises ``AdapterError`` if it does not fit the base."""
    with alone(material.transformer, adapter, strength):
        measured = _measure(material)
    held = side(measured.held_out, base.held_out, base.times) if base.held_out else None
    training = side(measured.training, base.training, base.times)
    return Evidence(
        adapter.source.name,
        _whole(adapter.card.get("epoch")),
        _whole(adapter.card.get("step")),
        strength,
        name_of_loss(material.guidance),
        material.split.how,
        held,
        training,
        tuple(_notes(material, held)),
    )


def side(songs: Songs, base: Songs, times: Sequence[float]) -> Side:
    """Losses of the same songs with and without the adapter, put side by side."""
    everywhere = range(len(times))
    bands = {}
    for name, (begin, end) in BANDS.items():
        places = places_in(times, begin, end)
        if places:
            bands[name] = Band(
                begin,
                end,
                len(places),
                _mean(songs, places),
                _mean(base, places),
                difference(songs, base, places),
            )
    each = {
        song: SongLoss(losses.loss, base[song].loss, losses.loss - base[song].loss)
        for song, losses in songs.items()
    }
    few = len(songs) < FEW
    return Side(
        _mean(songs, everywhere),
        _mean(base, everywhere),
        difference(songs, base, everywhere),
        bands,
        each,
        "passages" if few else "songs",
        sum(len(losses.passages) for losses in songs.values()) if few else len(songs),
    )


def difference(songs: Songs, base: Songs, places: Sequence[int]) -> Estimate:
    """The mean over songs of the difference to the base at some of the times, with its interval:
    over songs, or with fewer than four of them over their passages."""
    by_song = [_loss_at(songs[song], places) - _loss_at(base[song], places) for song in songs]
    if len(songs) >= FEW:
        return bootstrap_mean([by_song])
    passages = [
        (songs[song].passages.double() - base[song].passages.double())[:, places].mean(1).numpy()
        for song in songs
    ]
    around = bootstrap_mean(passages)
    return Estimate(float(np.mean(by_song)), around.low, around.high)


def places_in(times: Sequence[float], begin: float, end: float) -> list[int]:
    """Which of the times lie in a band; all noise, 1, belongs to the highest."""
    last = end + 1 if end == 1 else end
    return [
        place for place, time in enumerate(times) if begin <= time + _ROUNDING < last + _ROUNDING
    ]


def band_losses(songs: Songs, times: Sequence[float]) -> dict[str, float]:
    """The mean loss over songs in every band that holds one of the times."""
    placed = {name: places_in(times, *edges) for name, edges in BANDS.items()}
    return {name: _mean(songs, places) for name, places in placed.items() if places}


def name_of_loss(guidance: float) -> str:
    """Which loss it is, in words."""
    return f"flow loss with guidance {guidance:g} taught" if guidance > 1 else "plain flow loss"


def _measure(material: Material) -> Measured:
    return measure(
        material.learner(),
        material.split,
        material.law,
        material.seed,
        material.device,
        everything=True,
    )


def _notes(material: Material, held: Side | None) -> Iterator[str]:
    if held is None:
        yield "nothing was held out: the losses are of the songs that it was trained on"
    elif held.unit == "passages":
        songs = "1 song" if len(held.songs) == 1 else f"{len(held.songs)} songs"
        yield (
            f"only {songs} held out: the intervals are over {held.count} passages of it and say "
            "nothing about other songs"
        )
    elif {clip.name for clip in material.split.held_out} & {
        clip.name for clip in material.split.train
    }:
        yield (
            f"{len(held.songs)} songs, of each {material.split.how.partition(' of ')[0]} held out: "
            "the rest of each song was trained on, so a new song would gain less"
        )
    if material.guidance > 1:
        yield (
            f"measured by the loss that was trained, with guidance {material.guidance:g} taught; "
            "a part of what is gained may be that guidance"
        )


def _loss_at(losses: SongLosses, places: Sequence[int]) -> float:
    return losses.means.double()[:, places].mean().item()


def _mean(songs: Songs, places: Sequence[int]) -> float:
    return float(np.mean([_loss_at(losses, places) for losses in songs.values()]))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
