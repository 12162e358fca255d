"""The demo's folder of songs is what scan understands."""

import numpy as np
import pytest

from acestep.config import ScanConfig
from acestep.data.audio import inspect_audio, read_audio
from acestep.data.song import load_dataset
from acestep.mini.folder import FORMATS, write_songs
from acestep.mini.songs import STYLES, make_song
from acestep.scan import scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    written = list(write_songs(folder, "cumbia", 5, 3.0))
    return folder, written


def test_songs_in_five_formats_sound_as_they_were_rendered(folder):
    _, written = folder
    assert [file.suffix for file, _ in written] == list(FORMATS)
    for number, (file, song) in enumerate(written):
        audio, same = make_song("cumbia", number, 3.0)
        assert song == same
        heard = read_audio(file)
        assert inspect_audio(file).seconds == pytest.approx(3.0, abs=0.1)
        length = min(heard.shape[1], audio.shape[1])
        match = np.corrcoef(heard[0, :length], audio[0, :length])[0, 1]
        assert match > (0.9999 if file.suffix in (".wav", ".flac") else 0.97), file.name


def test_scan_finds_every_label_of_the_sidecars(folder, tmp_path):
    root, written = folder
    list(scan(ScanConfig(songs=root, output=tmp_path / "dataset.json", all_instrumental=True)))
    songs = {song.filename: song for song in load_dataset(tmp_path / "dataset.json").songs}
    assert len(songs) == 5
    for number, (file, song) in enumerate(written):
        found = songs[file.name]
        assert found.caption == STYLES["cumbia"].caption == song.caption
        assert found.instrumental and found.lyrics == "[Instrumental]"
        metas = (found.bpm, found.keyscale, found.timesignature)
        assert metas == ((94, song.keyscale, "4") if number % 2 == 0 else (None, None, None))


def test_writing_again_replaces_the_same_files(folder):
    root, written = folder
    before = sorted(root.iterdir())
    assert [file for file, _ in write_songs(root, "cumbia", 5, 3.0)] == [f for f, _ in written]
    assert sorted(root.iterdir()) == before
