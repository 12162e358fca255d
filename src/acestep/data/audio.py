"""Reading and writing audio. Here, in ``decode`` and in ``tags`` are all calls of audio libraries.

soundfile reads first, PyAV (the extra ``io``) what soundfile refuses: m4a, aac. Everything is
decoded in blocks, so memory does not grow with a song, and lengths are those that were decoded, not
those in a header. The libraries' errors become :class:`~acestep.errors.AudioError`.

Inside, a block is ``(n, channels)``; outside, audio is ``(channels, n)``. Always float32: decoded
MP3 overshoots ±1, and integers would clip it.
"""

import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from acestep.data.decode import (
    BLOCK,
    HAS_FFMPEG,
    check,
    check_rate,
    decode,
    reason,
    scaled,
    zero_length,
)
from acestep.data.files import atomic, shown
from acestep.errors import AudioError

RATE = 48_000
SUFFIXES: frozenset[str] = frozenset({".wav", ".mp3", ".flac", ".ogg", ".opus"}) | frozenset(
    {".m4a", ".aac"} if HAS_FFMPEG else ()
)
SILENCE = 1e-4  # peak; -80 dB, above the dither of a silent 16-bit file
SHORTEST = 1920 / RATE  # seconds; one latent frame
# suffix → (format, subtype, compression level): about 300 kbit/s for MP3 and 270 for Vorbis
_WRITERS: dict[str, tuple[str, str, float | None]] = {
    ".wav": ("WAV", "PCM_24", None),
    ".flac": ("FLAC", "PCM_24", None),
    ".mp3": ("MP3", "MPEG_LAYER_III", 0.0),
    ".ogg": ("OGG", "VORBIS", 0.2),
    ".opus": ("OGG", "OPUS", 0.5),
}


@dataclass(frozen=True)
class AudioFacts:
    """What decoding a whole file showed.

    ``seconds`` is the decoded length and ``declared`` the header's (None where it has none);
    ``peak`` is over the channels that are used, the first two; ``digest`` is the SHA-256 of their
    samples and the rate, so a WAV and the FLAC made from it share it.
    """

    seconds: float
    sample_rate: int
    channels: int
    peak: float
    digest: str
    declared: float | None = None

    @property
    def duration(self) -> float:
        """The length in seconds as a dataset keeps it: milliseconds, rounded down.

        A song of 11.9996 s must not become one of 12: prompts name whole seconds, rounded down.
        """
        return math.floor(self.seconds * 1000 + 1e-6) / 1000


def inspect_audio(path: Path | str) -> AudioFacts:
    """Decode a whole file and say what is in it.

    Raises ``AudioError``, each with its own words, for a file that is missing, empty, not audio,
    damaged, without samples, shorter than one latent frame (0.04 s), silent, or holding NaN or Inf.
    """
    path = Path(path)
    digest, frames, peak = hashlib.sha256(), 0, 0.0
    with decode(path) as source:
        digest.update(f"{source.rate} Hz\n".encode())
        for block in source.blocks:
            digest.update(np.ascontiguousarray(block, "<f4").tobytes())
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            frames += len(block)
    seconds = frames / source.rate
    if frames == 0:
        raise zero_length(path)
    if seconds < SHORTEST:
        raise AudioError(
            f"{shown(path)} is too short: {frames} samples, {seconds:.4f} s",
            hint=f"a song needs at least {SHORTEST} s; clips under a minute are not recommended",
        )
    if peak < SILENCE:
        where = "its first two channels are" if source.channels > 2 else "it is"
        raise AudioError(
            f"{shown(path)} is silent: {where} never louder than {SILENCE:g} of full scale",
            hint="check the export; only the first two channels are used",
        )
    return AudioFacts(
        seconds, source.rate, source.channels, peak, digest.hexdigest(), source.declared
    )


def stream_audio(
    path: Path | str,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    block_seconds: float = 10.0,
) -> Iterator[np.ndarray]:
    """Decode ``[start, start + seconds)`` to float32 blocks ``(2, n)`` at 48 kHz.

    Every block but the last holds ``block_seconds``. Mono is doubled; of more than two channels the
    first two are kept. Bounds are rounded to samples, so neighbouring windows tile; a window agrees
    with the same part of the whole file within 1e-6. Raises ``AudioError`` if the file cannot be
    read or has nothing in the window.
    """
    assert start >= 0 and block_seconds > 0
    path = Path(path)
    # Resampling starts on a whole second, where both rates have a sample, and one second early,
    # when the filter has long forgotten the edge.
    skipped = max(0, math.floor(start) - 1)
    first = round(start * RATE) - skipped * RATE
    last = None if seconds is None else round((start + seconds) * RATE) - skipped * RATE
    found = False
    with decode(path) as source:
        blocks = _window(source.blocks, skipped * source.rate, None)
        blocks = _window(_resample(blocks, source.rate), first, last)
        for block in _regroup(blocks, max(1, round(block_seconds * RATE))):
            found = True
            yield np.ascontiguousarray(np.broadcast_to(block, (len(block), 2)).T)
    if not found:
        if start == 0:
            raise zero_length(path)
        raise AudioError(f"{shown(path)} has no samples after {start:g} s", hint="start earlier")


