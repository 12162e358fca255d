import numpy as np
import pytest
from label_signals import RATE, bars

from acestep.labellers.key import find_chroma
from acestep.labellers.onsets import find_onsets, to_mono
from acestep.labellers.pulse import ON, TOTAL, bar_evidence, look, meter_evidence, tempo_evidence


@pytest.fixture(scope="module")
def pulse():
    """Four to the bar at 110, kick and a new chord on one."""
    mono = to_mono(bars(4), RATE)
    beats = np.arange(0.3, 37.0, 60 / 110)
    return look(find_onsets(mono), find_chroma(mono), beats)


def test_beats_are_stronger_than_what_lies_between(pulse):
    means = pulse.strikes[:, TOTAL].mean(1)
    assert means.argmax() == ON and means[ON] > 3 * means[1:].max()
    assert pulse.bpm == pytest.approx(110)


def test_the_harmony_changes_on_one(pulse):
    phases = [pulse.change[phase::4][1:-1].mean() for phase in range(4)]
    assert int(np.argmax(phases)) == 0


def test_bars_repeat_after_their_length(pulse):
    assert pulse.repeats[4] > 0.5 and pulse.repeats[8] > 0.5
    assert max(pulse.repeats[lag] for lag in (1, 2, 3, 5, 6, 7, 9)) < pulse.repeats[4] - 0.3


def test_the_first_beat_of_a_bar_stands_out_by_kick_and_harmony(pulse):
    found = bar_evidence(pulse, 4)
    for name in ("low", "change", "next bar"):
        assert int(found[name].argmax()) == 0, name


def test_evidence_is_finite_and_names_its_meter(pulse):
    tempo = tempo_evidence(pulse, np.linspace(1, 0, 800))
    assert all(np.isfinite(value) for value in tempo.values())
    for meter in "346":
        found = meter_evidence(pulse, meter, tempo, 1.0)
        assert all(name.startswith(meter) and np.isfinite(value) for name, value in found.items())


def test_twice_as_slow_misses_half_of_the_strikes(pulse):
    mono = to_mono(bars(4), RATE)
    slow = look(find_onsets(mono), find_chroma(mono), pulse.beats[::2])
    flat = np.zeros(800)
    assert tempo_evidence(slow, flat)["half"] > tempo_evidence(pulse, flat)["half"] + 1
