"""The judges of an evaluation: they hear the songs once, then one set of clips after another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from acestep.data.audio import RATE
from acestep.judging import features, latents
from acestep.judging.alike import Folder
from acestep.judging.copies import Copying, Looked, Planted, look_for_copies, repeats_across
from acestep.judging.diversity import Diversity, judge_diversity
from acestep.judging.kept import Kept, array_digest
from acestep.judging.landmarks import Landmarks, find_landmarks
from acestep.judging.loops import Loop, Loops, judge_loops, measure_loop
from acestep.judging.making import Clip
from acestep.judging.nuisances import copied_rows, halves, nuisance_copies
from acestep.judging.songs import Excerpt
from acestep.judging.style import Style, StyleJudge
from acestep.judging.whitening import Clips, Heard
from acestep.model.parts import Parts

LISTENING = 1  # raise it when features change: what was kept is measured again
SILENT = 1e-3  # rms of half a second: -60 dB
FULL_SCALE = 0.999
COPY = "copy: "


@dataclass(frozen=True)
class Take:
    """What was heard in the clips of one voice: everything that needs no other clip.

    ``sound`` ``[m, 241]`` and ``latents`` ``[m, 3C]`` are features, a row a clip.
    """

    clips: tuple[Clip, ...]
    sound: np.ndarray = field(repr=False)
    latents: np.ndarray = field(repr=False)
    landmarks: tuple[Landmarks, ...] = field(repr=False)
    loops: tuple[Loop, ...] = field(repr=False)
    cut_offs: tuple[float, ...]
    silent: float
    clipped: float

    @property
    def labels(self) -> tuple[str, ...]:
        """What people call each clip: who plays which prompt."""
        return tuple(f"{clip.order.voice.label}, {clip.order.trial.id}" for clip in self.clips)

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' prompts: the same names in two takes are judged as pairs."""
        return tuple(clip.order.trial.id for clip in self.clips)

    def rows(self, kind: str) -> Clips:
        """The features that a judge of ``kind`` (``sound`` or ``latents``) reads."""
        return Clips(self.sound if kind == "sound" else self.latents, self.names)

    @property
    def broken(self) -> str:
        """What is wrong with the sound itself, or nothing."""
        if self.silent > 0.5:
            return f"{100 * self.silent:.0f} % of it is silence"
        if not np.isfinite(self.latents).all():
            return "some of its clips are no finite sound"
        return ""


@dataclass(frozen=True)
class Ears:
    """How everybody listens: what was heard is kept; ``limit`` is a low-pass in Hz, if any."""

    kept: Kept
    limit: float | None = None


def listen(clips: Sequence[Clip], ears: Ears) -> Take:
    """Hear clips that are made. Raises ``AudioError`` for one that was damaged since."""
    sound, felt, marks, loops, faults = [], [], [], [], []
    for clip in clips:
        audio = clip.audio()
        question = [LISTENING, "clip", clip.id, ears.limit]
        heard = ears.kept.get(question, partial(_measured, audio, ears.limit))
        sound.append(heard["sound"])
        faults.append(heard["faults"])
        felt.append(latents.feel(clip.latents()))
        marks.append(find_landmarks(audio, RATE))
        loops.append(measure_loop(audio, RATE, marks[-1]))
    silent, clipped, cut_offs = np.array(faults).T
    return Take(
        tuple(clips),
        np.stack(sound),
        np.stack(felt),
        tuple(marks),
        tuple(loops),
        tuple(map(float, cut_offs)),
        float(silent.mean()),
        float(clipped.mean()),
    )


def hear_songs(
    excerpts: Sequence[Excerpt], parts: Parts, ears: Ears
) -> Iterator[tuple[str, Heard, Heard, float]]:
    """(song, heard in sound, heard in latents, cut-off in Hz) of each excerpt, one at a time.

    Two excerpts of a song are heard in disguises too, from which the judges learn what is no
    matter of style.
    """
    copied = set(copied_rows([excerpt.song for excerpt in excerpts]))
    for place, excerpt in enumerate(excerpts):
        what = array_digest(excerpt.latents.numpy())
        again = place in copied
        heard = ears.kept.get(
            [LISTENING, "song", what, parts.model.fingerprint, ears.limit, again],
            partial(_song_measured, excerpt, parts, ears.limit, again),
        )
        yield excerpt.song, _heard(heard), _felt(excerpt), float(heard["cut_off"])


