"""Labels from the sound: signals whose labels can be written down, and written music."""

import mir_eval
import numpy as np
import pytest
from label_signals import RATE, bars, cadence, clicks
from label_tracks import HELD_OUT, compose, render

from acestep.errors import AudioError, ConfigError
from acestep.labellers.analysis import CONFIDENT, analyse

OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)


@pytest.mark.parametrize("bpm", [61.7, 120.0, 173.3])
def test_the_tempo_of_clicks_is_exact_in_its_octave(bpm):
    found = analyse(clicks(bpm), bpm_range=(0.8 * bpm, 1.2 * bpm))
    assert found.tempo == pytest.approx(bpm, abs=0.1)
    assert found.bpm.value == round(bpm)


def test_everything_is_said_of_a_plain_song():
    found = analyse(bars(4))
    assert found.bpm.value == 110 and found.timesignature.value == "4"
    assert found.keyscale.value == "C major"
    assert found.bpm.confidence > 0.5 and found.bpm.source == "analysis"
    assert found.loudness < 0 and found.true_peak > found.loudness
    assert found.brightness > 100 and 0 <= found.percussive <= 1
    assert found.onset_density == pytest.approx(110 / 60, abs=0.5)


def test_a_tone_at_minus_23():
    time = np.arange(20 * RATE) / RATE
    tone = (10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    found = analyse(np.stack([tone, tone]))
    assert found.loudness == pytest.approx(-23.0, abs=0.1)
    assert found.true_peak == pytest.approx(-23.0, abs=0.3)


def test_other_rates_and_mono_give_the_same():
    whole = bars(3)
    half = analyse(np.ascontiguousarray(whole[:1, ::2]), RATE // 2)
    found = analyse(whole)
    assert (half.bpm.value, half.timesignature.value) == (110, "3")
    assert half.keyscale.value == found.keyscale.value
    assert half.tuning == pytest.approx(found.tuning, abs=2)


def test_written_music_that_was_never_tuned_on():
    """Eight tracks of the numpy synthesiser; benchmarks/labels.py has all of them."""
    tempo, octave, keys, meters = [], [], [], []
    seeds = [seed for seed in range(HELD_OUT, HELD_OUT + 40) if seed % 3 == 0][:8]
    for seed in seeds:
        track = compose(seed, 40.0)
        found = analyse(render(track, 40.0))
        ratio = found.tempo / track.bpm
        tempo.append(abs(ratio - 1) < 0.04)
        octave.append(any(abs(ratio / other - 1) < 0.04 for other in OCTAVES))
        keys.append(mir_eval.key.weighted_score(track.keyscale, found.keyscale.value))
        meters.append(found.timesignature.value == track.timesignature)
    assert np.mean(tempo) >= 0.7 and np.mean(octave) >= 0.85
    assert np.mean(keys) >= 0.7 and np.mean(meters) >= 0.7


@pytest.mark.parametrize("seconds", [0.0, 1 / RATE, 5 / RATE, 0.5, 30.0])
def test_silence_says_nothing(seconds):
    found = analyse(np.zeros((2, round(seconds * RATE)), np.float32))
    for estimate in (found.bpm, found.keyscale, found.timesignature):
        assert (estimate.value, estimate.confidence) == (None, 0.0)
    assert found.tempo is found.loudness is found.true_peak is found.brightness is None
    assert not len(found.beats) and not len(found.downbeats)


@pytest.mark.parametrize("size", [1, 2, 100, 3000, RATE])
def test_a_few_samples_are_no_music(size):
    noise = np.random.default_rng(0).standard_normal((2, size)).astype(np.float32)
    found = analyse(noise)
    assert found.bpm.confidence < CONFIDENT and found.keyscale.confidence < CONFIDENT


def test_a_drone_has_no_beat():
    time = np.arange(20 * RATE) / RATE
    drone = 0.3 * np.sin(2 * np.pi * 220 * time)
    found = analyse(np.stack([drone, drone]))
    assert found.bpm.value is None and found.timesignature.value is None


def test_onsets_at_any_time_are_no_beat_for_sure():
    rng = np.random.default_rng(3)
    sound = np.zeros(40 * RATE)
    for at in rng.uniform(0, 39, 120):
        first = round(at * RATE)
        sound[first : first + 4800] += rng.standard_normal(4800) * np.exp(-np.arange(4800) / 600)
    assert analyse(np.stack([sound, sound])).bpm.confidence < 0.5


def test_constant_voltage_is_sane():
    found = analyse(np.full((2, 10 * RATE), 0.5, np.float32))
    assert found.bpm.confidence < CONFIDENT and found.keyscale.confidence < CONFIDENT


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_is_refused(bad):
    sound = clicks(120, 2.0)
    sound[1, 777] = bad
    with pytest.raises(AudioError, match="NaN or Inf") as refused:
        analyse(sound)
    assert refused.value.hint


@pytest.mark.parametrize("sound", [np.zeros(100), np.zeros((2, 10), int), np.zeros((0, 10))])
def test_what_is_not_audio_is_refused(sound):
    with pytest.raises(AudioError, match="not audio to analyse"):
        analyse(sound)


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(AudioError, match="0 Hz"):
        analyse(np.zeros((2, 10)), 0)


@pytest.mark.parametrize("wrong", [(120, 60), (0, 100), (100, 100), (float("nan"), 100)])
def test_a_range_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="tempo range"):
        analyse(np.zeros((2, 10)), bpm_range=wrong)


def test_beats_of_another_tracker_are_used():
    beats = np.arange(0.3, 37, 60 / 110)
    found = analyse(bars(4), beats=(beats, beats[::4]))
    assert found.bpm.source == "beat-this" and found.bpm.value == 110
    assert analyse(cadence(9, "minor"), beats=(beats, beats)).keyscale.value == "A minor"
