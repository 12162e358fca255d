import numpy as np
import pytest
from label_signals import RATE, bars, clicks

from acestep.labellers import weights
from acestep.labellers.key import find_chroma
from acestep.labellers.onsets import find_onsets, to_mono
from acestep.labellers.pulse import METERS
from acestep.labellers.rhythm import evidence, likelihood, read_rhythm, readings, rhythm_of


def heard(sound):
    mono = to_mono(sound, RATE)
    return find_onsets(mono), find_chroma(mono)


@pytest.fixture(scope="module")
def four():
    return heard(bars(4))


@pytest.mark.parametrize(("size", "meter"), [(3, "3"), (4, "4")])
def test_bars_are_counted_and_begin_where_they_do(size, meter):
    found = read_rhythm(*heard(bars(size)))
    assert found.timesignature.value == meter
    assert found.bpm.value == 110 and found.tempo == pytest.approx(110, abs=0.1)
    truth = np.arange(0.3, 35, size * 60 / 110)
    inner = found.downbeats[(found.downbeats > 2) & (found.downbeats < 33)]
    assert max(np.abs(truth - at).min() for at in inner) < 0.05


def test_chances_add_up_and_every_reading_has_its_weights(four):
    pulses = readings(*four)
    chances = likelihood(pulses, four[0])
    assert chances.shape == (len(pulses), len(METERS))
    assert chances.sum() == pytest.approx(1) and (chances >= 0).all()
    named = {name for row in evidence(pulses, four[0]) for name in row}
    assert named == weights.RHYTHM.keys()


def test_a_range_settles_the_octave(four):
    slow = read_rhythm(*four, (50, 75))
    assert slow.bpm.value == 55 and slow.bpm.confidence > 0
    np.testing.assert_allclose(np.diff(slow.beats), 120 / 110, atol=0.05)
    assert read_rhythm(*four, (90, 130)).bpm.confidence > 0.95
    assert read_rhythm(*four, (150, 225)).bpm.value == 220


def test_a_range_without_a_candidate_is_not_believed(four):
    found = read_rhythm(*four, (97, 98))
    assert found.bpm.confidence == 0 and found.bpm.value == 110


def test_another_trackers_beats_are_taken(four):
    beats = np.arange(0.3, 37, 60 / 110)
    found = rhythm_of(beats, beats[1::3], *four)
    assert (found.bpm.value, found.timesignature.value) == (110, "3")
    assert found.bpm.source == found.timesignature.source == "beat-this"
    np.testing.assert_array_equal(found.beats, beats)
    alone = rhythm_of(beats * 1.12, beats[1::3] * 1.12, *four)
    assert alone.bpm.value == 98 and alone.bpm.confidence < found.bpm.confidence


@pytest.mark.parametrize(("step", "meter"), [(2, "2"), (4, "4"), (6, "6"), (5, None)])
def test_their_bars_are_counted(four, step, meter):
    beats = np.arange(0.3, 37, 60 / 110)
    assert rhythm_of(beats, beats[::step], *four).timesignature.value == meter


def test_two_beats_of_three_parts_are_six_eight():
    eighths = heard(clicks(180, 40.0, (1.0, 0.5, 0.5)))
    beats = np.arange(0.5, 39, 1.0)
    assert rhythm_of(beats, beats[::2], *eighths).timesignature.value == "6"


@pytest.mark.parametrize("beats", [[], [1.0], [1.0, 2.0, 3.0]])
def test_too_few_beats_are_no_tempo(four, beats):
    found = rhythm_of(np.array(beats), np.array([]), *four)
    assert (found.bpm.value, found.bpm.confidence, found.tempo) == (None, 0.0, None)
