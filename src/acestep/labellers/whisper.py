"""Lyrics by Whisper, through faster-whisper (an optional dependency that needs no torch).

Whisper was trained on speech: it hears words in singing, hallucinates over instrumentals, and knows
no sections. What it doubts itself, or what repeats like a loop, is left out.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from acestep.data.audio import RATE, resampled
from acestep.errors import LabelError, ModelError
from acestep.labellers.checkpoints import Published, find_text_model
from acestep.labellers.described import Described, describe_lyrics, language_code
from acestep.model.device import choose_device

PUBLISHED = (
    Published("faster-whisper-large-v3", "Systran/faster-whisper-large-v3", 3.1, 5),
    Published("faster-whisper-medium", "Systran/faster-whisper-medium", 1.5, 3),
    Published("faster-whisper-small", "Systran/faster-whisper-small", 0.5, 1.5),
)
HEARING = 16_000  # Hz
NO_SPEECH = 0.6  # above it a segment is taken for music without words (Whisper's own threshold)
COMPRESSION = 2.4  # above it a segment repeats itself (Whisper's own threshold)
PAUSE = 4.0  # seconds without words between two verses
_NEEDS = ("config.json", "model.bin", "tokenizer.json")  # without the last it asks the Hub


class Whisper:
    """A ``faster_whisper.WhisperModel`` as a lyricist."""

    name = "whisper"

    def __init__(self, model: Any) -> None:
        self._model = model

    def transcribe(self, audio: np.ndarray) -> Described:
        """Lyrics and language of ``audio`` ``[2, N]`` float32 at 48 kHz, a line for a segment.

        Nothing sung is an instrumental song. Raises :class:`LabelError` where Whisper fails.
        """
        if not audio.size or not np.isfinite(audio).all():
            raise LabelError("there is no audio, or it holds no numbers", hint="Export it again.")
        sound = resampled(audio.mean(axis=0, keepdims=True), RATE, HEARING)[0]
        try:
            segments, info = self._model.transcribe(
                np.ascontiguousarray(sound),
                condition_on_previous_text=False,  # or one slip is repeated to the end
                language_detection_segments=4,  # songs begin with instruments
                vad_filter=False,  # it takes singing for music
            )
            heard = list(segments)
        except (RuntimeError, ValueError) as error:
            raise LabelError(f"Whisper could not transcribe it: {error}") from error
        sung = list(_sung(heard))
        notes = []
        if len(sung) < len(heard):
            left = len(heard) - len(sung)
            notes.append(f"{left} of {len(heard)} segments that Whisper wrote were left out: noise")
        return describe_lyrics(
            "\n".join(_lines(sung)),
            language_code(info.language),
            certainty=float(info.language_probability),
            notes=notes,
        )


def load_whisper(wanted: str | None = None, *, device: str | None = None) -> Whisper:
    """A Whisper in CTranslate2's format: a folder, a name in ``$ACESTEP_MODELS`` or a Hub id.

    It computes in float16 on cuda, in int8 on a CPU. Raises :class:`ModelError`: what to install or
    download, how big it is, where to put it.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ModelError(
            "Whisper needs faster-whisper, which is not installed",
            hint='pip install faster-whisper, or "acestep-studio[whisper]"',
        ) from error
    folder = find_text_model(wanted, PUBLISHED, what="the Whisper model", needs=_NEEDS)
    place = choose_device(device)
    on_cuda = place.type == "cuda"
    try:
        model = WhisperModel(
            str(folder),
            device="cuda" if on_cuda else "cpu",
            device_index=place.index or 0,
            compute_type="float16" if on_cuda else "int8",
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"{folder} cannot be read: {error}",
            hint="It must be in CTranslate2's format (model.bin); download it again.",
        ) from error
    return Whisper(model)


def _sung(segments: Iterable[Any]) -> Iterator[Any]:
    for segment in segments:
        doubted = segment.no_speech_prob > NO_SPEECH or segment.compression_ratio > COMPRESSION
        if segment.text.strip() and not doubted:
            yield segment


def _lines(segments: Iterable[Any]) -> Iterator[str]:
    """A line for each segment, an empty one where the singer pauses."""
    end = None
    for segment in segments:
        if end is not None and segment.start - end > PAUSE:
            yield ""
        yield segment.text.strip()
        end = segment.end
