"""A folder of songs is what scan understands."""

import numpy as np
import pytest

from acestep.config import ScanConfig
from acestep.data.audio import inspect_audio, read_audio
from acestep.data.song import load_dataset
from acestep.mini.corpus import TESTS, render
from acestep.mini.folder import FORMATS, songs_of, write_songs
from acestep.scan import scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    assert list(write_songs(folder, "cumbia", 5, 3.0)) == [
        file for file, _ in songs_of(folder, "cumbia", 5, 3.0)
    ]
    return folder, songs_of(folder, "cumbia", 5, 3.0)


def test_songs_differ_in_key_and_tempo_and_none_was_trained_on(folder):
    _, songs = folder
    assert len({song.bpm for _, song in songs}) > 2
    assert len({song.keyscale for _, song in songs}) > 2
    assert all(song.seed >= TESTS and song.style == "cumbia" for _, song in songs)


def test_songs_in_five_formats_sound_as_they_were_rendered(folder):
    _, songs = folder
    assert [file.suffix for file, _ in songs] == list(FORMATS)
    for file, song in songs:
        audio, heard = render(song), read_audio(file)
        assert inspect_audio(file).seconds == pytest.approx(3.0, abs=0.1)
        length = min(heard.shape[1], audio.shape[1])
        match = np.corrcoef(heard[0, :length], audio[0, :length])[0, 1]
        assert match > (0.9999 if file.suffix in (".wav", ".flac") else 0.97), file.name


def test_scan_finds_every_label_of_the_sidecars(folder, tmp_path):
    root, songs = folder
    list(scan(ScanConfig(songs=root, output=tmp_path / "dataset.json", all_instrumental=True)))
    found = {song.filename: song for song in load_dataset(tmp_path / "dataset.json").songs}
    assert len(found) == 5
    for number, (file, song) in enumerate(songs):
        read = found[file.name]
        assert read.caption == (song.caption if number % 2 == 0 else "")
        assert read.instrumental and read.lyrics == "[Instrumental]"
        labels = (song.bpm, song.keyscale, "4") if number % 2 == 0 else (None, None, None)
        assert (read.bpm, read.keyscale, read.timesignature) == labels


def test_writing_again_replaces_the_same_files(folder):
    root, _ = folder
    before = sorted(root.iterdir())
    list(write_songs(root, "cumbia", 5, 3.0))
    assert sorted(root.iterdir()) == before
