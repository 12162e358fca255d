import errno
import os
import tracemalloc

import numpy as np
import pytest
import soundfile as sf
import soxr
from sound_files import FORMATS, make_song, tone

from acestep.data.audio import (
    RATE,
    SUFFIXES,
    AudioFacts,
    conform,
    inspect_audio,
    mp3_round_trip,
    read_audio,
    resampled,
    stream_audio,
    write_audio,
)
from acestep.errors import AudioError


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_every_format_is_read_as_what_went_in(tmp_path, suffix, rate):
    if suffix == "opus":
        rate = 48_000  # the only rate it has
    path = make_song(tmp_path / f"song.{suffix}", 2.0, rate)
    facts = inspect_audio(path)
    assert (facts.sample_rate, facts.channels) == (rate, 2)
    assert facts.seconds == pytest.approx(2.0, abs=0.06 if suffix in ("m4a", "aac") else 1e-6)
    assert 0.38 < facts.peak < (0.8 if suffix in ("m4a", "aac", "opus") else 0.45)  # they ring
    audio = read_audio(path)
    assert audio.dtype == np.float32 and audio.shape == (2, round(facts.seconds * RATE))
    wanted = tone(2.0)[:, RATE // 2 : RATE]  # away from the edges, where lossy codecs ring
    error = audio[:, RATE // 2 : RATE] - wanted
    if suffix not in ("m4a", "aac"):
        assert np.sqrt((error**2).mean() / (wanted**2).mean()) < 0.02
    else:  # shifted by their encoder's delay
        power = np.abs(np.fft.rfft(audio[:, RATE // 2 : RATE])) ** 2
        for channel, pitch in zip(power, (220, 440), strict=True):
            assert channel[pitch // 2 - 2 : pitch // 2 + 3].sum() > 0.95 * channel.sum()


def test_suffixes_are_the_five_and_with_ffmpeg_two_more():
    assert {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac"} == SUFFIXES


def test_digest_is_of_the_samples(tmp_path):
    whole = (tone(1.0) * 32_767).astype(np.int16)
    sf.write(tmp_path / "a.wav", whole.T, 48_000, subtype="PCM_16")
    sf.write(tmp_path / "b.flac", whole.T, 48_000, subtype="PCM_16")
    sf.write(tmp_path / "c.wav", whole.T, 44_100, subtype="PCM_16")
    whole[1, 777] += 1
    sf.write(tmp_path / "d.wav", whole.T, 48_000, subtype="PCM_16")
    a, b, c, d = (inspect_audio(tmp_path / n).digest for n in ("a.wav", "b.flac", "c.wav", "d.wav"))
    assert a == b and len({a, c, d}) == 3 and len(a) == 64


@pytest.mark.parametrize(
    ("rate", "subtype", "channels"),
    [(96_000, "PCM_24", 2), (8_000, "PCM_16", 1), (22_050, "PCM_U8", 1), (48_000, "FLOAT", 2),
     (192_000, "PCM_32", 2), (44_100, "DOUBLE", 1), (11_025, "PCM_16", 2)],
)  # fmt: skip
def test_rates_and_depths(tmp_path, rate, subtype, channels):
    path = tmp_path / "song.wav"
    sf.write(path, tone(1.6, rate, channels).T, rate, subtype=subtype)
    facts = inspect_audio(path)
    assert (facts.seconds, facts.sample_rate, facts.channels) == (1.6, rate, channels)
    audio = read_audio(path)
    assert audio.shape == (2, 76_800)
    wanted = tone(1.6, channels=channels)[:, 4_800:-4_800]
    assert np.abs(audio[:, 4_800:-4_800] - wanted).max() < (0.02 if subtype == "PCM_U8" else 1e-3)
    if channels == 1:
        assert np.array_equal(audio[0], audio[1])


def test_of_five_point_one_the_first_two_channels_are_used(tmp_path):
    audio = tone(1.0, channels=6)
    sf.write(tmp_path / "song.wav", audio.T, 48_000, subtype="FLOAT")
    assert inspect_audio(tmp_path / "song.wav").channels == 6
    assert np.array_equal(read_audio(tmp_path / "song.wav"), audio[:2])
    audio[:2] = 0
    sf.write(tmp_path / "centre.wav", audio.T, 48_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="first two channels are never louder"):
        inspect_audio(tmp_path / "centre.wav")


@pytest.mark.parametrize(
    ("seconds", "kept"), [(11.9996, 11.999), (12.0, 12.0), (19.999, 19.999), (0.1 + 0.2, 0.3)]
)
def test_durations_are_rounded_down(seconds, kept):
    assert AudioFacts(seconds, RATE, 2, 0.5, "").duration == kept


def test_windows_tile_and_agree_with_the_whole(tmp_path):
    path = make_song(tmp_path / "song.flac", 7.0, 44_100)
    whole = read_audio(path)
    bounds = [0.0, 0.3333, 2.0, 4.00001, 6.5, 7.0]
    parts = [
        read_audio(path, start=a, seconds=b - a) for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    joined = np.concatenate(parts, axis=1)
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 1e-5
    assert read_audio(path, start=6.9, seconds=60).shape[1] == round(0.1 * RATE)
    with pytest.raises(AudioError, match="no samples after 8 s"):
        read_audio(path, start=8.0)


@pytest.mark.parametrize("rate", [48_000, 44_100, 8_000])
def test_blocks_have_the_length_asked_for_and_change_nothing(tmp_path, rate):
    path = make_song(tmp_path / "song.wav", 3.1, rate, 1)
    whole = read_audio(path)
    for seconds in (0.01, 0.7, 10.0):
        blocks = list(stream_audio(path, block_seconds=seconds))
        assert {block.shape[1] for block in blocks[:-1]} <= {round(seconds * RATE)}
        assert np.array_equal(np.concatenate(blocks, axis=1), whole)


def test_resampling_is_soxrs(tmp_path):
    path = make_song(tmp_path / "song.wav", 1.0, 44_100)
    samples, _ = sf.read(path, dtype="float32")
    assert np.array_equal(read_audio(path), soxr.resample(samples, 44_100, RATE, quality="HQ").T)


def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak_of(seconds):
        path = tmp_path / f"{seconds}.wav"
        sf.write(path, np.tile(tone(1.0, 44_100, 1)[0], seconds), 44_100)
        tracemalloc.start()
        inspect_audio(path)
        for _ in stream_audio(path, block_seconds=1.0):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_of(1)
    assert peak_of(300) < 1.2 * peak_of(30)


def test_silence_zero_length_and_single_samples_have_their_own_words(tmp_path):
    def wav(name, frames, value=0.3):
        sf.write(tmp_path / name, np.full((frames, 2), value), 48_000, subtype="PCM_16")
        return tmp_path / name

    with pytest.raises(AudioError, match="zero length"):
        inspect_audio(wav("zero.wav", 0))
    with pytest.raises(AudioError, match=r"too short: 1 samples, 0\.0000 s"):
        inspect_audio(wav("one.wav", 1))
    with pytest.raises(AudioError, match="too short: 1919 samples"):
        inspect_audio(wav("frame.wav", 1919))
    inspect_audio(wav("whole_frame.wav", 1920))
    with pytest.raises(AudioError, match="silent"):
        inspect_audio(wav("silent.wav", 48_000, 0.0))
    with pytest.raises(AudioError, match="silent"):
        inspect_audio(wav("dither.wav", 48_000, 2 / 32_768))
    assert read_audio(tmp_path / "one.wav").shape == (2, 1)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus", "mp3"])
def test_silence_is_silence_in_every_format(tmp_path, suffix):
    write_audio(tmp_path / f"song.{suffix}", np.zeros((2, 96_000), np.float32), 48_000)
    with pytest.raises(AudioError, match="silent"):
        inspect_audio(tmp_path / f"song.{suffix}")


# --- arrays ---------------------------------------------------------------------------------------


def test_conform_takes_any_shape_rate_and_type(tmp_path):
    stereo = tone(1.0)
    assert np.array_equal(conform(stereo, RATE), stereo)
    assert np.array_equal(conform(stereo.T, RATE), stereo)
    assert np.array_equal(conform(stereo[None], RATE), stereo)
    assert np.array_equal(conform(stereo[0], RATE), np.stack([stereo[0]] * 2))
    assert np.array_equal(conform(stereo[:1], RATE), np.stack([stereo[0]] * 2))
    assert np.array_equal(conform(tone(1.0, channels=6), RATE), tone(1.0, channels=6)[:2])
    assert np.array_equal(conform(stereo.astype(np.float64), RATE), stereo)
    for dtype in (np.int16, np.int32):
        scaled = (stereo * -float(np.iinfo(dtype).min)).astype(dtype)
        assert np.abs(conform(scaled, RATE) - stereo).max() < 1e-4
    assert np.abs(conform(((stereo + 1) * 128).astype(np.uint8), RATE) - stereo).max() < 0.01
    low = conform(tone(1.0, 22_050), 22_050)
    assert low.shape == (2, RATE) and np.abs(low - stereo)[:, 4_800:-4_800].max() < 1e-3


def test_an_array_and_a_file_become_the_same(tmp_path):
    path = make_song(tmp_path / "song.wav", 1.3, 44_100)
    samples, rate = sf.read(path, dtype="float32")
    assert np.array_equal(conform(samples, rate), read_audio(path))


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros(0), "empty"), (np.zeros((2, 0)), "empty"), (np.array(1.0), "neither"),
     (np.zeros((20, 30)), "neither"), (np.zeros((3, 2, 50)), "neither"),
     (np.full(10, np.nan), "NaN"), (np.array(["a", "b"]), "not audio"),
     (np.zeros(10, complex), "not audio"), (np.full(10, 1e9), "within ±1")],
)  # fmt: skip
def test_conform_refuses_what_is_not_audio(array, words):
    with pytest.raises(AudioError, match=words):
        conform(array, RATE)


@pytest.mark.parametrize("rate", [0, -1, 1e12, float("nan")])
def test_conform_refuses_impossible_rates(rate):
    with pytest.raises(AudioError, match="sample rate"):
        conform(tone(0.1), rate)


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".FLAC"])
def test_what_is_written_comes_back(tmp_path, suffix):
    path = tmp_path / "new folder" / f"song{suffix}"
    write_audio(path, tone(3.0), RATE)
    back = read_audio(path)
    assert back.shape == (2, 3 * RATE)
    lossless = suffix.lower() in (".wav", ".flac")
    error = (back - tone(3.0))[:, 4_800:-4_800]
    assert np.abs(error).max() < (2**-22 if lossless else 0.05)
    assert not list(path.parent.glob(".tmp-*"))
    if lossless:
        assert sf.info(path).subtype == "PCM_24"


def test_two_minutes_of_vorbis_do_not_crash(tmp_path):
    write_audio(tmp_path / "song.ogg", np.tile(tone(1.0), 120), RATE)
    assert inspect_audio(tmp_path / "song.ogg").seconds == pytest.approx(120.0)


def test_other_rates_keep_pitch_and_length():
    heard = resampled(tone(2.0, pitch=441.0), 48_000, 22_050)
    assert heard.shape == (2, 44_100) and heard.dtype == np.float32
    np.testing.assert_allclose(
        heard[0, 1000:-1000], tone(2.0, 22_050, pitch=441.0)[0, 1000:-1000], atol=1e-4
    )
    assert resampled(tone(1.0), 48_000, 48_000).shape == (2, 48_000)


def test_samples_beyond_full_scale_are_clipped_not_wrapped(tmp_path):
    write_audio(tmp_path / "song.wav", tone(1.0) * 4, RATE)
    back = read_audio(tmp_path / "song.wav")
    assert np.abs(back - (tone(1.0) * 4).clip(-1, 1)).max() < 1e-6
    write_audio(tmp_path / "song.ogg", tone(1.0) * 4, RATE)
    assert np.abs(read_audio(tmp_path / "song.ogg")).max() < 1.2


def test_mono_stays_mono_and_other_rates_stay(tmp_path):
    write_audio(tmp_path / "song.flac", tone(1.0, 22_050, 1)[0], 22_050)
    assert (
        sf.info(tmp_path / "song.flac").channels,
        sf.info(tmp_path / "song.flac").samplerate,
    ) == (1, 22_050)


@pytest.mark.parametrize("name", ["song.m4a", "song", "song.txt"])
def test_other_suffixes_are_not_written(tmp_path, name):
    with pytest.raises(AudioError, match="is not written as"):
        write_audio(tmp_path / name, tone(0.1), RATE)
    assert not list(tmp_path.iterdir())


def test_a_refused_write_leaves_the_old_file(tmp_path):
    path = make_song(tmp_path / "song.wav", 0.5)
    before = path.read_bytes()
    for audio, rate in [
        (np.full((2, 10), np.nan), RATE),
        (np.zeros((2, 0)), RATE),
        (np.ones((1000, 10)) / 2, 0),
    ]:
        with pytest.raises(AudioError):
            write_audio(path, audio, rate)
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "song.opus", tone(0.1), 44_100)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["song.wav"]


def test_a_full_disk_is_an_audio_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AudioError, match="No space left"):
        write_audio(tmp_path / "song.wav", tone(0.1), RATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_an_mp3_round_trip_keeps_the_sound_in_its_place(rate):
    t = np.arange(2 * rate) / rate
    audio = np.stack([0.4 * np.sin(2 * np.pi * 300 * t), 0.2 * np.sin(2 * np.pi * 700 * t)])
    audio[:, : rate // 2] = 0
    copy = mp3_round_trip(audio.astype(np.float32), rate, 64)
    assert copy.dtype == np.float32 and abs(copy.shape[1] - 2 * rate) < rate / 8
    begin = int(np.argmax(np.abs(copy[0]) > 0.2))
    assert begin / rate == pytest.approx(0.5, abs=0.11)
    middle = copy[:, rate : rate + rate // 2]
    np.testing.assert_allclose(np.sqrt((middle**2).mean(1)), [0.283, 0.141], rtol=0.1)


def test_an_mp3_round_trip_loses_more_at_a_lower_rate():
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32)
    errors = [
        np.abs(mp3_round_trip(noise, RATE, kbit)[:, :RATE] - noise).mean() for kbit in (320, 64)
    ]
    assert errors[0] < 0.5 * errors[1]
    with pytest.raises(AudioError, match="no MP3 at 96000 Hz"):
        mp3_round_trip(noise, 96_000, 64)
