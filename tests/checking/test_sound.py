import numpy as np
import pytest
from check_sounds import RATE, music, write, write_aac, write_mp3
from sound_files import make_song

from acestep.checking import sound
from acestep.checking.sound import band_weights, mono, read_sound, spectra
from acestep.errors import AudioError


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24), ("FLOAT", 32)])
def test_a_file_as_it_is(tmp_path, subtype, bits):
    audio = music(1, rate=44_100)
    read = read_sound(write(tmp_path / "a.wav", audio, 44_100, subtype))
    assert (read.rate, read.channels, read.bits, read.coding) == (44_100, 2, bits, subtype)
    assert read.audio.shape == audio.shape and read.audio.dtype == np.float32
    np.testing.assert_allclose(read.audio, audio, atol=2**-15)


def test_lossy_files_have_no_bits(tmp_path):
    assert read_sound(write_mp3(tmp_path / "a.mp3", music(1))).bits is None
    assert read_sound(write_aac(tmp_path / "a.aac", music(1), 128_000)).coding == "aac"


def test_only_the_beginning_of_an_endless_song(tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "LONGEST", 1.5)
    assert read_sound(make_song(tmp_path / "a.flac", 4.0)).audio.shape == (2, 72_000)


@pytest.mark.parametrize("content", [b"", b"no audio at all"])
def test_what_is_no_audio(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.wav"):
        read_sound(path)


def test_mono_keeps_what_cancels():
    left = music(0.5)[0]
    np.testing.assert_allclose(mono(np.stack([left, left])), left, atol=1e-6)
    np.testing.assert_allclose(mono(np.stack([left, -0.99 * left])), left)


def test_the_power_of_a_sine_lies_in_its_bin():
    # A sine of amplitude a has a Hann-windowed spectrum of amplitude a / 2 with this scaling
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    power = spectra(sine, RATE)
    assert power.shape == (50, 481) and power.mean(0).argmax() == 20
    assert power[7, 20] == pytest.approx((0.5 / 2 * 2 * 0.5) ** 2, rel=1e-3)
    assert spectra(sine[:10], RATE).shape == (1, 481)
    assert spectra(sine, 44_100).shape == (48_000 // 882, 442)


def test_bands_share_out_every_bin():
    edges = np.array([0.0, 130.0, 1000.0, 24_025.0])
    weights = band_weights(481, edges)
    np.testing.assert_allclose(weights[1:].sum(1), 1, atol=1e-6)
    assert weights[3] == pytest.approx([0.1, 0.9, 0], abs=1e-6)  # 125 to 175 Hz
