import numpy as np
import pytest
from label_signals import RATE, clicks

from acestep.labellers.beats import autocorrelation, candidates, mean_bpm, track
from acestep.labellers.onsets import FRAMES, find_onsets, to_mono


@pytest.mark.parametrize("bpm", [61.7, 93.3, 120.0, 173.3])
def test_a_candidate_is_the_tempo_and_its_beats_are_the_clicks(bpm):
    onsets = find_onsets(to_mono(clicks(bpm), RATE))
    tempi = candidates(onsets)
    nearest = tempi[np.abs(np.log(tempi / bpm)).argmin()]
    beats = track(onsets.total, nearest)
    assert mean_bpm(beats) == pytest.approx(bpm, abs=0.1)
    truth = np.arange(0.5, 29.9, 60 / bpm)
    inner = beats[(beats > 1) & (beats < 29)]
    assert max(np.abs(truth - beat).min() for beat in inner) < 0.03


def test_beats_follow_a_tempo_that_drifts():
    times = 0.5 + np.cumsum(0.5 * (1 + 0.04 * np.sin(np.arange(60) / 8)))
    curve = np.zeros(3200, np.float32)
    curve[np.round(times * FRAMES).astype(int)] = 5
    beats = track(curve, 120.0)
    inner = times[(times > 1) & (times < 30)]
    assert max(np.abs(beats - at).min() for at in inner) <= 0.02


def test_beats_go_on_where_some_are_missing():
    curve = np.zeros(3000, np.float32)
    curve[50:3000:50] = 5
    curve[1000:1300] = 0
    beats = track(curve, 120.0)
    np.testing.assert_allclose(np.diff(beats), 0.5, atol=0.03)
    assert len(beats) >= 58


def test_the_mean_leaves_gaps_out():
    beats = np.concatenate([np.arange(0, 10, 0.5), np.arange(13.2, 20, 0.5)])
    assert mean_bpm(beats) == pytest.approx(120)


def test_autocorrelation_of_a_pulse_train_peaks_at_its_period():
    curve = np.zeros(4000, np.float32)
    curve[::40] = 1
    found = autocorrelation(curve, 200)
    assert found[0] == pytest.approx(1) and found[40] > 0.95 and found[20] < 0.1


def test_halves_and_doubles_are_candidates():
    tempi = candidates(find_onsets(to_mono(clicks(100), RATE)))
    for wanted in (50, 100, 200):
        assert np.abs(np.log(tempi / wanted)).min() < 0.04


@pytest.mark.parametrize("seconds", [0.0, 0.5, 10.0])
def test_silence_has_no_candidates(seconds):
    silence = np.zeros((2, round(seconds * RATE)), np.float32)
    assert not len(candidates(find_onsets(to_mono(silence, RATE))))
