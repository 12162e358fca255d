"""The synthesiser keeps to the small model's grid of time and pitch."""

import numpy as np
import pytest

from acestep.mini.synth import (
    BEAT_FRAMES,
    PEAK,
    RATE,
    Drum,
    Note,
    Voice,
    beat_seconds,
    exact_bpm,
    on_grid,
    render,
)

ORGAN = Voice(tilt=1.0, dark_tilt=1.0)


def test_captioned_tempi_are_the_exact_ones_rounded():
    assert [round(exact_bpm(bpm)) for bpm in BEAT_FRAMES] == [62, 75, 94, 107, 125, 150, 188]
    assert exact_bpm(94) == 93.75 and beat_seconds(94) == 0.64


def test_pitches_go_to_the_nearest_of_the_grid():
    assert on_grid(440) == 437.5 and on_grid(441) == 443.75
    assert on_grid(100) == 100 and on_grid(98) == 96.875  # finer in the bass
    assert on_grid(0.1) == 3.125


def test_a_sustained_tone_repeats_every_four_latents():
    audio = render((Note(0, 32, 450.0, ORGAN, 0.0),), 125, 2.0, reverb=0.0)[0]
    period = round(4 * 0.04 * RATE)
    cycle, next_cycle = audio[period : 2 * period], audio[2 * period : 3 * period]
    assert cycle == pytest.approx(next_cycle, abs=0.02)
    assert np.corrcoef(cycle, np.roll(cycle, 137))[0, 1] < 0.9


def test_a_tone_has_its_frequency_and_begins_at_phase_zero():
    pure = Voice(harmonics=(1,), attack=0.001)
    audio = render((Note(0, 32, 1000.0, pure, 0.0),), 125, 1.0, reverb=0.0)[0]
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() == 1000  # one second: bins of one hertz
    assert audio[0] == 0 and audio[1] > 0


def test_notes_sound_at_their_sixteenth_and_place():
    left = render((Note(4, 1, 0.0, Drum(noise=1.0, decay=0.01), -1.0),), 125, 1.0, reverb=0.0)
    start = round(beat_seconds(125) * RATE)
    assert not left[:, :start].any() and np.abs(left[0, start : start + 480]).max() > 0.5
    assert np.abs(left[1]).max() < 1e-6
    assert np.abs(left).max() == pytest.approx(PEAK)


def test_reverb_rings_after_the_notes():
    stroke = (Note(0, 1, 0.0, Drum(noise=1.0, decay=0.005), 0.0),)
    dry, wet = (render(stroke, 125, 1.0, reverb=amount) for amount in (0.0, 0.5))
    late = slice(round(0.1 * RATE), None)
    assert np.abs(dry[:, late]).max() < 1e-6 < np.abs(wet[:, late]).max()


def test_silence_stays_silence():
    assert not render((), 125, 0.5).any()
