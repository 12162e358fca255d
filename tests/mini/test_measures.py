"""Measures on sounds whose tempo, key, harmony and faults are known."""

import numpy as np
import pytest

from acestep.data.audio import RATE
from acestep.mini.corpus import TONICS
from acestep.mini.measures import (
    StyleClassifier,
    chroma_cosine,
    chroma_frames,
    clipped_share,
    key,
    key_matches,
    pulse_kept,
    scale_of,
    silent_share,
    spectral_error,
    tempo,
    tempo_matches,
)

SECONDS = 8.0
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def clicks(bpm: float, accent: int = 1) -> np.ndarray:
    """A click on each beat, every ``accent``-th twice as loud."""
    audio = np.zeros((2, round(SECONDS * RATE)), np.float32)
    click = np.exp(-np.arange(2400) / 400) * np.sin(np.arange(2400) * 0.4)
    for beat, start in enumerate(np.arange(0, SECONDS - 0.1, 60 / bpm)):
        level = 0.6 if beat % accent == 0 else 0.3
        audio[:, round(start * RATE) : round(start * RATE) + 2400] += level * click
    return audio


def chords(*groups: tuple[int, ...], seconds: float = 1.0) -> np.ndarray:
    """Chords of half-tones above middle C, each with three harmonics, the higher the weaker."""
    time = 2 * np.pi * np.arange(round(seconds * RATE)) / RATE
    parts = []
    for group in groups:
        tones = [(261.63 * 2 ** (step / 12) * n, n) for step in group for n in (1, 2, 3)]
        parts.append(sum(np.sin(pitch * time) / n for pitch, n in tones))
    wave = 0.1 * np.concatenate(parts).astype(np.float32)
    return np.stack([wave, wave])


def triads(tonic: int, scale: tuple[int, ...]) -> np.ndarray:
    """Degrees 1, 4, 5, 1 of a key, as triads."""

    def triad(degree: int) -> tuple[int, ...]:
        steps = (degree, degree + 2, degree + 4)
        return tuple(tonic + scale[step % 7] + 12 * (step // 7) for step in steps)

    return chords(*(triad(degree) for degree in (0, 3, 4, 0)))


def noise(level: float = 0.1, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((2, round(SECONDS * RATE)))
    return (level * draws).astype(np.float32)


@pytest.mark.parametrize("bpm", [61, 77, 93, 110, 128, 143, 157, 179])
@pytest.mark.parametrize("accent", [1, 3, 4])
def test_the_tempo_of_a_click_track_is_found(bpm, accent):
    assert tempo_matches(tempo(clicks(bpm, accent)), bpm, tolerance=0.01)


def test_half_and_double_tempo_count_a_third_of_it_and_others_do_not():
    assert tempo_matches(60, 120) and tempo_matches(240, 120) and tempo_matches(124, 120)
    assert not tempo_matches(126, 120) and not tempo_matches(80, 120)
    assert not tempo_matches(60, 120, octaves=(1,))


@pytest.mark.parametrize("tonic", [0, 3, 6, 10])
def test_the_key_of_a_cadence_is_found(tonic):
    assert key(triads(tonic, MAJOR)) == f"{TONICS[tonic]} major"
    assert key(triads(tonic, MINOR)) == f"{TONICS[tonic]} minor"


def test_drums_and_noise_do_not_hide_the_key():
    sound = triads(4, MINOR)
    count = sound.shape[1]
    assert key(sound + clicks(120)[:, :count] + noise(0.02)[:, :count]) == "E minor"


def test_a_key_matches_its_relative_under_any_of_its_names():
    assert key_matches("C major", "A minor") and key_matches("Bb minor", "C# major")
    assert key_matches("Eb major", "D# major") and key_matches("Cm", "E flat major")
    assert not key_matches("C major", "C minor") and not key_matches("C major", "G major")
    assert sorted({scale_of(f"{note} minor") for note in TONICS}) == list(range(12))
    with pytest.raises(ValueError, match="'loud' is no key"):
        scale_of("loud")


def test_chroma_frames_follow_the_chords():
    frames = chroma_frames(chords((0, 4, 7), (2, 5, 9)))
    first, second = frames[3:8].sum(0), frames[-8:-3].sum(0)
    assert first[[0, 4, 7]].sum() > 0.9 * first.sum() and first[[5, 9]].sum() < 0.01 * first.sum()
    assert second[[2, 5, 9]].sum() > 0.9 * second.sum()
    assert chroma_frames(noise()).sum(0).min() > 0


def test_harmony_is_compared_moment_by_moment():
    song = chords((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))
    moved = chords((7, 11, 14), (0, 4, 7), (0, 4, 7), (5, 9, 12))
    assert chroma_cosine(song, song) == pytest.approx(1)
    assert chroma_cosine(song, 0.1 * song) == pytest.approx(1)
    assert chroma_cosine(song, moved) < 0.7
    assert chroma_cosine(song, chords((1, 6, 10), seconds=4)) < 0.2


def test_spectral_error_grows_with_what_differs():
    song = chords((0, 4, 7), (5, 9, 12)) + clicks(120)[:, : 2 * RATE]
    moved = chords((1, 5, 8), (2, 6, 11)) + clicks(97)[:, : 2 * RATE]
    hiss = noise(seed=1)[:, : 2 * RATE]
    errors = [spectral_error(sound, song) for sound in (song, 0.97 * song, moved, hiss)]
    assert errors[0] == 0 and errors == sorted(errors)
    assert errors[1] < 0.1 < 0.4 < errors[2] and errors[3] > 3


def test_silence_and_flat_tops_are_seen():
    sound = noise()
    assert silent_share(sound) == 0 and silent_share(np.zeros_like(sound)) == 1
    half = sound.copy()
    half[:, : half.shape[1] // 2] = 0
    assert silent_share(half) == 0.5
    assert clipped_share(sound) == 0
    assert clipped_share(np.clip(20 * sound, -1, 1)) > 0.3


def test_what_is_left_of_a_beat():
    beat = clicks(120)
    assert pulse_kept(beat, beat, 120) == 1
    assert pulse_kept(noise(), beat, 120) < 0.3
    assert 0.3 < pulse_kept(beat + noise(0.02), beat, 120) <= 1


def test_a_style_is_known_by_its_statistics():
    clips = {
        "beats": [clicks(bpm) for bpm in (100, 120, 140)],
        "chords": [triads(tonic, MAJOR) for tonic in (0, 4, 9)],
        "hiss": [noise(seed=seed) for seed in range(3)],
    }
    classifier = StyleClassifier.fit(clips)
    assert classifier.of(clicks(111)) == "beats"
    assert classifier.of(triads(7, MINOR)) == "chords"
    assert classifier.of(noise(0.2, seed=9)) == "hiss"
    assert sorted(classifier.ranking(noise())) == ["beats", "chords", "hiss"]
