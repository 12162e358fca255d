import numpy as np
import torch

from acestep.mini.train import vae_data
from acestep.mini.train.vae_data import Pool, crops, held_out_songs, training_song

SILENCE = np.zeros((2, 48_000), np.float32)


def test_what_a_pool_holds_depends_on_the_step_alone():
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    pool = Pool(make, 3, 2)
    assert pool.at(0) == pool.at(1) == [0, 1, 2]
    assert pool.at(2) == [3, 1, 2] and pool.at(4) == [3, 4, 2] and pool.at(8) == [6, 4, 5]
    assert made == [0, 1, 2, 3, 4, 6, 5]
    assert Pool(make, 3, 2).at(8) == [6, 4, 5]


def test_songs_are_of_both_kinds_quieter_or_louder(monkeypatch):
    kinds = []

    def sampled(song):
        kinds.append("sampled")
        return np.full((2, 48_000), 0.5, np.float32)

    def plain(song):
        kinds.append("plain")
        return np.full((2, 48_000), 0.5, np.float32)

    monkeypatch.setattr(vae_data, "has_fluidsynth", lambda: True)
    monkeypatch.setattr(vae_data, "render_soundfont", sampled)
    monkeypatch.setattr(vae_data, "render", plain)
    monkeypatch.setattr(vae_data, "render_parts", lambda song: {"bass": plain(song)})
    songs = [training_song(number, 1.0) for number in range(60)]
    assert 12 < kinds.count("sampled") < 36
    peaks = torch.stack([song.abs().max() for song in songs])
    assert peaks.min() < 0.25 and 0.45 < peaks.max() <= 0.5
    assert any((song == 0).any() for song in songs)
    assert torch.equal(training_song(7, 1.0), songs[7])
    kinds.clear()
    assert all(training_song(number, 1.0, 1.0).any() for number in range(5))
    assert kinds == ["sampled"] * 5


def test_rare_sounds_are_drawn_more_often(monkeypatch):
    heard = []
    monkeypatch.setattr(vae_data, "has_fluidsynth", lambda: True)
    monkeypatch.setattr(vae_data, "render_soundfont", lambda song: heard.append(song) or SILENCE)
    for number in range(60):
        training_song(number, 1.0, 1.0)
    rare = [song for song in heard if song.style in vae_data.RARE_STYLES]
    assert 0.3 < len(rare) / len(heard) < 0.6


def test_crops_are_of_the_songs_and_of_the_generator():
    songs = [torch.full((2, 100), float(number)) for number in range(4)]
    one = crops(songs, 6, 10, torch.Generator().manual_seed(1))
    assert one.shape == (6, 2, 10) and len({float(crop[0, 0]) for crop in one}) > 1
    assert torch.equal(one, crops(songs, 6, 10, torch.Generator().manual_seed(1)))


def test_held_out_songs_are_one_of_each_style():
    songs, tempi = held_out_songs(1.0)
    assert songs.shape == (len(tempi), 2, 48_000) and songs.dtype == torch.float32
