"""What is measured of one song's sound, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from acestep.checking.clipping import ceiling, flat_share
from acestep.checking.finding import Finding, Level
from acestep.checking.fingerprint import fingerprint
from acestep.checking.lossy import CLIFF, cliff, loud_level
from acestep.checking.sound import FRAMES, Sound, mono, spectra
from acestep.checking.timbre import Timbre, hear
from acestep.labellers.loudness import measure_loudness, true_peak

GOOD_RATE, LEAST_RATE = 48_000, 44_100  # Hz
LEAST_BITS = 16
BAD_CLIFF, POOR_CLIFF = 15_000, 17_000  # Hz: less than 128 and 160 kbit/s of MP3
FLAT, MUCH_FLAT = 1e-4, 1e-2  # share of samples
CEILING = 1.1  # music falls off towards its peak: 0.5 to 0.9
PEAK, HIGH_PEAK = 0.0, 2.0  # dBTP
DC = 0.005  # of full scale
QUIET = -60.0  # dB below the song's peak: silence
HEAD, TAIL, GAP = 1.0, 3.0, 2.0  # seconds of silence
MONO, INVERTED, LOPSIDED = -50.0, 3.0, 12.0  # dB: side to mid, side to mid, left to right
SOFT = -30.0  # LUFS
POINTS = 400  # of a waveform's picture


@dataclass(frozen=True)
class Signal:
    """Measures of a song's first ten minutes.

    Levels are in dB of full scale, ``loudness`` in LUFS (None for silence), times in seconds,
    ``cutoff`` in Hz; ``side`` is the level of left − right against left + right and ``balance``
    that of left against right, None for one channel; ``bits`` is None where the file is lossy, and
    ``used_bits`` how many of them ever change. ``wave`` ``[2, points]`` is the lowest and highest
    sample of each part of the song, ``spectrum`` dB in steps of 50 Hz.
    """

    seconds: float
    rate: int
    channels: int
    coding: str
    bits: int | None
    used_bits: int | None
    peak: float
    true_peak: float
    loudness: float | None
    dc: float
    flat: float
    ceiling: float
    side: float | None
    balance: float | None
    head: float
    tail: float
    gap: float
    gap_at: float
    cutoff: float
    drop: float
    timbre: Timbre
    wave: np.ndarray
    spectrum: np.ndarray
    print: np.ndarray

    @property
    def is_cut(self) -> bool:
        """Whether its spectrum ends at a cliff."""
        return self.drop >= CLIFF

    def facts(self) -> dict[str, Any]:
        """The numbers that a report keeps; no pictures, no fingerprint."""
        left_out = ("wave", "spectrum", "print")
        return {name: _short(v) for name, v in asdict(self).items() if name not in left_out}


def measure(sound: Sound) -> Signal:
    """Measure a song."""
    audio, samples = sound.audio, mono(sound.audio)
    power = spectra(samples, sound.rate)
    edge, drop = cliff(power, sound.rate)
    head, tail, gap, gap_at = _silences(audio, sound.rate)
    peak = float(np.abs(audio).max(initial=0.0))
    between = true_peak(audio)
    side, balance = _stereo(audio)
    return Signal(
        seconds=audio.shape[1] / sound.rate,
        rate=sound.rate,
        channels=sound.channels,
        coding=sound.coding,
        bits=sound.bits,
        used_bits=_used_bits(audio) if sound.bits else None,
        peak=_db(peak),
        true_peak=_db(0.0) if between is None else between,
        loudness=measure_loudness(audio, sound.rate).integrated,
        dc=float(np.abs(audio.mean(1, dtype=np.float64)).max()),
        flat=flat_share(audio),
        ceiling=ceiling(audio),
        side=side,
        balance=balance,
        head=head,
        tail=tail,
        gap=gap,
        gap_at=gap_at,
        cutoff=edge,
        drop=drop,
        timbre=hear(power),
        wave=_wave(samples),
        spectrum=loud_level(power),
        print=fingerprint(samples, sound.rate),
    )


def signal_findings(song: str, signal: Signal) -> Iterator[Finding]:
    """What is wrong with a song's sound; nothing with a clean recording."""
    for check in (_file, _source, _levels, _channels, _silence):
        for code, level, message, advice, value in check(signal):
            yield Finding(code, level, song, message, advice, value)


