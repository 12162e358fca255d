import numpy as np
import pytest
from check_sounds import RATE, music, write, write_mp3

from acestep.checking.clipping import ceiling, flat_share
from acestep.checking.sound import read_sound


@pytest.mark.parametrize("seed", range(3))
def test_clean_music_is_not_clipped(tmp_path, seed):
    for audio in (music(4, seed), np.round(music(4, seed) * 2**15) / 2**15):
        assert flat_share(audio) < 1e-5 and ceiling(audio) < 1


def test_flat_tops_are_counted():
    # A sine cut at its half stays there for 120° of every 180°: two thirds of its samples, of
    # which the first of each run repeats nothing
    sine = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[None]
    share = flat_share(np.clip(sine, -0.5, 0.5))
    assert share == pytest.approx(2 / 3 - 2 * 440 / RATE, abs=2e-3)


@pytest.mark.parametrize("pitch", [30, 55, 110, 220])
def test_a_deep_sine_has_no_flat_tops(pitch):
    sine = 0.8 * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)[None]
    assert flat_share(np.round(sine * 2**15) / 2**15) == 0


def test_clipping_shows_after_turning_down_and_rounding(tmp_path):
    clipped = np.clip(4 * music(4), -1, 1)
    quiet = read_sound(write(tmp_path / "a.wav", 0.8 * clipped, subtype="PCM_16")).audio
    assert flat_share(clipped) > 1e-3
    assert flat_share(quiet) == pytest.approx(flat_share(clipped), rel=0.05)


def test_clipping_shows_after_encoding(tmp_path):
    loud = read_sound(write_mp3(tmp_path / "a.mp3", np.clip(4 * music(4), -1, 1))).audio
    clean = read_sound(write_mp3(tmp_path / "b.mp3", music(4))).audio
    assert ceiling(clean) < 1 < 1.2 < ceiling(loud)


@pytest.mark.parametrize("shape", [(2, 0), (1, 1), (2, 2), (2, 100)])
def test_nothing_is_not_clipped(shape):
    assert flat_share(np.zeros(shape, np.float32)) == 0 == ceiling(np.zeros(shape, np.float32))
