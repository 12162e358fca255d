import numpy as np
import pytest
from label_signals import RATE, clicks

from acestep.labellers import onsets
from acestep.labellers.onsets import FRAMES, band_edges, find_onsets, to_mono


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_mono_has_24_khz_and_the_same_tone(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    mono = to_mono(np.stack([tone, tone]), rate)
    assert abs(len(mono) - 24_000) <= 1
    wanted = np.sin(2 * np.pi * 440 * np.arange(len(mono)) / 24_000)
    assert np.abs(mono - wanted)[500:-500].max() < 0.01


def test_a_song_whose_sides_cancel_is_still_heard():
    sound = clicks(120)
    sound[1] *= -1
    assert np.abs(to_mono(sound, RATE)).max() > 0.1


def test_onsets_stand_where_clicks_do():
    found = find_onsets(to_mono(clicks(60, 12.0), RATE))
    for at in np.arange(1.5, 11.0):
        around = found.total[round((at - 0.3) * FRAMES) : round((at + 0.3) * FRAMES)]
        assert abs(around.argmax() / FRAMES - 0.3) <= 0.03


@pytest.mark.parametrize("hertz", [80, 500, 6000])
def test_a_tone_is_in_the_band_of_its_frequency(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE).astype(np.float32)
    low, high = band_edges()
    loudest = find_onsets(to_mono(np.stack([tone, tone]), RATE)).bands.mean(1).argmax()
    assert low[loudest] <= hertz <= high[loudest]


def test_vibrato_is_no_onset():
    time = np.arange(6 * RATE) / RATE
    swaying = np.sin(2 * np.pi * 440 * time + 8 * np.sin(2 * np.pi * 6 * time))
    found = find_onsets(to_mono(np.stack([swaying, swaying]).astype(np.float32), RATE))
    plain = find_onsets(to_mono(clicks(60, 6.0), RATE))
    assert (found.total[100:-50] > 2).mean() < (plain.total[100:-50] > 2).mean() + 0.1


def test_how_loud_a_song_is_does_not_matter():
    sound = clicks(100, 10.0)
    loud, soft = find_onsets(to_mono(sound, RATE)), find_onsets(to_mono(0.01 * sound, RATE))
    np.testing.assert_allclose(loud.total, soft.total, atol=0.05)


def test_blocks_of_frames_are_as_one(monkeypatch):
    mono = to_mono(clicks(100, 5.0), RATE)
    whole = find_onsets(mono)
    monkeypatch.setattr(onsets.spectra, "__defaults__", (37,))
    np.testing.assert_allclose(find_onsets(mono).total, whole.total, atol=1e-4)


def test_bands_lie_side_by_side():
    low, high = band_edges()
    np.testing.assert_allclose(low[1:], high[:-1])
    assert (high > low).all() and low[0] >= 0 and high[-1] < 12_000


@pytest.mark.parametrize("size", [0, 1, 100])
def test_nothing_and_little_are_sane(size):
    found = find_onsets(np.zeros(size, np.float32))
    assert np.isfinite(found.total).all() and not found.total.any()