Found = Iterator[tuple[str, Level, str, str, float | str]]


def _file(signal: Signal) -> Found:
    if signal.rate < LEAST_RATE:
        yield (
            "sample-rate", "error", f"its sample rate is {signal.rate} Hz",
            f"{LEAST_RATE} Hz is the least, {GOOD_RATE} Hz the best; converting adds nothing",
            signal.rate,
        )  # fmt: skip
    if signal.bits is not None and signal.used_bits is not None:
        bits = min(signal.bits, signal.used_bits)
        if bits < LEAST_BITS:
            yield (
                "bit-depth", "warning", f"it has {bits} bits a sample",
                f"{LEAST_BITS} bits are the least, 24 the best: the noise is learned too", bits,
            )  # fmt: skip
        elif signal.used_bits < signal.bits and signal.bits > LEAST_BITS:
            yield (
                "padded-bits", "info",
                f"it has {signal.bits} bits a sample, of which {bits} are used",
                "it was made from a file with fewer bits", bits,
            )  # fmt: skip


def _source(signal: Signal) -> Found:
    if not signal.is_cut:
        return
    level: Level = "info"
    if signal.cutoff < POOR_CLIFF:
        level = "error" if signal.cutoff < BAD_CLIFF else "warning"
    encoded = "a lossy file" if signal.bits is None else "made from a lossy or low-rate source"
    yield (
        "lossy", level,
        f"it is {encoded}: nothing above {signal.cutoff / 1000:.1f} kHz, "
        f"where it falls by {signal.drop:.0f} dB",
        "look for a better source; the dull top becomes part of the style", signal.cutoff,
    )  # fmt: skip


def _levels(signal: Signal) -> Found:
    if signal.flat >= FLAT:
        level: Level = "error" if signal.flat >= MUCH_FLAT else "warning"
        turned = f", and was turned down to {signal.peak:.1f} dB" if signal.peak < -0.1 else ""
        yield (
            "clipped", level, f"it is clipped: {signal.flat:.2%} of it are flat tops{turned}",
            "look for a version that is not; distortion is learned too", signal.flat,
        )  # fmt: skip
    elif signal.ceiling >= CEILING:
        yield (
            "clipped", "warning",
            "it was clipped or limited hard before it was encoded: its levels crowd "
            f"{signal.ceiling:.1f}-fold under a ceiling",
            "look for a version that is not; distortion is learned too", signal.ceiling,
        )  # fmt: skip
    if signal.true_peak > PEAK:
        yield (
            "true-peak", "warning" if signal.true_peak > HIGH_PEAK else "info",
            f"its peaks reach {signal.true_peak:+.1f} dBTP between the samples",
            "export it with a ceiling of -1 dBTP", signal.true_peak,
        )  # fmt: skip
    if signal.dc > DC:
        yield (
            "dc", "warning", f"it has a constant offset of {signal.dc:.3f}",
            "remove the DC offset in an editor", signal.dc,
        )  # fmt: skip
    if signal.loudness is not None and signal.loudness < SOFT:
        yield (
            "soft", "warning", f"it is very soft: {signal.loudness:.1f} LUFS",
            "turn it up to about -14 LUFS", signal.loudness,
        )  # fmt: skip


