"""The page of a blind listening test: two players, three keys to vote, the result at the end.

Clips are brought to one loudness (ITU-R BS.1770), since of two the louder one is preferred.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from acestep.data.audio import RATE, read_audio
from acestep.errors import AudioError
from acestep.judging.layout import Report
from acestep.judging.media import data_uri, encode
from acestep.judging.players import asset
from acestep.labellers.loudness import measure_loudness, true_peak
from acestep.pages import head

QUESTION = "Which of the two sounds more like your songs?"
LEVEL, HEADROOM = -18.0, -1.0  # LUFS that clips are brought to; dBTP that none exceeds
KBIT = 112.0
REFERENCES, REFERENCE_SECONDS = 3, 12.0  # songs to compare with, and how much of each


@dataclass(frozen=True)
class Pair:
    """Two clips of one prompt and seed; ``a`` and ``b`` are files, one of them the base's."""

    pair: str
    a: str
    b: str
    adapter: str  # "a" or "b"


@dataclass(frozen=True)
class Test:
    """One blind test: which checkpoint at which strength, in which order."""

    checkpoint: str
    strength: float
    pairs: tuple[Pair, ...]

    @property
    def digest(self) -> str:
        """What votes name the test by."""
        content = json.dumps([self.checkpoint, self.strength, *map(asdict, self.pairs)])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def masked(test: Test, pair: Pair) -> int:
    """The side of the adapter as the page holds it: 1 for "b", exclusive-or a hash's bit.

    The hash is FNV-1a with 32 bits over ``digest:pair``, the bit its 17th from below.
    """
    value = 2166136261
    for byte in f"{test.digest}:{pair.pair}".encode():
        value = (value ^ byte) * 16777619 % 2**32
    return (pair.adapter == "b") ^ (value >> 16 & 1)


def ab_page(folder: Path, report: Report, test: Test) -> str:
    """The whole page. Raises ``AudioError`` for a clip that cannot be read."""
    clips = {file: read_audio(folder / file) for pair in test.pairs for file in (pair.a, pair.b)}
    songs = _references(report)
    level = common_level([*clips.values(), *(audio for _, audio in songs)])
    prompts = {clip.file: clip.prompt for clip in report.clips}
    captions = {prompt.id: prompt.caption for prompt in report.prompts}
    content: dict[str, Any] = {
        "test": test.digest,
        "run": report.about.run,
        "question": QUESTION,
        "checkpoint": test.checkpoint,
        "strength": test.strength,
        "songs": [{"name": name, "audio": _uri(audio, level)} for name, audio in songs],
        "pairs": [
            {
                "pair": pair.pair,
                "caption": captions.get(prompts[pair.a], ""),
                "a": _uri(clips[pair.a], level),
                "b": _uri(clips[pair.b], level),
                "key": masked(test, pair),
            }
            for pair in test.pairs
        ],
    }
    return "\n".join(_lines(report.about.run, content)) + "\n"


def common_level(clips: list[np.ndarray]) -> float:
    """The loudness in LUFS that all clips can be brought to without one exceeding −1 dBTP."""
    level = LEVEL
    for audio in clips:
        loudness, peak = measure_loudness(audio, RATE).integrated, true_peak(audio)
        if loudness is not None and peak is not None:
            level = min(level, loudness + HEADROOM - peak)
    return level


def matched(audio: np.ndarray, level: float) -> np.ndarray:
    """``(2, n)`` at 48 kHz at ``level`` LUFS; what is too quiet to measure stays as it is."""
    loudness = measure_loudness(audio, RATE).integrated
    return audio if loudness is None else audio * np.float32(10 ** ((level - loudness) / 20))


def _uri(audio: np.ndarray, level: float) -> str:
    return data_uri("audio/ogg", encode(matched(audio, level), KBIT))


def _references(report: Report) -> list[tuple[str, np.ndarray]]:
    """Parts of the user's songs, from the middle; songs that are gone are left out."""
    found: list[tuple[str, np.ndarray]] = []
    for song in report.dataset.songs:
        if song.audio is None or len(found) == REFERENCES:
            continue
        start = max(0.0, (song.seconds - REFERENCE_SECONDS) / 2)
        try:
            audio = read_audio(song.audio, start=start, seconds=REFERENCE_SECONDS)
        except AudioError:
            continue
        found.append((song.name or song.song, audio))
    return found


def _lines(run: str, content: dict[str, Any]) -> Iterator[str]:
    # In JSON "<" is not needed but in texts: escaped, no text can end the element
    data = json.dumps(content).replace("<", "\\u003c")
    yield from head(f"Blind test of {run}", asset("ab.css"), asset("ab.js"))
    yield f'<header>\n<p class="quiet">Blind test · {escape(run)}</p>\n<h1>{QUESTION}</h1>'
    yield "</header>\n<main>\n<noscript><p>This page needs JavaScript.</p></noscript>"
    yield '<div id="test"></div>\n<p id="said" class="unseen" role="status"></p>\n</main>'
    yield f'<script type="application/json" id="content">{data}</script>\n</body>\n</html>'
