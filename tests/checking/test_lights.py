"""The guide's table as traffic lights, on files that the test writes."""

import json

import numpy as np
import pytest

from acestep.checking.lights import (
    SongFacts,
    dataset_lights,
    lights,
    listen,
    tensor_lights,
    variety,
)
from acestep.checking.timbre import SPREAD, Timbre
from acestep.data.song import load_dataset

RATE = 48_000


def write(path, audio, rate=RATE, subtype="PCM_24"):
    import soundfile

    soundfile.write(path, audio, rate, subtype=subtype)
    return path


def colours(songs):
    return {light.item: light.colour for light in lights(songs)}


@pytest.mark.parametrize(
    ("count", "colour"), [(0, "red"), (4, "red"), (5, "amber"), (7, "amber"), (8, "green")]
)
def test_songs(count, colour):
    assert colours([SongFacts(240)] * count)["songs"] == colour


@pytest.mark.parametrize(("minutes", "colour"), [(14, "red"), (16, "amber"), (31, "green")])
def test_length_together(minutes, colour):
    assert colours([SongFacts(60.0)] * minutes)["total length"] == colour


def test_song_length_rate_and_depth():
    assert colours([SongFacts(40)] * 9)["song length"] == "red"
    assert colours([SongFacts(40)] + [SongFacts(200)] * 9)["song length"] == "amber"
    assert colours([SongFacts(0)] * 9)["song length"] == "grey"
    for rate, colour in ((32_000, "red"), (44_100, "amber"), (48_000, "green"), (96_000, "green")):
        assert (
            colours([SongFacts(200, 48_000, 24), SongFacts(200, rate, 24)])["sample rate"] == colour
        )
    assert colours([SongFacts(200, RATE, 8)])["bit depth"] == "red"
    assert colours([SongFacts(200, RATE, None)])["bit depth"] == "green"
    unknown = colours([SongFacts(200)] * 9)
    assert unknown["sample rate"] == unknown["bit depth"] == unknown["consistency"] == "grey"


def test_variety_is_in_deviations_of_music_at_large():
    rng = np.random.default_rng(0)
    for share in (0.3, 1.0):
        timbres = [Timbre(*(share * SPREAD * rng.standard_normal(10))) for _ in range(400)]
        assert variety(timbres) == pytest.approx(share, rel=0.05)
    assert variety([]) is None and variety([Timbre(*[0.0] * 10)] * 2) is None
    alike = [
        SongFacts(200, RATE, 24, Timbre(*(0.3 * SPREAD * rng.standard_normal(10)))) for _ in "abcd"
    ]
    mixed = [
        SongFacts(200, RATE, 24, Timbre(*(2.0 * SPREAD * rng.standard_normal(10)))) for _ in "abcd"
    ]
    assert colours(alike)["consistency"] == "green" and colours(mixed)["consistency"] == "red"


def test_a_dataset_is_listened_to(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(3):  # three takes of one noise
        write(tmp_path / f"{n}.wav", 0.1 * rng.standard_normal(2 * RATE), subtype="PCM_16")
    (tmp_path / "empty.wav").touch()
    files = ["0.wav", "1.wav", "2.wav", "empty.wav", "gone.wav"]
    songs = [{"audio_path": file, "caption": "x", "duration": 130} for file in files]
    (tmp_path / "d.json").write_text(json.dumps({"dataset_name": "d", "samples": songs}))
    found = {light.item: light for light in dataset_lights(load_dataset(tmp_path / "d.json"))}
    assert found["songs"].found == "5" and found["songs"].colour == "amber"
    assert found["bit depth"].found == "16 bit" and found["sample rate"].colour == "green"
    assert found["consistency"].colour == "green" and "%" in found["consistency"].found
    assert found["total length"].as_dict()["minimum"] == "15 min"
    assert listen(tmp_path / "silent.wav", 3.0) == SongFacts(3.0)


def test_tensors_find_their_songs_again(tmp_path):
    from training_data import tiny_tensors

    folder = tiny_tensors(tmp_path / "tensors")
    found = {light.item: light for light in tensor_lights(folder)}
    assert found["songs"].found == "4" and found["sample rate"].colour == "grey"
    assert found["song length"].colour == "red"


def test_silence_and_one_channel_are_no_trouble(tmp_path):
    path = write(tmp_path / "s.wav", np.zeros(RATE), 44_100)
    assert listen(path, 0.0).rate == 44_100 and listen(path, 0.0).seconds == pytest.approx(
        1.09, abs=0.01
    )
