import mutagen
import numpy as np
import pytest
import soundfile as sf
from sound_files import FORMATS, make_song, tone

from acestep.data.audio import inspect_audio
from acestep.data.tags import read_tags
from acestep.errors import AudioError

VORBIS = {
    "title": "Blau", "artist": ["A", "B"], "genre": "Jazz", "BPM": "92.5", "INITIALKEY": "Bbm",
    "lyrics": "one\r\ntwo",
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_vorbis_comments(tmp_path, suffix):
    path = make_song(tmp_path / f"song.{suffix}", 0.5)
    file = mutagen.File(path)
    file.update(VORBIS)
    file.save()
    assert read_tags(path) == {
        "title": "Blau", "artist": "A, B", "genre": "Jazz", "bpm": "92.5", "key": "Bbm",
        "lyrics": "one\ntwo",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["mp3", "wav"])
def test_id3(tmp_path, suffix):
    from mutagen.id3 import TBPM, TCON, TIT2, TKEY, USLT

    path = make_song(tmp_path / f"song.{suffix}", 0.5)
    file = mutagen.File(path)
    file.add_tags()
    file.tags.add(TIT2(encoding=3, text=["Blaß"]))
    file.tags.add(TBPM(encoding=3, text=["128"]))
    file.tags.add(TKEY(encoding=3, text=["F#m"]))
    file.tags.add(TCON(encoding=3, text=["17"]))
    file.tags.add(USLT(encoding=1, lang="deu", desc="x", text="ein\nzwei"))
    file.save()
    wanted = {"title": "Blaß", "bpm": "128", "key": "F#m", "genre": "Rock", "lyrics": "ein\nzwei"}
    assert read_tags(path) == wanted
    renamed = path.rename(tmp_path / "renamed.ogg")
    assert read_tags(renamed) == wanted


def test_flac_behind_an_id3_tag(tmp_path):
    from mutagen.id3 import ID3, TIT2

    path = make_song(tmp_path / "song.flac", 0.5)
    tags = ID3()
    tags.add(TIT2(encoding=3, text=["T"]))
    tags.save(path)
    assert read_tags(path) == {}
    assert inspect_audio(path).seconds == 0.5


def test_mp4_tags(tmp_path):
    from mutagen.mp4 import MP4FreeForm

    path = make_song(tmp_path / "song.m4a", 0.5)
    file = mutagen.File(path)
    file["\xa9nam"], file["tmpo"] = "Blau", [99]
    file["----:com.apple.iTunes:initialkey"] = MP4FreeForm(b"Am")
    file.save()
    assert read_tags(path) == {"title": "Blau", "bpm": "99", "key": "Am"}


def test_riff_info(tmp_path):
    with sf.SoundFile(tmp_path / "song.wav", "w", 48_000, 2) as file:
        file.title = "Blau"
        file.write(tone(0.5).T)
    assert read_tags(tmp_path / "song.wav") == {"title": "Blau"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_tags_is_an_empty_answer_and_damage_an_audio_error(tmp_path, suffix):
    path = make_song(tmp_path / f"song.{suffix}", 0.5)
    assert read_tags(path) == {}
    rng = np.random.default_rng(1)
    data = bytearray(path.read_bytes())
    for _ in range(30):
        broken = bytearray(data)
        for at in rng.integers(0, min(400, len(data)), 12):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        for read in (read_tags, inspect_audio):
            try:
                read(path)
            except AudioError as error:
                assert "song." in str(error)
