"""Hostile files: each is read for what is in it, or gives its own AudioError."""

import os

import numpy as np
import pytest
import soundfile as sf
from sound_files import FORMATS, cut, lying_flac, make_song, ten_hour_wav, tone

from acestep.data.audio import RATE, inspect_audio, read_audio
from acestep.data.decode import decode
from acestep.errors import AudioError


def test_blocks_are_of_the_first_two_channels_at_the_rate_of_the_file(tmp_path):
    sf.write(tmp_path / "song.wav", tone(4.0, 44_100, 6).T, 44_100, subtype="FLOAT")
    with decode(tmp_path / "song.wav") as source:
        blocks = list(source.blocks)
        assert (source.rate, source.channels, source.declared) == (44_100, 6, 4.0)
    assert len(blocks) > 1 and {block.shape[1] for block in blocks} == {2}
    assert np.array_equal(np.concatenate(blocks).T, tone(4.0, 44_100, 6)[:2])


@pytest.mark.parametrize("claimed", [".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a"])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg", "opus", "m4a"])
def test_the_content_counts_and_not_the_suffix(tmp_path, suffix, claimed):
    path = make_song(tmp_path / f"song.{suffix}", 0.5)
    renamed = path.rename(tmp_path / f"renamed{claimed}")
    assert inspect_audio(renamed).seconds == pytest.approx(0.5, abs=0.05)
    assert read_audio(renamed).shape[0] == 2


def test_a_ten_hour_header_over_a_second_of_sound(tmp_path):
    assert inspect_audio(ten_hour_wav(tmp_path / "ten.wav")).seconds == 1.0
    assert read_audio(tmp_path / "ten.wav").shape == (2, RATE)


def test_flac_with_a_wrong_or_unknown_length(tmp_path):
    lying = inspect_audio(lying_flac(tmp_path / "ten.flac", 36_000 * 48_000))
    assert (lying.seconds, lying.declared) == (1.0, 36_000.0)
    stream = inspect_audio(lying_flac(tmp_path / "unknown.flac", 0))
    assert (stream.seconds, stream.declared) == (1.0, None)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.97])
def test_truncated_files_give_their_true_length_or_an_audio_error(tmp_path, suffix, share):
    whole = make_song(tmp_path / f"whole.{suffix}", 3.0)
    path = cut(whole, tmp_path / f"cut.{suffix}", share)
    try:
        facts = inspect_audio(path)
    except AudioError as error:
        assert path.name in str(error) and error.hint
        if "too short" not in str(error):
            with pytest.raises(AudioError):
                read_audio(path)
    else:
        assert 0 < facts.seconds < 3.0
        assert read_audio(path).shape[1] == round(facts.seconds * RATE)


@pytest.mark.parametrize("suffix", FORMATS)
def test_text_noise_and_nothing_are_not_audio(tmp_path, suffix):
    path = tmp_path / f"song.{suffix}"
    path.write_text("these are the lyrics of a song\n" * 200)
    with pytest.raises(AudioError, match="cannot be read as audio"):
        inspect_audio(path)
    path.write_bytes(np.random.default_rng(0).bytes(100_000))
    with pytest.raises(AudioError, match="cannot be read as audio|zero length|damaged"):
        inspect_audio(path)
    path.write_bytes(b"")
    with pytest.raises(AudioError, match="is empty: 0 bytes"):
        inspect_audio(path)


def test_a_playlist_posing_as_audio_opens_nothing_else(tmp_path):
    make_song(tmp_path / "real.aac", 1.0)
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nreal.aac\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{tmp_path / 'real.aac'}'\n"
    for text in (hls, concat):
        (tmp_path / "list.m4a").write_text(text)
        with pytest.raises(AudioError, match="cannot be read as audio"):
            inspect_audio(tmp_path / "list.m4a")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_refused_with_their_place(tmp_path, value):
    audio = tone(1.0)
    audio[1, 24_000] = value
    sf.write(tmp_path / "song.wav", audio.T, 48_000, subtype="FLOAT")
    for read in (inspect_audio, read_audio):
        with pytest.raises(AudioError, match=r"song\.wav holds NaN or Inf, first at 0\.500 s"):
            read(tmp_path / "song.wav")


def test_float_samples_that_were_never_scaled_are_refused(tmp_path):
    sf.write(tmp_path / "song.wav", tone(1.0).T * 32_768, 48_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="within ±1"):
        inspect_audio(tmp_path / "song.wav")


def test_names_of_any_script_and_of_full_length(tmp_path):
    long = "ñ" * 120 + ".wav"
    assert len(long.encode()) > 200
    for name in ("日本語の歌 🎷.flac", "ملف.ogg", long, "http:--x.mp3", "concat:a|b.wav", "-o.wav"):
        path = make_song(tmp_path / name, 0.3)
        assert inspect_audio(path).seconds == pytest.approx(0.3, abs=0.01)


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    cases = [
        (tmp_path / "folder.wav", "is not a file"),
        (tmp_path / "pipe.wav", "is not a file"),
        (tmp_path / "link.wav", "does not exist"),
        (tmp_path / "missing.wav", "does not exist"),
        (tmp_path / ("x" * 300 + ".wav"), "cannot be opened"),
        (tmp_path / "nul\0.wav", "cannot be opened"),
    ]
    for path, words in cases:
        with pytest.raises(AudioError, match=words):
            inspect_audio(path)


def test_a_header_with_an_absurd_rate(tmp_path):
    sf.write(tmp_path / "slow.wav", tone(1.0).T, 1, subtype="PCM_16")
    with pytest.raises(AudioError, match="sample rate of 1 Hz"):
        inspect_audio(tmp_path / "slow.wav")


def test_without_ffmpeg_the_hint_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("acestep.data.decode.HAS_FFMPEG", False)
    assert inspect_audio(make_song(tmp_path / "song.mp3", 0.5)).seconds == 0.5
    with pytest.raises(AudioError, match="cannot be read as audio") as caught:
        inspect_audio(make_song(tmp_path / "song.m4a", 0.5))
    assert "acestep-studio[io]" in caught.value.hint
    sf.write(tmp_path / "zero.wav", np.zeros((0, 2)), 48_000)
    with pytest.raises(AudioError, match="zero length"):
        inspect_audio(tmp_path / "zero.wav")
