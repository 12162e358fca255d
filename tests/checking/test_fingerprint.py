from itertools import combinations

import numpy as np
import pytest
import soxr
from check_sounds import RATE, music, write_aac, write_mp3, write_ogg

from acestep.checking.fingerprint import SAME, SHORTEST, STEPS, best_match, fingerprint
from acestep.checking.sound import mono, read_sound

SECONDS = 24.0


@pytest.fixture(scope="module")
def song():
    return music(SECONDS, 1)


def print_of(audio, rate=RATE):
    return fingerprint(mono(audio), rate)


def match_with(song, path):
    copy = read_sound(path)
    return best_match(print_of(song), print_of(copy.audio, copy.rate))


def test_it_is_signs_ten_times_a_second(song):
    signs = print_of(song)
    assert signs.dtype == np.int8 and set(np.unique(signs)) <= {-1, 0, 1}
    assert signs.shape == (pytest.approx((SECONDS - 2) * STEPS, abs=2), 16)
    assert abs(signs.mean()) < 0.1  # as many rise as fall


def test_a_song_is_itself(song):
    match = best_match(print_of(song), print_of(song))
    assert match.errors == pytest.approx(0, abs=1e-6) and match.shift == 0
    assert match.seconds == pytest.approx(SECONDS - 2, abs=0.2)


COPIES = {
    "mp3": lambda path, copy: write_mp3(path / "a.mp3", copy),
    "mp3 64": lambda path, copy: write_mp3(path / "a.mp3", copy, level=0.9),
    "vorbis": lambda path, copy: write_ogg(path / "a.ogg", copy),
    "opus": lambda path, copy: write_ogg(path / "a.ogg", copy, "OPUS", 0.9),
    "aac": lambda path, copy: write_aac(path / "a.aac", copy, 96_000),
}


@pytest.mark.parametrize("copy", COPIES)
def test_encoded_shifted_and_turned_down_it_is_the_same(song, tmp_path, copy):
    shift = round(1.237 * RATE)
    match = match_with(song, COPIES[copy](tmp_path, 0.5 * song[:, shift:]))
    assert match.errors < 0.05
    assert match.shift == pytest.approx(-1.237, abs=0.1)


def test_another_rate_and_mono_are_the_same(song):
    copy = soxr.resample(song.mean(0), RATE, 44_100)
    assert best_match(print_of(song), print_of(copy[None], 44_100)).errors < 0.05


def test_an_excerpt_is_found_in_its_song(song):
    excerpt = song[:, 7 * RATE : 22 * RATE]
    match = best_match(print_of(excerpt), print_of(song))
    assert match.errors < 0.05 and match.shift == pytest.approx(7, abs=0.1)


def test_other_tunes_of_the_same_sound_are_others():
    prints = [print_of(music(SECONDS, seed)) for seed in range(2, 6)]
    errors = [best_match(one, other).errors for one, other in combinations(prints, 2)]
    assert min(errors) > SAME + 0.12 and np.mean(errors) == pytest.approx(0.45, abs=0.05)


def test_short_songs_are_compared_nearly_as_a_whole():
    one, other = music(SHORTEST - 3, 8), music(SHORTEST - 3, 9)
    copy = best_match(print_of(one), print_of(0.5 * one[:, RATE // 2 :]))
    assert copy is not None and copy.errors < 0.05
    stranger = best_match(print_of(one), print_of(other))
    assert stranger is not None and stranger.errors > SAME + 0.1


@pytest.mark.parametrize("audio", [np.zeros((2, 20 * RATE), np.float32), music(5.0)])
def test_silence_and_clips_match_nothing(audio, song):
    assert best_match(print_of(audio), print_of(song)) is None
    assert best_match(print_of(song), print_of(audio)) is None
    assert best_match(print_of(audio), print_of(audio)) is None