def read_audio(path: Path | str, *, start: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """The concatenation of :func:`stream_audio`: float32 ``(2, n)`` at 48 kHz."""
    return np.concatenate(list(stream_audio(path, start=start, seconds=seconds)), axis=1)


def conform(audio: Any, rate: int) -> np.ndarray:
    """Samples at any rate, ``(n,)``, ``(c, n)`` or ``(n, c)``, as float32 ``(2, m)`` at 48 kHz.

    Integers are scaled to ±1. The longer axis is time. Mono is doubled; of more than two channels
    the first two are kept. Raises ``AudioError`` for anything empty, not finite or not audio.
    """
    array = np.asarray(audio)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or min(array.shape) > 8:
        raise AudioError(
            f"audio of shape {np.shape(audio)} is neither (samples,) nor (channels, samples)",
            hint="pass one song at a time, with at most 8 channels",
        )
    frames = array.T if array.shape[0] <= array.shape[1] else array
    if frames.size == 0:
        raise AudioError("the audio array is empty")
    check_rate(rate, "the audio array")
    frames = scaled(frames[:, :2])
    check(frames, "the audio array", 0, rate)
    resampled = np.concatenate(list(_resample(iter([frames]), int(rate))))
    return np.ascontiguousarray(np.broadcast_to(resampled, (len(resampled), 2)).T)


def resampled(audio: np.ndarray, rate: float, target: float) -> np.ndarray:
    """Float samples ``(channels, n)`` at another rate, through the filter that reading uses."""
    frames = np.ascontiguousarray(np.asarray(audio, np.float32).T)
    return np.concatenate(list(_resample(iter([frames]), rate, target))).T


def write_audio(
    path: Path | str, audio: np.ndarray, rate: int, *, compression: float | None = None
) -> None:
    """Write ``(channels, n)`` or ``(n,)`` float samples, clipped to ±1; the suffix is the format.

    ``.wav`` and ``.flac`` get 24 bits, ``.mp3``, ``.ogg`` and ``.opus`` a high bit rate, or what
    ``compression`` says, from 0 (best) to 1 (smallest): stereo ``.opus`` has 512 kbit/s at 0, 62 at
    0.9, 12 at 1. Atomic.
    Raises ``AudioError`` for another suffix, an empty or non-finite array, a rate or number of
    channels that the format lacks, or a disk that refuses.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise AudioError(
            f"{shown(path)}: audio is not written as {path.suffix or 'a file without suffix'!r}",
            hint="use " + ", ".join(sorted(_WRITERS)),
        )
    samples = np.atleast_2d(np.asarray(audio, np.float32))
    if samples.ndim != 2 or samples.size == 0 or not np.isfinite(samples).all():
        raise AudioError(
            f"{shown(path)}: there is nothing to write: an array of shape {samples.shape}"
            + ("" if np.isfinite(samples).all() else " that holds NaN or Inf")
        )
    kind, subtype, usual = _WRITERS[path.suffix.lower()]
    try:
        with (
            atomic(path) as temporary,
            soundfile.SoundFile(
                temporary,
                "w",
                int(rate),
                len(samples),
                subtype,
                format=kind,
                compression_level=usual if compression is None else compression,
            ) as file,
        ):
            # In blocks: a minute of Vorbis in one piece overflows libsndfile's stack.
            for begin in range(0, samples.shape[1], BLOCK):
                file.write(samples[:, begin : begin + BLOCK].clip(-1.0, 1.0).T)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(
            f"{shown(path)} cannot be written: {reason(error)}",
            hint="check the folder, the free space, and that the format has this rate and channels",
        ) from error


def mp3_round_trip(audio: np.ndarray, rate: int, kbit: int) -> np.ndarray:
    """Samples ``[c, n]`` as they come back from an MP3 of ``kbit`` (32 to 320) a second.

    The encoder's delay is left in or cut off as the library does it: within 50 ms. Raises
    ``AudioError`` for a rate that MP3 lacks.
    """
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(
            file, "w", rate, len(audio), "MPEG_LAYER_III", format="MP3",
            compression_level=(320 - kbit) / 288, bitrate_mode="CONSTANT",
        ) as encoder:  # fmt: skip
            for begin in range(0, audio.shape[1], BLOCK):
                encoder.write(audio[:, begin : begin + BLOCK].clip(-1.0, 1.0).T)
        file.seek(0)
        decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"no MP3 at {rate} Hz: {reason(error)}") from error
    return np.ascontiguousarray(decoded.T)


def _resample(
    blocks: Iterator[np.ndarray], rate: float, target: float = RATE
) -> Iterator[np.ndarray]:
    """Bring ``(n, c)`` blocks to 48 kHz or another rate; the same whatever the block length."""
    if rate == target:
        yield from blocks
        return
    stream = None
    for block in blocks:
        channels = block.shape[1]
        if stream is None:
            stream = soxr.ResampleStream(rate, target, channels, dtype="float32", quality="HQ")
        yield stream.resample_chunk(np.ascontiguousarray(block))
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _window(blocks: Iterator[np.ndarray], first: int, last: int | None) -> Iterator[np.ndarray]:
    """The frames ``first`` to ``last`` of a stream; nothing behind them is decoded."""
    position = 0
    for block in blocks:
        begin = max(0, first - position)
        end = len(block) if last is None else min(len(block), last - position)
        if begin < end:
            yield block[begin:end]
        position += len(block)
        if last is not None and position >= last:
            return


def _regroup(blocks: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a stream into blocks of ``length`` frames; the last may be shorter."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        while sum(map(len, held)) >= length:
            joined = np.concatenate(held)
            yield joined[:length]
            held = [joined[length:]]
    joined = np.concatenate(held) if held else np.zeros((0, 1), np.float32)
    if len(joined):
        yield joined
