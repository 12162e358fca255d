"""Styles and kits are complete: patterns fill their bars, whoever plays is known."""

import pytest

from acestep.mini.styles import DRUMS, HELD_OUT, STYLES, VOICES
from acestep.model.tasks import TRACKS

ALL = {**STYLES, **HELD_OUT}


@pytest.mark.parametrize("name", ALL)
def test_patterns_fill_their_bars(name):
    for groove in ALL[name].grooves:
        steps = {"4": 16, "3": 12, "6": 12}[groove.timesignature]
        for pattern in (groove.chords, groove.bass, *(pattern for _, pattern in groove.drums)):
            assert len(pattern) == steps
            assert pattern[0] != "-"  # nothing is held on from the bar before
        assert set(groove.chords) <= set("x.-") and "x" in groove.chords
        assert set(groove.bass) <= set("1358.-") and "1" in groove.bass
        assert all(set(pattern) <= set("x.") for _, pattern in groove.drums)


@pytest.mark.parametrize("name", ALL)
def test_whoever_plays_is_known(name):
    style = ALL[name]
    voices = {"voice": "voice-a"}
    assert {voices.get(lead, lead) for lead in style.leads} <= set(VOICES)
    assert set(style.chords) <= set(VOICES) and VOICES[style.bass].track == "bass"
    drums = {drum for groove in style.grooves for drum, _ in groove.drums}
    assert drums <= set(DRUMS) and bool(drums) == bool(style.drums)


@pytest.mark.parametrize("name", ALL)
def test_tempi_and_shares_are_in_range(name):
    style = ALL[name]
    low, high = style.bpm
    assert 60 <= low < high <= 180
    assert 0 <= style.minor <= 1 and 0 <= style.busy <= 1 and style.mood and min(style.levels) > 0


def test_held_out_styles_are_others():
    assert not set(STYLES) & set(HELD_OUT)
    assert "cumbia" in HELD_OUT and len(STYLES) == 12 and len(HELD_OUT) == 5
    grooves = {groove for style in STYLES.values() for groove in style.grooves}
    assert not grooves & {groove for style in HELD_OUT.values() for groove in style.grooves}
    moods = [style.mood for style in ALL.values()]
    assert len(set(moods)) == len(moods)


def test_together_they_have_all_metres_and_tempi():
    metres = {groove.timesignature for style in STYLES.values() for groove in style.grooves}
    assert metres == {"3", "4", "6"}
    covered = {bpm for style in STYLES.values() for bpm in range(style.bpm[0], style.bpm[1] + 1)}
    assert covered == set(range(60, 181))


def test_instruments_have_a_stem_and_a_place_in_general_midi():
    assert {voice.track for voice in VOICES.values()} <= set(TRACKS)
    assert all(0 <= voice.program < 128 for voice in VOICES.values())
    assert all(27 <= drum.key <= 87 for drum in DRUMS.values())
    nouns = {name: voice.noun for name, voice in VOICES.items() if not voice.vowel}
    assert len(set(nouns.values())) == len(nouns)
