"""From a song's audio to its labels: tempo, key and metre, words, a draft of a caption.

What is found is kept as evidence beside the labels (value, confidence, runner-up, source), and a
label is only set where its source may (:meth:`acestep.data.song.Song.trusts`). Tempo, key and metre
come from the signal, text from a model where one was asked for; where the two disagree, both are
shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acestep.config import LabelConfig
from acestep.data.audio import RATE, read_audio
from acestep.data.labels import has_words
from acestep.data.lyrics import normalize_sections
from acestep.data.sidecars import METAS, Labels, fill
from acestep.data.song import Song
from acestep.errors import LabelError
from acestep.events import Event, Notice, Skipped
from acestep.labellers.described import Described
from acestep.labellers.draft import Measured, SongFacts, draft_caption
from acestep.labellers.estimate import Estimate

LONGEST = 600.0  # s of a song that are listened to
SOUND = "sound"  # the evidence that is about no label
TEXTS = ("caption", "genre", "lyrics", "language", "instrumental")
NAMES = {"bpm": "tempo", "keyscale": "key", "timesignature": "time signature"}
_SOUND = ("loudness", "true_peak", "loudness_range", "brightness", "onset_density", "percussive")


@dataclass(frozen=True)
class Listener:
    """Whoever listens to the songs of a dataset, opened once."""

    config: LabelConfig
    tracker: Any = None
    captioner: Any = None
    lyricist: Any = None

    @classmethod
    def open(cls, config: LabelConfig) -> "Listener":
        """Load the models that were asked for. Raises ``ModelError`` where one is missing."""
        tracker: Any = None
        captioner: Any = None
        lyricist: Any = None
        if config.beats_checkpoint is not None:
            from acestep.labellers.beat_this import BeatTracker

            tracker = BeatTracker(config.beats_checkpoint)
        if config.captioner not in ("draft", "none") or config.lyrics != "none":
            from acestep.labellers.text_models import open_captioner, open_lyricist
            from acestep.model.base import find_model

            shared: dict[str, Any] = {
                "model": find_model(config.model), "device": config.device, "seed": config.seed,
            }  # fmt: skip
            if config.captioner == "music-lm" or config.captioner == "omni":
                captioner = open_captioner(config.captioner, config.captioner_model, **shared)
            one = config.captioner == config.lyrics and config.lyrics_model is None
            if one:
                lyricist = captioner
            elif config.lyrics != "none":
                lyricist = open_lyricist(config.lyrics, config.lyrics_model, **shared)
        return cls(config, tracker, captioner, lyricist)

    def label(self, song: Song, file: Path) -> Iterator[Event]:
        """Fill in what is missing of one song. Raises ``AudioError`` if it cannot be read."""
        wanted = self._wanted(song)
        if wanted:
            audio = read_audio(file, seconds=LONGEST)
            if "metas" in wanted:
                yield from self._metas(song, audio)
            if "caption" in wanted:
                yield from self._words(song, audio, self.captioner.describe, self.captioner.name)
            if "lyrics" in wanted and not ("caption" in wanted and self.lyricist is self.captioner):
                yield from self._words(song, audio, self.lyricist.transcribe, self.lyricist.name)
        yield from _sung(song)
        if self.config.captioner != "none":
            _draft(song, file)

    def _wanted(self, song: Song) -> set[str]:
        """What this listener could still find of a song; what is there is not looked for again."""
        config, again = self.config, self.config.overwritten()
        fresh = bool(config.bpm_range or self.tracker or again & set(METAS))
        wanted = {"metas"} if config.analysis and (fresh or SOUND not in song.evidence) else set()
        if self.captioner and ("caption" in again or song.trusts("caption", "draft")):
            wanted.add("caption")
        known = has_words(song.lyrics) or song.source("instrumental") == "person"
        if self.lyricist and ("lyrics" in again or not known):
            wanted.add("lyrics")
        return wanted

    def _metas(self, song: Song, audio: np.ndarray) -> Iterator[Event]:
        from acestep.labellers.analysis import CONFIDENT, analyse

        beats = self.tracker(audio, RATE) if self.tracker else None
        analysis = analyse(audio, RATE, bpm_range=self.config.tempi(), beats=beats)
        found = {name: vars(analysis)[name] for name in _SOUND}
        song.evidence[SOUND] = {
            name: value if value is None else round(float(value), 3)
            for name, value in found.items()
        }
        estimates: dict[str, Estimate] = {name: vars(analysis)[name] for name in METAS}
        song.evidence |= {name: estimate.as_dict() for name, estimate in estimates.items()}
        if self.config.skip_metas:
            return
        for name, estimate in estimates.items():
            if estimate.value is not None:
                fill(song, {name: (estimate.value, "analysis")})
                yield from _doubt(song, name, estimate, CONFIDENT)
        missing = [NAMES[name] for name in METAS if estimates[name].value is None]
        if missing:
            yield Notice(f"nothing to hear of its {', '.join(missing)}", "info", song.filename)

    def _words(self, song: Song, audio: np.ndarray, ask: Any, name: str) -> Iterator[Event]:
        try:
            seconds = song.duration or audio.shape[1] / RATE
            told: Described = ask(audio, seconds) if ask.__name__ == "describe" else ask(audio)
        except LabelError as error:
            yield Skipped(song.filename, str(error), error.hint)
            return
        for sentence in told.notes:
            yield Notice(f"{name}: {sentence}", "info", song.filename)
        found: Labels = {
            label: (vars(told)[label], "lm")
            for label in TEXTS
            if vars(told)[label] not in (None, "", "unknown")
        }
        if has_words(song.lyrics) and "lyrics" not in self.config.overwritten():
            found = {key: value for key, value in found.items() if key in ("caption", "genre")}
        for label in fill(song, found):
            certainty = told.certainty if label == "language" and told.certainty else 0.5
            song.evidence[label] = Estimate(vars(told)[label], certainty, source=name).as_dict()
        for label in METAS:
            yield from _beside(song, label, vars(told)[label], name)


def _doubt(song: Song, name: str, estimate: Estimate, confident: float) -> Iterator[Notice]:
    """What the user should know of a value that was measured: that it is not sure, or differs."""
    what = NAMES[name]
    other = f", or {estimate.runner_up}" if estimate.runner_up is not None else ""
    sure = f"(confidence {estimate.confidence:.2f})"
    if song.source(name) == "analysis" and estimate.confidence < confident:
        yield Notice(f"its {what} is perhaps {estimate.value}{other} {sure}", about=song.filename)
    elif song.source(name) != "analysis" and not same(name, vars(song)[name], estimate.value):
        yield Notice(
            f"its {what} stays {vars(song)[name]}; the sound says {estimate.value}{other} {sure}",
            "info",
            song.filename,
        )


def _beside(song: Song, name: str, said: Any, who: str) -> Iterator[Notice]:
    """Where a model says another tempo, key or metre than the label, both are kept and shown."""
    if said is None:
        return
    song.evidence.setdefault(name, {})[who] = said
    if vars(song)[name] is None:
        fill(song, {name: (said, "lm")})
    elif not same(name, vars(song)[name], said):
        yield Notice(
            f"its {NAMES[name]} stays {vars(song)[name]}; {who} says {said}", "info", song.filename
        )


def same(name: str, one: Any, other: Any) -> bool:
    """Whether two labels mean the same: tempi within 4 %, all others to the letter."""
    if name == "bpm" and one and other:
        return abs(one - other) <= 0.04 * max(one, other)
    return bool(one == other)


def _sung(song: Song) -> Iterator[Notice]:
    """Lyrics with the section marks the model knows, and their language."""
    if not has_words(song.lyrics) or song.instrumental:
        return
    marked = normalize_sections(song.lyrics)
    if marked != song.lyrics:
        song.lyrics = marked
        yield Notice("its section marks were put as the model knows them", "info", song.filename)
    if song.language == "unknown" and song.trusts("language", "analysis"):
        from acestep.labellers.language import language_of

        estimate = language_of(song.lyrics)
        song.evidence["language"] = estimate.as_dict()
        if estimate.value != "unknown":
            fill(song, {"language": (estimate.value, "analysis")})


def _draft(song: Song, file: Path) -> None:
    """A caption of what is known, where nobody has written one."""
    if song.caption.strip() and song.source("caption") != "draft":
        return
    sound = song.evidence.get(SOUND, {})
    sung = has_words(song.lyrics) and not song.instrumental
    caption = draft_caption(
        Measured(
            bpm=song.bpm,
            keyscale=song.keyscale,
            brightness=sound.get("brightness"),
            density=sound.get("onset_density"),
            loudness=sound.get("loudness"),
            dynamics=sound.get("loudness_range"),
        ),
        SongFacts(
            genre=song.genre,
            title=song.title,
            folder=file.absolute().parent.name,
            instrumental=True if song.instrumental else False if sung else None,
        ),
    )
    if caption:
        fill(song, {"caption": (caption, "draft")})
