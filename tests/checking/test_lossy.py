import numpy as np
import pytest
import soxr
from check_sounds import RATE, music, write_aac, write_mp3, write_ogg

from acestep.checking.lossy import CLIFF, FLOOR, cliff, loud_level
from acestep.checking.sound import mono, read_sound, spectra


def found(audio, rate=RATE):
    return cliff(spectra(mono(audio), rate), rate)


def found_in(path):
    sound = read_sound(path)
    return found(sound.audio, sound.rate)


@pytest.mark.parametrize("seed", range(4))
def test_clean_music_has_no_cliff(seed):
    assert found(music(4, seed))[1] < 20
    assert found(music(4, seed, 44_100), 44_100)[1] < 20


# The encoders' low passes: LAME's 20.2, 17.0 and 11.0 kHz at 320, 128 and 64 kbit/s and the like
@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (lambda path: write_mp3(path / "a.mp3", music(4), level=0.0), 19_500, 20_800),
        (lambda path: write_mp3(path / "a.mp3", music(4), level=0.7), 15_000, 17_500),
        (lambda path: write_mp3(path / "a.mp3", music(4), level=0.9), 10_500, 12_000),
        (lambda path: write_ogg(path / "a.ogg", music(4), "OPUS"), 19_500, 20_500),
        (lambda path: write_aac(path / "a.aac", music(4), 96_000), 14_500, 19_000),
    ],
    ids=["mp3 320", "mp3 128", "mp3 64", "opus", "aac 96"],
)
def test_encoders_leave_a_cliff(tmp_path, make, low, high):
    edge, drop = found_in(make(tmp_path))
    assert drop > CLIFF and low < edge < high


def test_a_low_sample_rate_leaves_a_cliff_after_converting():
    low = soxr.resample(music(4).T, RATE, 22_050)
    edge, drop = found(soxr.resample(low, 22_050, RATE).T)
    assert drop > 60 and edge == pytest.approx(10_700, abs=400)


def test_a_file_of_cd_rate_that_was_converted_is_no_lossy_one():
    audio = soxr.resample(soxr.resample(music(4).T, RATE, 44_100), 44_100, RATE).T
    assert found(audio)[1] < CLIFF


@pytest.mark.parametrize(
    "audio", [np.zeros((2, RATE), np.float32), np.full((1, 1), 0.5, np.float32)]
)
def test_nothing_to_look_at(audio):
    assert found(audio)[1] < CLIFF
    assert found(audio, 8000) == (0.0, 0.0)


def test_levels_are_below_the_loudest():
    level = loud_level(spectra(mono(music(2)), RATE))
    assert level.max() == 0 and level.min() >= FLOOR
