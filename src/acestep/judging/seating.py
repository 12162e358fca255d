"""Seat the judges: let them hear the songs, the base and another style, once a run."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from acestep.data.audio import RATE
from acestep.judging import latents
from acestep.judging.alike import learn_folder
from acestep.judging.copies import plant_copy, planted_songs
from acestep.judging.cutoff import CutOff, common_cut_off
from acestep.judging.kept import Kept
from acestep.judging.landmarks import find_landmarks
from acestep.judging.loops import loop_excerpts
from acestep.judging.others import STYLES, read_other, write_other
from acestep.judging.panel import Ears, Panel, Take, hear_songs, looked_for
from acestep.judging.songs import Excerpt, TaughtSong, cut_excerpts, song_audio
from acestep.judging.style import learn_style
from acestep.judging.whitening import Reference, gather
from acestep.model.parts import Parts


@dataclass(frozen=True)
class Songs:
    """What the judges hear beside the clips: ``songs`` of the style, all ``taught`` songs, and
    where the songs of another style lie, if the user named a place."""

    songs: Sequence[TaughtSong] = field(repr=False)
    taught: Sequence[TaughtSong] = field(repr=False)
    other: Path | None
    seconds: float


@dataclass(frozen=True)
class Group:
    """Excerpts as the judges know them: in sound, in latents, and where their spectra end."""

    sound: Reference = field(repr=False)
    latents: Reference = field(repr=False)
    cut_offs: tuple[float, ...]


def seat(
    heard: Songs, parts: Parts, ears: Ears, base: Take, again: Take
) -> Generator[str, None, Panel]:
    """Yield what is being heard, and return the panel.

    ``base`` and ``again`` are the base's clips, the second with other seeds.
    """
    own = yield from hear_group(cut_excerpts(heard.songs, heard.seconds), parts, ears)
    yield "another style"
    style_name, excerpts = _another(heard, parts, ears.kept, own)
    other = yield from hear_group(excerpts, parts, ears)
    yield "style"
    style = learn_style(own.sound, base.rows("sound"), again=again.rows("sound"), other=other.sound)
    felt = learn_style(
        own.latents,
        base.rows("latents"),
        groups=latents.groups(parts.channels),
        aspects={},
        again=again.rows("latents"),
        other=other.latents,
    )
    named, marks, loops = _named(heard.taught), {}, []
    for name, song in named.items():
        yield f"copies: {name}"
        audio = song_audio(parts, song)
        marks[name] = find_landmarks(audio, RATE)
        loops += loop_excerpts(audio, RATE, heard.seconds)
    folder = learn_folder(marks, heard.seconds)
    planted = []
    for name in planted_songs(folder):
        yield f"a planted copy of {name}"
        planted.append(plant_copy(name, song_audio(parts, named[name]), RATE, folder))
    return Panel(
        style,
        felt,
        folder,
        tuple(planted),
        tuple(loops),
        base,
        looked_for(base, folder),
        style_name,
    )


def _named(songs: Sequence[TaughtSong]) -> dict[str, TaughtSong]:
    """Songs by name; where two have the same, by name and id."""
    names = [song.name for song in songs]
    return {
        song.name if names.count(song.name) == 1 else f"{song.name} ({song.id})": song
        for song in songs
    }


def hear_group(
    excerpts: Sequence[Excerpt], parts: Parts, ears: Ears
) -> Generator[str, None, Group]:
    """Yield whose song is heard, and return what was."""
    sound, felt, cut_offs = [], [], []
    for song, in_sound, in_latents, cut_off in hear_songs(excerpts, parts, ears):
        sound.append((song, in_sound))
        felt.append((song, in_latents))
        cut_offs.append(cut_off)
        yield "songs"
    return Group(gather(sound), gather(felt), tuple(cut_offs))


def cut_off(songs: Group, takes: Sequence[Take]) -> CutOff:
    """Whether songs and clips end at the same frequency, and where to cut both if not."""
    named = {take.clips[0].order.voice.label: take.cut_offs for take in takes}
    return common_cut_off({"songs": songs.cut_offs, **named})


def _another(heard: Songs, parts: Parts, kept: Kept, own: Group) -> tuple[str, list[Excerpt]]:
    """Excerpts of another style: the one that was named, else of the written ones the farther."""
    if heard.other is not None:
        return read_other(heard.other, heard.seconds)
    written = {style: list(_written(parts, kept, style, heard.seconds)) for style in STYLES}
    middle = np.nanmean(own.latents.clips.values, axis=0)
    spread = np.nanstd(own.latents.clips.values, axis=0) + 1e-6

    def far(style: str) -> float:
        rows = [latents.feel(excerpt.latents.numpy()) for excerpt in written[style]]
        return float(np.mean(np.abs((np.mean(rows, axis=0) - middle) / spread)))

    style = max(STYLES, key=far)
    return f"{style}, as the program writes it", written[style]


def _written(parts: Parts, kept: Kept, style: str, seconds: float) -> list[Excerpt]:
    import torch

    question = ["written", parts.model.fingerprint, style, seconds]
    found = kept.get(
        question,
        lambda: {e.song: e.latents.numpy() for e in write_other(parts, style, seconds)},
    )
    return [Excerpt(song, 0.0, torch.from_numpy(array)) for song, array in found.items()]
