"""Real audio files for the tests: made here, in every format, and damaged in every way."""

import struct
from pathlib import Path

import av
import numpy as np
import soundfile as sf

FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "m4a", "aac")


def tone(
    seconds: float = 2.0, rate: int = 48_000, channels: int = 2, pitch: float = 220.0
) -> np.ndarray:
    """Sines, one pitch a channel, (channels, n) float32, peak 0.4."""
    t = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [0.4 * np.sin(2 * np.pi * pitch * (c + 1) * t) for c in range(channels)]
    ).astype(np.float32)


def make_song(
    path: Path, seconds: float = 2.0, rate: int = 48_000, channels: int = 2, pitch: float = 220.0
) -> Path:
    """A file in the format of its suffix, written by the libraries themselves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = tone(seconds, rate, channels, pitch)
    match path.suffix.lower():
        case ".m4a" | ".aac":
            _write_aac(path, audio, rate)
        case ".opus":
            sf.write(path, audio.T, rate, format="OGG", subtype="OPUS")
        case ".ogg":
            sf.write(path, audio.T, rate, format="OGG", subtype="VORBIS")
        case _:
            sf.write(path, audio.T, rate, format=path.suffix[1:].upper())
    return path


def ten_hour_wav(path: Path) -> Path:
    """One second of sound under a header that claims ten hours."""
    sf.write(path, tone(1.0, 22_050, 1).T, 22_050, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    claimed = 36_000 * 22_050 * 2
    data[at + 4 : at + 8] = struct.pack("<I", claimed)
    data[4:8] = struct.pack("<I", claimed + 36)
    path.write_bytes(data)
    return path


def lying_flac(path: Path, frames: int) -> Path:
    """One second of FLAC whose header claims ``frames``; 0 is legal and means unknown."""
    sf.write(path, tone(1.0).T, 48_000, format="FLAC")
    data = bytearray(path.read_bytes())
    info = int.from_bytes(data[18:26], "big")
    data[18:26] = (info >> 36 << 36 | frames).to_bytes(8, "big")
    path.write_bytes(data)
    return path


def cut(source: Path, target: Path, share: float) -> Path:
    """The beginning of a file."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def _write_aac(path: Path, audio: np.ndarray, rate: int) -> None:
    kind = "adts" if path.suffix.lower() == ".aac" else "ipod"
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "stereo" if len(audio) == 2 else "mono"
        frame = av.AudioFrame.from_ndarray(audio, format="fltp", layout=stream.layout.name)
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
