"""From a song's audio to its labels: tempo, key and metre, words, a draft of a caption.

What is found is kept as evidence beside the labels (value, confidence, runner-up, source), and a
label is only set where its source may (:meth:`acestep.data.song.Song.trusts`). Tempo, key and metre
come from the signal, text from a model where one was asked for; where the two disagree, both are
shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acestep.config import LabelConfig
from acestep.data.audio import RATE, read_audio
from acestep.data.fields import FIELDS
from acestep.data.labels import METAS, has_words
from acestep.data.lyrics import normalize_sections
from acestep.data.sidecars import Labels, fill
from acestep.data.song import Song
from acestep.errors import LabelError
from acestep.events import Event, Notice, Skipped
from acestep.labellers.described import Described
from acestep.labellers.draft import Measured, SongFacts, draft_caption
from acestep.labellers.estimate import Estimate

LONGEST = 600.0  # s of a song that are listened to
SOUND = "sound"  # the evidence that is about no label
# Who captions says the first, who writes lyrics down the second
STYLE, SUNG = ("caption", "genre"), ("lyrics", "language", "instrumental")
_SOUND = ("loudness", "true_peak", "loudness_range", "brightness", "onset_density", "percussive")
_READ = {item.name: item.read for item in FIELDS}


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
        audio = read_audio(file, seconds=LONGEST) if wanted else np.zeros((2, 0), np.float32)
        if "metas" in wanted:
            self._analyse(song, audio)
        if self.config.analysis and not self.config.skip_metas:
            yield from _metas(song)
        seconds = song.duration or audio.shape[1] / RATE
        both = self.lyricist is self.captioner
        if "caption" in wanted:
            labels = STYLE + SUNG if both and "lyrics" in wanted else STYLE
            yield from self._words(
                song, lambda: self.captioner.describe(audio, seconds), self.captioner.name, labels
            )
        if "lyrics" in wanted and not ("caption" in wanted and both):
            yield from self._words(
                song, lambda: self.lyricist.transcribe(audio), self.lyricist.name, SUNG
            )
        if self.config.captioner != "none":
            _draft(song, file)

    def _wanted(self, song: Song) -> set[str]:
        """What is to be listened for; what was found is not looked for again."""
        config, again = self.config, self.config.overwritten()
        wanted = {"metas"} if config.analysis and not self._was_heard(song) else set()
        if self.captioner and ("caption" in again or song.trusts("caption", "draft")):
            wanted.add("caption")
        known = has_words(song.lyrics) or song.instrumental
        if self.lyricist and ("lyrics" in again or not known):
            wanted.add("lyrics")
        return wanted

    def _was_heard(self, song: Song) -> bool:
        """Whether the evidence is there, and made as it is asked for now."""
        sound = song.evidence.get(SOUND)
        if sound is None or any(_measured(song, name) is None for name in METAS):
            return False
        asked = bool(self.config.bpm_range or self.tracker or self.config.overwritten() & {*METAS})
        return not asked or {name: sound.get(name) for name in self._how()} == self._how()

    def _how(self) -> dict[str, str | None]:
        """What the user said on how to listen; kept, so that a stopped run need not start anew."""
        tempi = self.config.tempi()
        return {
            "bpm_range": f"{tempi[0]:g}-{tempi[1]:g}" if tempi else None,
            "beats": self.config.beats if self.tracker else None,
        }

    def _analyse(self, song: Song, audio: np.ndarray) -> None:
        """Keep as evidence what the sound says."""
        from acestep.labellers.analysis import analyse

        beats = self.tracker(audio, RATE) if self.tracker else None
        analysis = analyse(audio, RATE, bpm_range=self.config.tempi(), beats=beats)
        found = {name: vars(analysis)[name] for name in _SOUND}
        song.evidence[SOUND] = {
            name: value if value is None else round(float(value), 3)
            for name, value in found.items()
        } | {name: said for name, said in self._how().items() if said}
        for name in METAS:
            beside = song.evidence.get(name, {})  # what a model says of it
            song.evidence[name] = beside | vars(analysis)[name].as_dict()

    def _words(
        self, song: Song, ask: Callable[[], Described], name: str, labels: tuple[str, ...]
    ) -> Iterator[Event]:
        """Ask a model for some labels; of the others it may say what it likes."""
        try:
            told = ask()
        except LabelError as error:
            yield Skipped(song.filename, str(error), error.hint)
            return
        for sentence in told.notes:
            yield Notice(f"{name}: {sentence}", "info", song.filename)
        if told.lyrics and has_words(told.lyrics) and self.lyricist is None:
            yield Notice(
                f"{name} wrote lyrics too: --lyrics {name} takes them", "info", song.filename
            )
        found: Labels = {
            label: (vars(told)[label], "lm")
            for label in labels
            if vars(told)[label] not in (None, "", "unknown")
        }
        for label in fill(song, found):
            song.evidence[label] = {"value": vars(told)[label], "source": name}
            if label == "language" and told.certainty is not None:
                song.evidence[label]["confidence"] = round(told.certainty, 3)
        for label in METAS:
            yield from _beside(song, label, vars(told)[label], name)


def _metas(song: Song) -> Iterator[Notice]:
    """Tempo, key and metre of the evidence as labels, and what is not sure about them."""
    from acestep.labellers.analysis import CONFIDENT

    found = {name: estimate for name in METAS if (estimate := _measured(song, name))}
    for name, estimate in found.items():
        if estimate.value is not None:
            if song.source(name) == "lm":  # a model's stood in while nobody had listened
                del song.sources[name]
            fill(song, {name: (estimate.value, "analysis")})
            yield from _doubt(song, name, estimate, CONFIDENT)
    missing = [METAS[name] for name, estimate in found.items() if estimate.value is None]
    if missing:
        yield Notice(f"nothing to hear of its {', '.join(missing)}", "info", song.filename)


def _measured(song: Song, name: str) -> Estimate | None:
    """What the evidence says of a label; None where there is none, or none that makes sense."""
    kept = song.evidence.get(name, {})
    try:
        value = kept["value"] if kept["value"] is None else _READ[name](kept["value"])
        return Estimate(value, float(kept["confidence"]), kept.get("runner_up"), kept["source"])
    except (KeyError, TypeError, ValueError):
        return None


def _doubt(song: Song, name: str, estimate: Estimate, confident: float) -> Iterator[Notice]:
    """What the user should know of a value that was measured: that it is not sure, or differs."""
    what = METAS[name]
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
            f"its {METAS[name]} stays {vars(song)[name]}; {who} says {said}", "info", song.filename
        )


def same(name: str, one: Any, other: Any) -> bool:
    """Whether two labels mean the same: tempi within 4 %, all others to the letter."""
    if name == "bpm" and one and other:
        return abs(one - other) <= 0.04 * max(one, other)
    return bool(one == other)


def read_lyrics(song: Song) -> Iterator[Notice]:
    """Lyrics with the section marks the model knows, and their language."""
    if not has_words(song.lyrics) or song.instrumental:
        return
    marked = normalize_sections(song.lyrics)
    if marked != song.lyrics:
        song.lyrics = marked
        yield Notice("its section marks were put as the model knows them", "info", song.filename)
    if song.trusts("language", "analysis"):  # also where it was read off lyrics that have changed
        from acestep.labellers.language import language_of

        estimate = language_of(song.lyrics)
        song.evidence["language"] = estimate.as_dict()
        if estimate.value != "unknown" or song.source("language"):
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
