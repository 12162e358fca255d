from dataclasses import replace

import numpy as np
import pytest
from check_sounds import RATE, music

from acestep.checking.signal import measure
from acestep.checking.sound import Sound
from acestep.checking.whole import Measured, whole_findings


def measured(name, audio, bpm=None, family=""):
    return Measured(name, measure(Sound(np.asarray(audio, np.float32), RATE)), bpm, family)


@pytest.fixture(scope="module")
def songs():
    return [measured(f"{seed}.wav", music(16, seed)) for seed in range(4)]


def found(songs):
    return {finding.code: finding for finding in whole_findings(songs)}


def test_different_songs_of_one_style_have_no_findings(songs):
    assert found(songs) == {}
    assert found(songs[:1]) == {} == found([])


def test_a_copy_is_named_with_its_original(songs):
    finding = found([*songs, measured("copy.wav", 0.6 * music(16, 2))])["duplicate"]
    assert finding.song == "copy.wav" and "2.wav" in finding.message and finding.value < 0.05


def test_an_excerpt_is_none_of_a_duplicate(songs):
    excerpt = measured("cut.wav", music(16, 2)[:, : 14 * RATE])
    assert found([songs[2], excerpt]).keys() == {"excerpt"}


def test_variants_made_on_purpose_are_no_copies(songs):
    copy = replace(songs[2], name="variant.wav", family="2")
    assert found([replace(songs[2], family="2"), copy]) == {}
    assert "duplicate" in found([replace(songs[2], family="2"), replace(copy, family="3")])


def test_a_song_much_louder_than_the_others(songs):
    softer = [measured(song.name, 0.3 * music(16, seed)) for seed, song in enumerate(songs[:3])]
    finding = found([*softer, songs[3]])["loudness"]
    assert finding.song == "3.wav"
    assert finding.value == pytest.approx(-20 * np.log10(0.3), abs=1.0)


def test_the_song_of_another_style_is_named(songs):
    organ = np.sin(2 * np.pi * 196 * np.arange(16 * RATE) / RATE)
    finding = found([*songs, measured("organ.wav", 0.2 * np.stack([organ, 0.8 * organ]))])
    assert finding["odd-one-out"].song == "organ.wav"
    assert "timbre" in finding["odd-one-out"].message


@pytest.mark.parametrize(
    ("tempi", "odd"),
    [
        ((80, 82, 84, 120), True),
        ((80, 82, 84, 165), False),  # an octave is no other tempo
        ((60, 75, 90, 110), False),
        ((80, None, None, 120), False),
        ((80, 80, 80, 84), False),
    ],
)
def test_tempi(songs, tempi, odd):
    timed = [replace(song, bpm=bpm) for song, bpm in zip(songs, tempi, strict=True)]
    finding = found(timed)
    assert ("odd-one-out" in finding) == odd
    assert not odd or finding["odd-one-out"].song == "3.wav"
