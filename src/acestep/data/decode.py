"""Opening an audio file as a stream of blocks: soundfile first, then FFmpeg through PyAV.

What a file is, its content says, not its suffix. A file is read to the end of its data, whatever
its header claims. The libraries' errors become :class:`~acestep.errors.AudioError` here, and every
block has been checked for NaN, Inf and wrong scaling.
"""

import importlib.util
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from acestep.data.files import shown
from acestep.errors import AudioError

HAS_FFMPEG = importlib.util.find_spec("av") is not None
BLOCK = 65_536  # frames at a time
RATES = (2_000, 768_000)  # Hz; outside them a header is nonsense
LOUDEST = 1000.0  # peak; beyond it float samples were not scaled to ±1
# What FFmpeg may take a file for. Its playlist formats would open other files and addresses.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,mp3,flac,ogg,wav,w64,"
    "matroska,webm,asf,aiff,caf,ape,wv,tta,ac3,eac3"
)


@dataclass(frozen=True)
class Decoded:
    """An open file: blocks ``(n, 1 or 2)`` float32 at ``rate``, of ``channels`` in the file.

    ``declared`` is the header's length in seconds, None where it has none. ``coding`` is the
    library's name for how samples are kept ("PCM_16", "VORBIS", "aac").
    """

    rate: int
    channels: int
    declared: float | None
    blocks: Iterator[np.ndarray]
    coding: str


class _Sound(soundfile.SoundFile):
    """Read to the end of the data, wherever the header puts it.

    soundfile seeks after every read; in FLAC whose header has no length or a wrong one, that fails.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def decode(path: Path) -> Iterator[Decoded]:
    """Open a file with the first library that takes it; its blocks may be read inside the context.

    Raises ``AudioError`` if it is missing, not a regular file, empty, or not audio; reading the
    blocks raises it where the file is damaged or its samples are no audio.
    """
    with ExitStack() as stack:
        file = stack.enter_context(_opened(path))
        refusal = ""
        try:
            sound = stack.enter_context(_Sound(file))
        except soundfile.SoundFileError as error:
            refusal = reason(error)
        # Of an Ogg file that was cut libsndfile finds no frame; FFmpeg may find some.
        if not refusal and sound.frames > 0:
            source = _from_soundfile(path, sound)
        elif HAS_FFMPEG:
            file.seek(0)
            source = stack.enter_context(_from_ffmpeg(path, file, refusal))
        else:
            raise _unreadable(path, refusal) if refusal else zero_length(path)
        yield _checked(path, source)


def check(block: np.ndarray, what: str, done: int, rate: int) -> None:
    """Raise ``AudioError`` if a block that follows ``done`` frames cannot be audio."""
    finite = np.isfinite(block)
    if not finite.all():
        frame = done + int(np.argmin(finite.all(axis=1)))
        raise AudioError(
            f"{what} holds NaN or Inf, first at {frame / rate:.3f} s",
            hint="export it again; a plug-in or a converter broke it",
        )
    peak = float(np.abs(block).max(initial=0.0))
    if peak > LOUDEST:
        raise AudioError(
            f"{what} reaches {peak:g}; float samples lie within ±1",
            hint="scale it and save it again",
        )


def check_rate(rate: float, what: str) -> None:
    """Raise ``AudioError`` for a sample rate that no recording has."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(
            f"{what} claims a sample rate of {rate} Hz; {RATES[0]} to {RATES[1]} are read",
            hint="convert it to 48 kHz",
        )


def scaled(array: np.ndarray) -> np.ndarray:
    """Samples of any type as float32, integers scaled to ±1. Raises ``AudioError``."""
    match array.dtype.kind:
        case "f":
            return array.astype(np.float32)
        case "i":
            return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
        case "u":
            half = (int(np.iinfo(array.dtype).max) + 1) / 2
            return (array / half - 1.0).astype(np.float32)
    raise AudioError(f"samples of type {array.dtype} are not audio", hint="pass float32 within ±1")


def reason(error: BaseException) -> str:
    """A library's words without the path, which our sentence has already."""
    if isinstance(error, soundfile.LibsndfileError):
        if "pipe" in error.error_string:  # libsndfile's words for an MP3 without a whole frame
            return "it ends within its first frame"
        return str(error.error_string).removeprefix("Error : ").rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    if len(error.args) > 1 and isinstance(error.args[1], str):  # FFmpeg's (number, words, …)
        return error.args[1]
    return str(error)


