"""Beats and downbeats by the network of Beat This! (Foscarin, Schlüter and Widmer, ISMIR 2024).

The network comes from the package ``beat_this``, its weights from a checkpoint file that the user
names. What lies around the network is here, so that the package's other dependencies (torchaudio
among them) are not needed: the mel spectrogram it was trained on, the chunks of thirty seconds, and
the picking of peaks that its authors call minimal.

A mel spectrogram is float32 ``(frames, 128)``, 50 frames a second; logits are ``(frames,)``.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from acestep.data.audio import RATE, conform, resampled
from acestep.data.files import TORCH_FILE_ERRORS, shown
from acestep.errors import ModelError

MEL_RATE, FFT, HOP, BANDS = 22_050, 1024, 441, 128
LOWEST, HIGHEST = 30.0, 11_000.0  # Hz
FRAMES_PER_SECOND = MEL_RATE // HOP
CHUNK, BORDER = 1500, 6  # frames; predictions near a chunk's edges were never trained
REACH = 3  # frames on each side of a peak that must not be higher: 60 ms
INSTALL = (
    "pip install 'acestep-studio[beats]' && pip install --no-deps beat_this "
    "(its other dependencies are not needed)"
)
DOWNLOAD = (
    "download final0.ckpt (78 MB) or small0.ckpt (8 MB), MIT licence, from the links in "
    "https://github.com/CPJKU/beat_this, put it anywhere and name it with --beats-checkpoint FILE"
)
_SIZES = ("spect_dim", "transformer_dim", "ff_mult", "n_layers", "head_dim", "stem_dim")
_KNOBS = (*_SIZES, "dropout", "sum_head", "partial_transformers")  # of the network's constructor

Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def track_beats(audio: np.ndarray, rate: int, checkpoint: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times of the beats and of the downbeats among them, in seconds, ascending.

    ``audio`` is ``(channels, samples)`` at ``rate`` Hz. Raises ``ModelError`` for a package or a
    checkpoint that is missing or cannot be used, ``AudioError`` for samples that are no audio.
    """
    return BeatTracker(checkpoint)(audio, rate)


