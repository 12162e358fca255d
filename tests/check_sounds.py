"""Music made on the spot for the tests of checking, and what may happen to it."""

from pathlib import Path

import av
import numpy as np
import soundfile as sf
from scipy.signal import butter, sosfilt

RATE = 48_000


def music(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Notes of a few partials over noise that fades out towards 20 kHz: ``[2, n]``, peak 0.7.

    Another seed is another tune; rhythm, register and colour stay.
    """
    rng = np.random.default_rng(seed)
    step = round(0.25 * rate)
    count = int(np.ceil(seconds * rate / step))
    t = np.arange(step * 2) / rate
    sound = np.zeros((2, (count + 2) * step))
    for number in range(count):
        pitch = 110 * 2 ** (rng.integers(0, 25) / 12)
        decay = np.exp(-t * rng.uniform(4, 9)) * np.minimum(1, t * 200)
        note = sum(np.sin(2 * np.pi * pitch * k * t + k) / k**1.2 for k in range(1, 9))
        pan = rng.uniform(0.3, 0.7)
        hit = 0.6 * rng.standard_normal((2, len(t))) * np.exp(-t * 30) * (number % 2)
        place = slice(number * step, number * step + len(t))
        sound[:, place] += np.outer([pan, 1 - pan], note * decay) + hit
    soft = butter(1, 6000, fs=rate, output="sos")
    sound = sosfilt(soft, sound[:, : round(seconds * rate)], axis=1)
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


def write(path: Path, audio: np.ndarray, rate: int = RATE, subtype: str = "PCM_24") -> Path:
    """A WAV or FLAC file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, audio.T, rate, subtype=subtype)
    return path


def write_mp3(path: Path, audio: np.ndarray, rate: int = RATE, level: float = 0.7) -> Path:
    """Constant bit rate; level 0.7 is 128 kbit/s in stereo, 0 is 320."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sf.SoundFile(
        path, "w", rate, 2, "MPEG_LAYER_III", format="MP3", compression_level=level,
        bitrate_mode="CONSTANT",
    ) as file:  # fmt: skip
        file.write(audio.T)
    return path


def write_ogg(path: Path, audio: np.ndarray, subtype: str = "VORBIS", level: float = 0.6) -> Path:
    """Vorbis or Opus at 48 kHz, in blocks."""
    with sf.SoundFile(path, "w", RATE, 2, subtype, format="OGG", compression_level=level) as file:
        for begin in range(0, audio.shape[1], 65_536):
            file.write(audio[:, begin : begin + 65_536].T)
    return path


def write_aac(path: Path, audio: np.ndarray, bit_rate: int) -> Path:
    """AAC at 48 kHz by FFmpeg."""
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.layout, stream.bit_rate = "stereo", bit_rate
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio), format="fltp", layout="stereo"
        )
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path