def _measured(audio: np.ndarray, limit: float | None) -> dict[str, np.ndarray]:
    faults = [silent_share(audio), clipped_share(audio), features.cut_off(audio, RATE)]
    return {"sound": features.hear(audio, RATE, limit=limit), "faults": np.array(faults)}


def _song_measured(
    excerpt: Excerpt, parts: Parts, limit: float | None, disguised: bool
) -> dict[str, np.ndarray]:
    """Features of an excerpt, of its halves, and of its disguises where they are wanted."""
    audio = excerpt.audio(parts)

    def hear(sound: np.ndarray) -> np.ndarray:
        return features.hear(sound, RATE, limit=limit)

    found = {"row": hear(audio), "halves": np.stack([hear(half) for half in halves(audio)])}
    if disguised:
        copies = nuisance_copies(audio, RATE)
        found |= {f"{COPY}{kind}": hear(copy) for kind, copy in copies.items()}
    return {**found, "cut_off": np.array(features.cut_off(audio, RATE))}


def _heard(found: Mapping[str, np.ndarray]) -> Heard:
    copies = {name.removeprefix(COPY): row for name, row in found.items() if name.startswith(COPY)}
    return Heard(found["row"], copies, list(found["halves"]))


def _felt(excerpt: Excerpt) -> Heard:
    """The same in latents, without disguises: they would have to be encoded anew."""
    frames = excerpt.latents.numpy()
    parts = np.array_split(frames, 2)
    return Heard(latents.feel(frames), {}, [latents.feel(part) for part in parts])


@dataclass(frozen=True)
class Panel:
    """Judges that know the songs and the base. ``other`` names the other style, the control."""

    style: StyleJudge
    latents: StyleJudge
    folder: Folder
    planted: tuple[Planted, ...]
    song_loops: tuple[Loop, ...]
    base: Take
    base_looked: tuple[Looked, ...]
    other: str = ""

    def verdicts(self, take: Take, compared: int) -> "Verdicts":
        """What each judge says of a take, among ``compared`` that are looked at."""
        looked = self.base_looked if take is self.base else looked_for(take, self.folder)
        marks = dict(zip(take.labels, take.landmarks, strict=True))
        loops = dict(zip(take.labels, take.loops, strict=True))
        songs = self.style.reference.clips
        return Verdicts(
            take,
            self.style.judge(take.rows("sound"), compared=compared),
            self.latents.judge(take.rows("latents"), compared=compared),
            Copying(self.folder, looked, self.planted, self.base_looked),
            judge_loops(loops, self.song_loops),
            judge_diversity(
                self.style.embed(take.sound),
                self.style.embed(songs.values),
                songs.names,
                None if take is self.base else self.style.embed(self.base.sound),
                repeats_across(marks, self.folder),
            ),
        )


@dataclass(frozen=True)
class Verdicts:
    """What the judges say of one take."""

    take: Take
    style: Style
    latents: Style
    copying: Copying
    loops: Loops
    diversity: Diversity

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ids = dict(zip(self.take.labels, (clip.id for clip in self.take.clips), strict=True))
        copies, loops = self.copying.as_dict(), self.loops.as_dict()
        for row in (*copies["clips"], *loops["clips"]):
            row["label"], row["clip"] = row["clip"], ids[row["clip"]]
        return {
            "clips": len(self.take.clips),
            "style": self.style.as_dict(),
            "style_latents": self.latents.as_dict(),
            "copies": copies,
            "loops": loops,
            "diversity": self.diversity.as_dict(),
            "sound": {"silent": self.take.silent, "clipped": self.take.clipped},
        }


def looked_for(take: Take, folder: Folder) -> tuple[Looked, ...]:
    """Every clip of a take held against every song."""
    pairs = zip(take.labels, take.landmarks, strict=True)
    return tuple(look_for_copies(label, marks, folder) for label, marks in pairs)


def silent_share(audio: np.ndarray) -> float:
    """Share of the half seconds of ``[2, n]`` that are quieter than -60 dB of full scale."""
    count = max(1, audio.shape[1] // (RATE // 2))
    parts = np.array_split(audio, count, axis=1)
    return float(np.mean([np.sqrt(np.mean(np.square(part))) < SILENT for part in parts]))


def clipped_share(audio: np.ndarray) -> float:
    """Share of the samples of ``[2, n]`` at full scale whose neighbour is there too: flat tops."""
    full = np.abs(audio) >= FULL_SCALE
    return float(np.mean(full[:, 1:] & full[:, :-1]))
