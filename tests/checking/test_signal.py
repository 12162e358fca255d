import json

import numpy as np
import pytest
from check_sounds import RATE, music, write, write_mp3

from acestep.checking.signal import measure, signal_findings
from acestep.checking.sound import Sound, read_sound


def codes(audio, rate=RATE, **form):
    return found(Sound(np.asarray(audio, np.float32), rate, len(audio), **form))


def found(sound):
    return {finding.code: finding for finding in signal_findings("a.wav", measure(sound))}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_clean_recording_has_no_findings(tmp_path, seed, subtype):
    sound = read_sound(write(tmp_path / "a.wav", music(4, seed), subtype=subtype))
    assert found(sound) == {}


def test_the_numbers_of_a_file(tmp_path):
    signal = measure(read_sound(write(tmp_path / "a.flac", music(5), subtype="PCM_16")))
    # pyloudnorm 0.2.0 says -17.174; its blocks begin elsewhere
    assert signal.loudness == pytest.approx(-17.174, abs=0.1)
    assert signal.peak == pytest.approx(20 * np.log10(0.7), abs=0.01)
    assert (signal.seconds, signal.rate, signal.bits, signal.used_bits) == (5.0, RATE, 16, 16)
    assert signal.head == signal.tail == signal.gap == 0
    facts = signal.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert "print" not in facts and facts["timbre"]["centroid"] > 8


def test_a_low_sample_rate():
    finding = codes(music(2, rate=22_050), 22_050)["sample-rate"]
    assert finding.level == "error" and finding.value == 22_050
    assert "sample-rate" not in codes(music(2, rate=44_100), 44_100)


def test_few_bits(tmp_path):
    eight = np.round(music(2) * 2**7) / 2**7
    assert codes(eight, coding="PCM_16")["bit-depth"].value == 8
    sixteen = read_sound(write(tmp_path / "a.wav", np.round(music(2) * 2**15) / 2**15))
    assert "padded-bits" in found(sixteen) and "bit-depth" not in found(sixteen)


@pytest.mark.parametrize(("level", "grave"), [(0.9, "error"), (0.7, "warning"), (0.0, "info")])
def test_a_lossy_source(tmp_path, level, grave):
    sound = read_sound(write_mp3(tmp_path / "a.mp3", music(4), level=level))
    assert found(sound)["lossy"].level == grave
    disguised = Sound(sound.audio, sound.rate, coding="PCM_24")
    assert "made from a lossy" in found(disguised)["lossy"].message


def test_clipping_and_how_much():
    assert codes(np.clip(8 * music(4), -1, 1))["clipped"].level == "error"
    turned = codes(0.7 * np.clip(4 * music(4), -1, 1))["clipped"]
    assert "turned down to -3.1 dB" in turned.message


def test_a_peak_between_samples():
    # A sine of a quarter of the rate, sampled beside its tops: 3.01 dB higher than any sample
    sine = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4)
    finding = codes(np.stack([sine, sine]) / np.abs(sine).max())["true-peak"]
    assert finding.value == pytest.approx(3.01, abs=0.2) and finding.level == "warning"
    assert "true-peak" not in codes(0.5 * np.stack([sine, sine]))


def test_an_offset():
    assert codes(music(2) + 0.02)["dc"].value == pytest.approx(0.02, abs=2e-3)


def test_a_very_soft_song():
    assert codes(0.02 * music(2)).keys() == {"soft"}


def test_mono_and_mono_as_stereo():
    assert codes(music(2)[:1])["mono"].message == "it is mono"
    same = np.stack([music(2)[0]] * 2)
    assert "two equal channels" in codes(same)["mono"].message


def test_a_channel_upside_down():
    audio = music(2)
    assert codes(audio * [[1], [-1]])["phase"].value > 3


def test_a_missing_channel():
    assert "left channel" in codes(music(2) * [[1], [0.01]])["lopsided"].message


@pytest.mark.parametrize(
    ("code", "pieces"),
    [
        ("silent-head", (2.0, None, None)),
        ("silent-tail", (None, None, 4.0)),
        ("silent-gap", (None, 3.0, None)),
    ],
)
def test_silence(code, pieces):
    head, gap, tail = (np.zeros((2, round((seconds or 0) * RATE))) for seconds in pieces)
    audio = np.concatenate([head, music(2), gap, music(2), tail], axis=1)
    finding = codes(audio)
    assert finding.keys() == {code}
    assert finding[code].value == pytest.approx(sum(s or 0 for s in pieces), abs=0.1)


def test_rests_are_music():
    audio = np.concatenate([music(2), np.zeros((2, RATE)), music(2)], axis=1)
    assert codes(audio) == {}


@pytest.mark.parametrize(
    "audio",
    [np.zeros((2, RATE)), np.ones((1, 1)), np.zeros((1, 1)), np.full((2, 500), -1.0)],
    ids=["silence", "a sample", "a silent sample", "a constant"],
)
def test_hostile_sounds_give_numbers(audio):
    signal = measure(Sound(audio.astype(np.float32), RATE, len(audio)))
    json.dumps(signal.facts(), allow_nan=False)
    assert np.isfinite(signal.wave).all() and np.isfinite(signal.spectrum).all()
