"""Statistics on signals whose answer is known, and distances that order styles rightly."""

import numpy as np
import pytest

from acestep.mini.corpus import RATE, TESTS, compose, render
from acestep.mini.statistics import (
    NAMES,
    SPREAD,
    chroma,
    cosine,
    distance,
    measure_spread,
    pulse,
    statistics,
)

SECONDS = 6.0


def sine(*frequencies: float, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(SECONDS * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    return np.stack([level * wave, level * wave]).astype(np.float32)


def clicks(bpm: float) -> np.ndarray:
    audio = np.zeros((2, round(SECONDS * RATE)), np.float32)
    decay = np.exp(-np.arange(2400) / 400) * np.sin(np.arange(2400) * 0.4)
    for start in np.arange(0, SECONDS - 0.1, 60 / bpm):
        audio[:, round(start * RATE) : round(start * RATE) + 2400] += decay.astype(np.float32)
    return audio


def noise(seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((1, round(SECONDS * RATE)))
    return np.repeat(0.1 * draws, 2, axis=0).astype(np.float32)


def named(audio: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, statistics(audio).tolist(), strict=True))


def test_a_click_track_pulses_at_its_tempo_and_at_no_other() -> None:
    audio = clicks(120)
    assert pulse(audio, 120) > 0.8
    assert abs(pulse(audio, 97)) < 0.2
    assert pulse(noise(), 120) < 0.2
    assert named(audio)["pulse"] > 0.8


@pytest.mark.parametrize("frequency", [220.0, 1000.0, 4000.0])
def test_the_centroid_of_a_sine_is_its_frequency(frequency: float) -> None:
    measured = named(sine(frequency))
    assert 2 ** measured["logcen"] - 1 == pytest.approx(frequency, rel=0.02)
    assert 2 ** measured["logroll"] - 1 == pytest.approx(frequency, abs=RATE / 2048)
    assert measured["crest"] == pytest.approx(3.01, abs=0.05)
    assert measured["tonal"] > 0.99 and measured["flat"] < -4


def test_white_noise_is_flat_and_fills_bands_by_their_width() -> None:
    measured = named(noise())
    assert measured["flat"] > -0.35 and measured["tonal"] < 0.2
    widest = 10 * np.log10((24000 - 6000) / 24000)
    assert measured["band5"] == pytest.approx(widest, abs=0.1)
    shares = [10 ** (measured[f"band{number}"] / 10) for number in range(6)]
    assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_a_triad_is_seen_in_the_chroma() -> None:
    classes = chroma(sine(261.63, 329.63, 392.0, level=0.2))  # C, E, G
    assert sorted(np.argsort(classes)[-3:].tolist()) == [0, 4, 7]
    assert classes[[0, 4, 7]].sum() > 0.95 and classes.sum() == pytest.approx(1)
    assert named(sine(440.0))["chent"] == pytest.approx(0, abs=0.05)
    assert cosine(classes, classes) == pytest.approx(1)
    assert cosine(classes, chroma(sine(440.0))) < 0.1


def test_distance_is_zero_to_itself_small_within_a_style_and_larger_between() -> None:
    def songs(style: str, seeds: range) -> list[np.ndarray]:
        return [render(compose(TESTS + seed, SECONDS, style=style)) for seed in seeds]

    clips, more = songs("cumbia", range(4)), songs("cumbia", range(4, 8))
    assert distance(more, more) == 0
    own = distance(clips, more)
    assert 0 < own < 0.6
    for style in ("techno", "ballad"):
        assert distance(songs(style, range(4)), more) > 2 * own


def test_the_stored_spread_is_that_of_the_songs() -> None:
    assert len(SPREAD) == len(NAMES) == 14
    assert measure_spread() == pytest.approx(SPREAD, rel=0.01)
