import numpy as np
import pytest
from style_folders import RATE, music

from acestep.judging.nuisances import KINDS, MOST, copied_rows, halves, nuisance_copies


def level(audio, low, high):
    spectrum = np.abs(np.fft.rfft(audio.mean(0))) ** 2
    hertz = np.fft.rfftfreq(audio.shape[1], 1 / RATE)
    return 10 * np.log10(spectrum[(hertz >= low) & (hertz < high)].sum())


@pytest.fixture(scope="module")
def copies():
    return nuisance_copies(music("rock", 0), RATE)


def test_there_is_a_copy_of_each_kind(copies):
    audio = music("rock", 0)
    assert copies.keys() == KINDS.keys()
    for copy in copies.values():
        assert len(copy) == 2 and abs(copy.shape[1] - audio.shape[1]) < 0.1 * RATE
        assert np.isfinite(copy).all() and np.abs(copy).max() > 0.01


def test_what_each_does(copies):
    audio = music("rock", 0)
    assert np.array_equal(*copies["mono"])
    tilted = [level(copies[kind], 3000, 3400) - level(copies[kind], 190, 210)
              for kind in ("brighter", "darker")]  # fmt: skip
    assert np.diff(tilted)[0] == pytest.approx(-16, abs=0.5)  # 4 octaves, 4 dB each
    assert level(copies["nothing above 8 kHz"], 9000, 12000) < level(audio, 9000, 12000) - 30

    def crest(sound):
        return np.abs(sound).max() / np.sqrt(np.mean(sound**2))

    assert crest(copies["limited"]) < 0.8 * crest(audio)


def test_two_clips_of_each_song_are_copied():
    assert copied_rows(["a", "a", "a", "b", "c", "c"]) == [0, 2, 3, 4, 5]
    assert copied_rows([]) == []


def test_of_many_songs_not_all_are_copied():
    names = [f"{number // 3}" for number in range(300)]
    rows = copied_rows(names)
    assert len(set(rows)) == len(rows) == MOST
    assert rows == sorted(rows) and max(rows) < 300


def test_halves():
    one, other = halves(np.arange(10.0).reshape(1, 10))
    assert one.tolist() == [[0, 1, 2, 3, 4]] and other.tolist() == [[5, 6, 7, 8, 9]]
