"""Songs as judges know them: variants left out, excerpts spread over what is there."""

import pytest
import torch

from acestep.data.tensors import Sample
from acestep.judging.songs import common_length, cut_excerpts, taught_songs


def sample(song, seconds, start=0.0, origin="", name=None, **labels):
    """Latents that count their frames, so that one sees where an excerpt is from."""
    frames = round(25 * seconds)
    latents = (torch.arange(frames).float() + 25 * start)[:, None].repeat(1, 4)
    metadata = {"filename": name or f"{song}.wav", **labels}
    empty = torch.zeros(1, 4)
    return Sample(song, song, latents, empty, empty, metadata, origin, 1.0, start)


def test_variants_are_left_out_and_a_song_of_variants_only_is_its_first():
    songs = taught_songs(
        [sample("b", 20), sample("a fast", 18, origin="a"), sample("a", 20),
         sample("c slow", 25, origin="c"), sample("c fast", 15, origin="c")]
    )  # fmt: skip
    assert [(song.id, song.seconds) for song in songs] == [("a", 20), ("b", 20), ("c", 25)]


def test_segments_are_one_song_in_the_order_of_time():
    (song,) = taught_songs([sample("a", 30, start=30), sample("a", 30), sample("a", 15, start=60)])
    assert song.seconds == 75
    assert [part.start for part in song.samples] == [0, 30, 60]
    assert [excerpt.start for excerpt in cut_excerpts([song], 10)] == [0, 10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(8, [0]), (10, [0]), (12, [1]), (25, [2.48, 12.48]), (40, [0, 10, 20, 30])],
)
def test_excerpts_lie_in_the_middle_of_what_is_there(seconds, starts):
    excerpts = cut_excerpts(taught_songs([sample("a", seconds)]), 10)
    assert [excerpt.start for excerpt in excerpts] == pytest.approx(starts)
    for excerpt in excerpts:
        assert len(excerpt.latents) == min(250, 25 * seconds)
        assert excerpt.latents[0, 0] == pytest.approx(25 * excerpt.start)


def test_all_songs_give_the_same_number_and_few_in_all():
    songs = taught_songs([sample(f"song {n}", 240 + n) for n in range(10)])
    excerpts = cut_excerpts(songs, 10)
    counts = {song.id: sum(e.song == song.id for e in excerpts) for song in songs}
    assert set(counts.values()) == {6}
    starts = [e.start for e in excerpts if e.song == "song 0"]
    assert starts[0] < 5 and starts[-1] > 220


def test_the_length_of_clips_follows_the_songs_within_limits():
    for seconds, expected in ((3, 10), (12.6, 12), (200, 30)):
        assert common_length(taught_songs([sample("a", seconds)]), 10, 30) == expected


def test_the_file_is_known_only_if_it_is_there(tmp_path):
    there = tmp_path / "a.wav"
    there.write_bytes(b"x")
    songs = taught_songs(
        [sample("a", 10, audio_path=str(there)), sample("b", 10, audio_path="/no/b.wav"),
         sample("c", 10, audio_path=7)]
    )  # fmt: skip
    assert [song.path for song in songs] == [there, None, None]