class BeatTracker:
    """A checkpoint that is loaded once and listens to any number of songs."""

    def __init__(self, checkpoint: Path) -> None:
        self._network = _load(Path(checkpoint).expanduser())
        self._checkpoint = checkpoint

    def __call__(self, audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """As :func:`track_beats`."""
        mono = conform(audio, rate).mean(axis=0, keepdims=True)
        mel = mel_spectrogram(resampled(mono, RATE, MEL_RATE)[0])
        beats, downbeats = chunked(self._network, mel)
        if not (np.isfinite(beats).all() and np.isfinite(downbeats).all()):
            raise ModelError(
                f"{shown(self._checkpoint)} predicts NaN or Inf: its weights are damaged",
                hint=DOWNLOAD,
            )
        return pick_peaks(beats, downbeats)


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """Triangles ``(513, 128)`` on Slaney's mel scale: linear up to 1 kHz, logarithmic above.

    They peak at 1 (no area normalisation), as the network was trained with.
    """
    linear, corner, step = 200 / 3, 1000.0, np.log(6.4) / 27
    lowest = LOWEST / linear
    highest = corner / linear + np.log(HIGHEST / corner) / step
    mels = np.linspace(lowest, highest, BANDS + 2)
    edges = np.where(
        mels < corner / linear, mels * linear, corner * np.exp(step * (mels - corner / linear))
    )
    bins = np.linspace(0, MEL_RATE / 2, FFT // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def mel_spectrogram(mono: np.ndarray) -> np.ndarray:
    """Samples ``(n,)`` at 22 050 Hz as log mel magnitudes ``(1 + n // 441, 128)``.

    Hann windows of 1024 samples centred on every 441st, reflected at the ends, magnitudes divided
    by √1024, then ``log(1 + 1000 x)``. Too short to be reflected means no frames.
    """
    if len(mono) <= FFT // 2:
        return np.zeros((0, BANDS), np.float32)
    padded = np.pad(np.asarray(mono, np.float32), FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
    mel = np.empty((len(frames), BANDS), np.float32)
    for start in range(0, len(frames), CHUNK):  # a long song's spectra need not stand at once
        spectra = np.abs(np.fft.rfft(frames[start : start + CHUNK] * window)) / np.sqrt(FFT)
        mel[start : start + CHUNK] = spectra.astype(np.float32) @ mel_filters()
    return np.log1p(1000 * mel)


def chunked(network: Network, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's logits for beats and downbeats ``(frames,)`` of a song of any length.

    Chunks of 1500 frames overlap, and six frames at each end of a chunk do not count; the song has
    six empty frames around it instead. Where chunks overlap, the earlier one counts.
    """
    length = len(mel)
    logits = np.full((2, length), -1000.0, np.float32)
    padded = np.pad(mel, ((BORDER, BORDER), (0, 0)))
    starts = list(range(0, max(length, 1), CHUNK - 2 * BORDER))
    starts[-1] = max(0, len(padded) - CHUNK) if len(starts) > 1 else 0
    for start in reversed(starts) if length else ():
        predicted = np.stack(network(padded[start : start + CHUNK]))[:, BORDER:-BORDER]
        logits[:, start : start + predicted.shape[1]] = predicted
    return logits[0], logits[1]


def pick_peaks(beats: np.ndarray, downbeats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds from logits: where one is positive and the highest within 60 ms.

    Equal neighbours become one peak in their middle. A downbeat moves to the nearest beat, so that
    downbeats are always among the beats (unless there is no beat at all).
    """
    beat_times, downbeat_times = (_peaks(each) / FRAMES_PER_SECOND for each in (beats, downbeats))
    if len(beat_times):
        nearest = np.abs(beat_times - downbeat_times[:, None]).argmin(axis=1)
        downbeat_times = beat_times[nearest]
    return beat_times, np.unique(downbeat_times)


def _peaks(logits: np.ndarray) -> np.ndarray:
    """Frames of the peaks, ascending; between two frames where neighbours are equal."""
    if len(logits) == 0:
        return np.zeros(0)
    padded = np.pad(logits, REACH, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1).max(axis=1)
    groups: list[list[int]] = []
    for frame in np.flatnonzero((logits == highest) & (logits > 0)).tolist():
        if groups and frame - np.mean(groups[-1]) <= 1:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return np.array([np.mean(group) for group in groups])


def _load(path: Path) -> Network:
    """The network of a checkpoint, in eval mode on the CPU."""
    import torch

    state, sizes = _read(path)
    module = _build(path, sizes, state)

    def network(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            predicted = module(torch.from_numpy(np.ascontiguousarray(mel))[None])
        return predicted["beat"][0].numpy(), predicted["downbeat"][0].numpy()

    return network


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and constructor arguments of a checkpoint as Lightning writes it.

    Nothing in the file is executed.
    """
    import torch

    if not path.is_file():
        kind = "is not a file" if path.exists() else "does not exist"
        raise ModelError(f"the beat checkpoint {shown(path)} {kind}", hint=DOWNLOAD)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except TORCH_FILE_ERRORS as error:
        raise ModelError(
            f"{shown(path)} is damaged or holds more than plain tensors; nothing in it was "
            "executed",
            hint=DOWNLOAD,
        ) from error
    held = content if isinstance(content, Mapping) else {}
    weights, knobs = held.get("state_dict"), held.get("hyper_parameters")
    if not isinstance(weights, Mapping) or not isinstance(knobs, Mapping):
        raise ModelError(f"{shown(path)} is no checkpoint of Beat This!", hint=DOWNLOAD)
    # The trainer's module keeps the network as its ``model``, perhaps compiled.
    state = {
        key.removeprefix("model.").replace("_orig_mod.", ""): value
        for key, value in weights.items()
        if isinstance(key, str) and key.startswith("model.") and isinstance(value, torch.Tensor)
    }
    return state, {name: knobs[name] for name in _KNOBS if name in knobs}


def _build(path: Path, knobs: dict[str, Any], state: dict[str, Any]) -> Any:
    """The network with its weights. Its size is that of the weights, whatever the file claims."""
    try:
        from beat_this.model.beat_tracker import BeatThis
    except ImportError as error:
        raise ModelError(
            f"the package beat_this cannot be used: {error}", hint=f"install it: {INSTALL}"
        ) from error
    from accelerate import init_empty_weights

    wrong = [
        f"{name} {knobs[name]!r}"
        for name in _SIZES
        if name in knobs and not (type(knobs[name]) is int and 0 < knobs[name] <= 2**16)
    ]
    if wrong or knobs.get("n_layers", 0) > len(state):
        raise ModelError(
            f"{shown(path)} is no checkpoint of Beat This!: {', '.join(wrong) or 'layers missing'}",
            hint=DOWNLOAD,
        )
    try:
        with init_empty_weights():
            module = BeatThis(**knobs)
        module.load_state_dict(state, assign=True)
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise ModelError(
            f"{shown(path)} does not fit the network: {str(error).strip().splitlines()[0]}",
            hint=DOWNLOAD,
        ) from error
    return module.float().eval()
