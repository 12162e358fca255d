"""Sounds and pictures inside a page: Ogg Opus and small PNG files as data URIs."""

import base64
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acestep.data.audio import RATE, read_audio, write_audio

COLUMNS, ROWS = 240, 64  # of a spectrogram
WINDOW = 4096  # samples
LOWEST, HIGHEST = 50.0, 16_000.0  # Hz
FLOOR = -66.0  # dB below the loudest point
SHADES = 32  # few colours make small files, and nobody sees more
# From silence to the loudest: dark on light pages and on dark ones, with the accent at the top
RAMP = ((22, 23, 27), (63, 33, 52), (154, 52, 18), (251, 146, 60), (255, 237, 213))


@dataclass(frozen=True)
class Media:
    """A sound for a page: ``audio`` and ``picture`` are data URIs, ``seconds`` its length."""

    audio: str
    picture: str
    seconds: float


def media(path: Path, kbit: float, *, start: float = 0.0, seconds: float | None = None) -> Media:
    """A file, or a part of it, encoded with ``kbit`` a second. Raises ``AudioError``."""
    audio = read_audio(path, start=start, seconds=seconds)
    return Media(
        data_uri("audio/ogg", encode(audio, kbit)),
        data_uri("image/png", spectrogram_png(audio)),
        audio.shape[1] / RATE,
    )


def encode(audio: np.ndarray, kbit: float) -> bytes:
    """Ogg Opus of ``(2, n)`` at 48 kHz, about ``kbit`` (12 to 512) a second."""
    # libsndfile takes 6 to 256 kbit/s a channel as 1 to 0
    compression = min(1.0, max(0.0, 1 - (kbit / len(audio) - 6) / 250))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.opus"
        write_audio(file, audio, RATE, compression=compression)
        return file.read_bytes()


def spectrogram_png(audio: np.ndarray) -> bytes:
    """A picture of ``(c, n)`` at 48 kHz: time to the right, pitch upwards, 50 Hz to 16 kHz."""
    mono = np.pad(audio.mean(0), WINDOW // 2)
    starts = np.linspace(0, len(mono) - WINDOW, COLUMNS).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[starts]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2
    edges = np.geomspace(LOWEST, HIGHEST, ROWS + 1) * WINDOW / RATE
    sums = np.concatenate([np.zeros((COLUMNS, 1)), np.cumsum(power, axis=1)], axis=1)
    bins = np.arange(sums.shape[1])
    bands = np.stack([np.diff(np.interp(edges, bins, row)) for row in sums]) / np.diff(edges)
    level = 10 * np.log10(bands / max(float(bands.max()), 1e-12) + 1e-12)
    shades = np.clip((1 - level / FLOOR) * (SHADES - 1), 0, SHADES - 1).round().astype(np.uint8)
    return png(shades.T[::-1], palette())


def palette() -> np.ndarray:
    """The colours ``[SHADES, 3]`` of a spectrogram, bytes."""
    places = np.linspace(0, len(RAMP) - 1, SHADES)
    stops = np.arange(len(RAMP))
    channels = [np.interp(places, stops, channel) for channel in zip(*RAMP, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def png(pixels: np.ndarray, colours: np.ndarray) -> bytes:
    """A PNG file of ``[rows, columns]`` indices into colours ``[n, 3]`` (ISO/IEC 15948)."""
    rows, columns = pixels.shape
    lines = np.pad(pixels.astype(np.uint8), ((0, 0), (1, 0)))  # each row begins with its filter: 0
    return b"\x89PNG\r\n\x1a\n" + b"".join([
        _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", colours.astype(np.uint8).tobytes()),
        _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
        _chunk(b"IEND", b""),
    ])  # fmt: skip


def data_uri(kind: str, content: bytes) -> str:
    """``content`` of a media type, as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