def _channels(signal: Signal) -> Found:
    if signal.side is None or signal.balance is None:
        yield "mono", "info", "it is mono", "the style will be narrow where all songs are", 1
    elif abs(signal.balance) > LOPSIDED:
        louder = "left" if signal.balance > 0 else "right"
        yield (
            "lopsided", "warning",
            f"its {louder} channel is {abs(signal.balance):.0f} dB louder than the other",
            "check the export: a channel may be missing", signal.balance,
        )  # fmt: skip
    elif signal.side < MONO:
        yield (
            "mono", "info", "it is mono in two equal channels",
            "the style will be narrow where all songs are", signal.side,
        )  # fmt: skip
    elif signal.side > INVERTED:
        yield (
            "phase", "warning",
            f"its channels work against each other: the difference is {signal.side:.1f} dB louder "
            "than the sum", "one channel is probably inverted: turn its sign", signal.side,
        )  # fmt: skip


def _silence(signal: Signal) -> Found:
    advice = "cut it: silence is learned too"
    if signal.head > HEAD:
        yield (
            "silent-head",
            "warning",
            f"it begins with {signal.head:.1f} s of silence",
            advice,
            (signal.head),
        )
    if signal.tail > TAIL:
        yield (
            "silent-tail",
            "warning",
            f"it ends with {signal.tail:.1f} s of silence",
            advice,
            (signal.tail),
        )
    if signal.gap > GAP:
        yield (
            "silent-gap", "warning",
            f"it has {signal.gap:.1f} s of silence inside, at {signal.gap_at:.0f} s",
            "cut it, or make two songs of it", signal.gap,
        )  # fmt: skip


def _silences(audio: np.ndarray, rate: int) -> tuple[float, float, float, float]:
    """Silence in seconds at the head, at the tail, the longest inside, and where that begins."""
    size = max(1, round(rate / FRAMES))
    count = -(-audio.shape[1] // size)
    padded = np.pad(np.abs(audio).max(0), (0, count * size - audio.shape[1]))
    peaks = padded.reshape(count, size).max(1)
    heard = np.flatnonzero(peaks > peaks.max() * 10 ** (QUIET / 20))
    seconds = audio.shape[1] / rate
    if len(heard) == 0:
        return seconds, seconds, 0.0, 0.0
    spaces = np.diff(heard)
    widest = int(spaces.argmax()) if len(spaces) else 0
    gap = (int(spaces[widest]) - 1) / FRAMES if len(spaces) else 0.0
    tail = (count - 1 - int(heard[-1])) / FRAMES
    return int(heard[0]) / FRAMES, tail, gap, (int(heard[widest]) + 1) / FRAMES


def _stereo(audio: np.ndarray) -> tuple[float | None, float | None]:
    if len(audio) < 2:
        return None, None
    left, right = (float(np.dot(channel, channel)) for channel in audio)
    both = float(np.dot(audio[0], audio[1]))
    middle, side = left + right + 2 * both, left + right - 2 * both
    return _ratio(side, middle), _ratio(left, right)


def _ratio(over: float, under: float) -> float:
    """The ratio of two energies in dB, within ±120."""
    top = max(over, under)
    if top <= 0:
        return 0.0
    return float(10 * np.log10(max(over / top, 1e-12) / max(under / top, 1e-12)))


def _used_bits(audio: np.ndarray) -> int:
    """How many bits of 24 the samples need: the lowest bit that is ever set counts."""
    whole = np.rint(audio.astype(np.float64) * 2**23)
    if not np.array_equal(whole, audio.astype(np.float64) * 2**23):
        return 32
    lowest = int(np.bitwise_or.reduce(whole.astype(np.int64), axis=None))
    return 24 - (lowest & -lowest).bit_length() + 1 if lowest else 0


def _wave(samples: np.ndarray) -> np.ndarray:
    edges = np.linspace(0, len(samples), min(POINTS, len(samples)) + 1).astype(int)[:-1]
    lows, highs = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    return np.stack([lows, highs])


def _db(value: float) -> float:
    return float(20 * np.log10(max(value, 1e-6)))


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
