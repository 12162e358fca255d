import numpy as np
import pytest
from style_folders import RATE, music, row

from acestep.judging.features import (
    ASPECTS,
    FEATURES,
    PRODUCTION,
    READERS,
    SIZES,
    cut_off,
    hear,
)
from acestep.judging.spectrogram import low_passed, see


def test_each_group_has_its_size():
    clip = see(music("rock", 0), RATE)
    assert {name: len(read(clip)) for name, read in READERS.items()} == SIZES
    assert FEATURES == 241 == len(row("rock", 0))
    assert {group for groups in ASPECTS.values() for group in groups} == set(SIZES) - {"melstd"}
    assert ASPECTS.keys() > PRODUCTION


def test_gain_drops_out():
    audio = music("funk", 0)
    assert hear(0.02 * audio, RATE) == pytest.approx(hear(audio, RATE), abs=2e-3)


def test_any_rate_and_mono():
    audio = music("funk", 0)
    one = hear(audio[0], RATE)
    assert one == pytest.approx(hear(np.stack([audio[0]] * 2), RATE), abs=1e-3)
    assert np.isfinite(hear(audio[:, ::2], RATE / 2)).all()


@pytest.mark.parametrize("seconds", [1.0, 1.7, 3.0, 30.0])
def test_any_length_from_a_second(seconds):
    audio = np.resize(music("jig", 0), (2, round(seconds * RATE)))
    assert np.isfinite(hear(audio, RATE)).all()


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf])
def test_silence_and_broken_sound_have_none(factor):
    with np.errstate(invalid="ignore"):
        audio = music("jig", 0) * np.float32(factor)
    assert hear(audio, RATE).shape == (FEATURES,)
    assert np.isnan(hear(audio, RATE)).all() and np.isnan(cut_off(audio, RATE))


def test_where_a_clip_ends():
    noise = np.random.default_rng(0).standard_normal((2, 3 * RATE)).astype(np.float32)
    assert cut_off(noise, RATE) == 10_000
    assert cut_off(low_passed(noise, RATE, 5000), RATE) == pytest.approx(5000, abs=200)


def test_a_limit_makes_alike_what_ends_apart():
    audio = music("rock", 2)
    dull = low_passed(audio, RATE, 3000)
    apart = np.abs(hear(audio, RATE) - hear(dull, RATE)).mean()
    joined = np.abs(hear(audio, RATE, limit=3000) - hear(dull, RATE, limit=3000)).mean()
    assert joined < 0.05 * apart