def zero_length(path: Path) -> AudioError:
    """The error for a file that has a header and no samples."""
    return AudioError(
        f"{shown(path)} has zero length: a header without samples", hint="export it again"
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise AudioError(f"{shown(path)} is not a file", hint="name an audio file")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise AudioError(f"{shown(path)} does not exist", hint="check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioError(
            f"{shown(path)} cannot be opened: {reason(error)}",
            hint="check its name and permissions",
        ) from error
    with file:
        if not file.read(1):
            raise AudioError(f"{shown(path)} is empty: 0 bytes", hint="copy or export it again")
        file.seek(0)
        yield file


def _from_soundfile(path: Path, sound: _Sound) -> Decoded:
    def blocks() -> Iterator[np.ndarray]:
        frames = max(1, 2 * BLOCK // max(2, sound.channels))
        done = 0
        while True:
            try:
                block = sound.read(frames, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                raise _breaks_off(path, done / sound.samplerate, error) from error
            if len(block) == 0:
                return
            done += len(block)
            yield block[:, :2]

    # A header without a length is reported as the largest number there is.
    declared = sound.frames / sound.samplerate if sound.frames < 2**62 else None
    return Decoded(sound.samplerate, sound.channels, declared, blocks(), sound.subtype)


@contextmanager
def _from_ffmpeg(path: Path, file: BinaryIO, refusal: str) -> Iterator[Decoded]:
    """Open with PyAV what soundfile refused, for the reason ``refusal`` (empty: no frames)."""
    import av

    with ExitStack() as stack:
        try:
            options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": ""}
            container = stack.enter_context(av.open(file, "r", options=options))
        except (av.FFmpegError, ValueError) as error:
            raise (_unreadable(path, refusal) if refusal else zero_length(path)) from error
        if not container.streams.audio:
            raise _unreadable(path, "it has no audio track")
        stream = container.streams.audio[0]
        try:
            # Only a decoded frame tells the true rate of AAC with spectral band replication.
            frames = container.decode(stream)
            head = next(frames, None)
        except av.FFmpegError as error:
            raise _unreadable(path, reason(error)) from error
        if head is None:
            raise _unreadable(path, refusal) if refusal else zero_length(path)
        length = None
        if stream.duration and stream.time_base:
            length = float(stream.duration * stream.time_base)
        blocks = _ffmpeg_blocks(path, chain([head], frames), av.FFmpegError)
        coding = stream.codec_context.name
        yield Decoded(head.sample_rate, head.layout.nb_channels, length, blocks, coding)


def _ffmpeg_blocks(
    path: Path, frames: Iterator[Any], errors: type[Exception]
) -> Iterator[np.ndarray]:
    done, form = 0, None
    try:
        for frame in frames:
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            form = form or (rate, channels)
            if form != (rate, channels):
                raise AudioError(
                    f"{shown(path)} changes its rate or channels after {done / form[0]:.1f} s",
                    hint="convert it to WAV or FLAC",
                )
            array = frame.to_ndarray()
            array = array.T if frame.format.is_planar else array.reshape(-1, channels)
            done += len(array)
            yield scaled(array[:, :2])
    except errors as error:
        raise _breaks_off(path, done / form[0] if form else 0.0, error) from error


def _checked(path: Path, source: Decoded) -> Decoded:
    check_rate(source.rate, shown(path))

    def blocks() -> Iterator[np.ndarray]:
        done = 0
        for block in source.blocks:
            check(block, shown(path), done, source.rate)
            done += len(block)
            yield block

    return replace(source, blocks=blocks())


def _unreadable(path: Path, why: str) -> AudioError:
    hint = "play it in another program; if it plays, convert it to WAV or FLAC"
    if not HAS_FFMPEG:
        hint += "; m4a and aac need: pip install 'acestep-studio[io]'"
    return AudioError(f"{shown(path)} cannot be read as audio: {why}", hint=hint)


def _breaks_off(path: Path, seconds: float, error: BaseException) -> AudioError:
    return AudioError(
        f"{shown(path)} is damaged: decoding stops after {seconds:.1f} s ({reason(error)})",
        hint="copy, download or export it again",
    )
