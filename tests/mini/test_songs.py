"""Songs: deterministic, on the small model's grid, each with its own melody."""

import numpy as np
import pytest

from acestep.mini.songs import STYLES, Key, compose, make_song
from acestep.mini.synth import BASS_TOP, BEAT_FRAMES, PEAK, PITCH_GRID, RATE, Drum, Voice


@pytest.mark.parametrize("style", STYLES)
def test_a_song_is_stereo_of_the_asked_length_and_deterministic(style):
    audio, song = make_song(style, 3, 6.0)
    again, same = make_song(style, 3, 6.0)
    assert audio.shape == (2, 6 * RATE) and audio.dtype == np.float32
    assert np.array_equal(audio, again) and song == same
    assert np.abs(audio).max() == pytest.approx(PEAK, abs=1e-4)
    assert not np.array_equal(audio[0], audio[1])
    assert song.bpm in BEAT_FRAMES
    assert song.caption and song.keyscale in STYLES[style].keys


def test_a_longer_song_begins_as_the_shorter_one():
    style = STYLES["cumbia"]
    short, long = compose(style, 5, 4), compose(style, 5, 8)
    assert long.notes[: len(short.notes)] == short.notes


def test_every_pitch_lies_on_the_grid_and_in_the_key():
    for style in STYLES.values():
        song = compose(style, 1, 8)
        key = Key(song.keyscale)
        scale = {key.pitch(degree, 0) for degree in range(-7, 77)}
        for note in song.notes:
            if isinstance(note.player, Voice):
                grid = PITCH_GRID if note.pitch >= BASS_TOP else PITCH_GRID / 2
                assert note.pitch % grid == 0
                assert note.pitch in scale
            else:
                assert isinstance(note.player, Drum) and note.pitch == 0


def test_key_pitches_are_the_tempered_ones_up_to_the_grid():
    assert Key("A minor").pitch(0, 4) == 437.5  # 440 Hz on a grid of 6.25
    assert Key("C major").pitch(7, 4) == Key("C major").pitch(0, 5) == 525
    assert Key("A minor").pitch(2, 4) == Key("C major").pitch(0, 5)  # the minor third


def test_seeds_differ_in_key_and_melody_but_not_in_tempo():
    songs = [compose(STYLES["cumbia"], seed, 8) for seed in range(8)]
    assert {song.bpm for song in songs} == {94}
    assert len({song.keyscale for song in songs}) == 3
    melodies = [[note.pitch for note in song.notes if note.pitch > 500] for song in songs]
    assert len({tuple(melody) for melody in melodies}) == 8


def test_melody_enters_after_a_bar_and_bars_one_and_two_share_their_rhythm():
    style = STYLES["techno"]
    lead = [note for note in compose(style, 2, 4).notes if note.player == style.lead]
    bars = [[note.start % 16 for note in lead if note.start // 16 == bar] for bar in range(4)]
    assert not bars[0] and bars[1] == bars[2]
    assert bars[1]


def test_the_first_beat_is_at_sample_zero():
    audio, _ = make_song("techno", 0, 4.0)
    assert np.abs(audio[:, :240]).max() > 0.05  # the kick, within 5 ms
