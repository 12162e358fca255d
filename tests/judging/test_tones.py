import numpy as np
import pytest
from style_folders import RATE

from acestep.judging.spectrogram import see
from acestep.judging.tones import tonality

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def chords(pitches_of, seconds=4.0):
    """Half a second each of what sounds together, as MIDI numbers."""
    time = np.arange(RATE // 2) / RATE
    parts = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in pitches)
        for pitches in pitches_of
    ]
    return np.resize(np.concatenate(parts), round(seconds * RATE)).astype(np.float32)


def scale(steps, tonic=60):
    degrees = (0, 3, 4, 0)
    return [
        [tonic + steps[(degree + by) % 7] + 12 * ((degree + by) // 7) for by in (0, 2, 4)]
        for degree in degrees
    ]


def test_a_transposition_changes_nothing():
    here, there = (tonality(see(chords(scale(MAJOR, tonic)), RATE)) for tonic in (60, 65))
    assert here.shape == (14,)
    assert there == pytest.approx(here, abs=0.08)


def test_one_tone_has_no_entropy_and_no_interval():
    found = tonality(see(chords([[69]]), RATE))
    assert found[0] == pytest.approx(0, abs=0.05) and found[1:7] == pytest.approx(0, abs=0.02)


def test_intervals_are_those_that_sound():
    fifth = tonality(see(chords([[60, 67]]), RATE))[1:7]
    assert fifth.argmax() == 4 and fifth[4] > 0.4  # 7 semitones are 5 the other way
    tritone = tonality(see(chords([[60, 66]]), RATE))[1:7]
    assert tritone.argmax() == 5


def test_major_and_minor():
    bright = tonality(see(chords(scale(MAJOR)), RATE))
    dark = tonality(see(chords(scale(MINOR)), RATE))
    assert bright[7] > 0.7 and bright[8] > 0 > dark[8]


def test_noise_has_fewer_peaks_than_tones():
    noise = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    hiss, tones = tonality(see(noise, RATE)), tonality(see(chords(scale(MAJOR)), RATE))
    assert hiss[0] > 2.3 > tones[0]  # of log 12 = 2.48
    assert np.isfinite(hiss).all()
