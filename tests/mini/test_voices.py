"""Tones have exact pitches and their own colours; drums and rooms are always the same."""

import numpy as np
import pytest

from acestep.mini.styles import DRUMS, VOICES
from acestep.mini.voices import (
    RATE,
    TICK,
    VOWELS,
    Drum,
    Room,
    Voice,
    hertz,
    reverberate,
    strike,
    tone,
)

SINE = Voice("sine", "synth", 79, tilt=9.0, dark=9.0, sustain=1.0, decay=9.0)


def spectrum(sound: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(sound * np.hanning(len(sound))))


def peak_near(sound: np.ndarray, frequency: float) -> float:
    """The frequency of the strongest partial within a semitone, between bins by a parabola."""
    level = np.log(spectrum(sound) + 1e-12)
    width = RATE / len(sound)
    low, high = (round(frequency * 2 ** (side / 12) / width) for side in (-1, 1))
    top = low + int(level[low : high + 1].argmax())
    left, here, right = level[top - 1 : top + 2]
    return (top + 0.5 * (left - right) / (left - 2 * here + right)) * width


def cents(found: float, wanted: float) -> float:
    return 1200 * np.log2(found / wanted)


def test_pitches_are_tempered_at_440():
    assert hertz(69) == 440 and hertz(57) == 220
    assert hertz(60) == pytest.approx(261.6256, abs=1e-4)


@pytest.mark.parametrize("pitch", [33, 40, 53, 60, 69, 76, 88, 100])
def test_a_tone_is_at_its_pitch_to_a_cent(pitch):
    assert abs(cents(peak_near(tone(SINE, pitch, 200), hertz(pitch)), hertz(pitch))) < 1


@pytest.mark.parametrize("name", VOICES)
def test_every_voice_is_in_tune(name):
    pitch = 40 if VOICES[name].track == "bass" else 67
    sound = tone(VOICES[name], pitch, 150)
    assert abs(cents(peak_near(sound, hertz(pitch)), hertz(pitch))) < 2


@pytest.mark.parametrize("name", VOICES)
def test_a_tone_begins_and_ends_in_silence_and_sounds_between(name):
    sound = tone(VOICES[name], 60, 30)
    assert sound.dtype == np.float32 and np.isfinite(sound).all()
    assert sound[0] == 0 and abs(sound[-1]) < 1e-6
    assert len(sound) >= round(30 * TICK * RATE)
    assert 0.05 < np.abs(sound).max() < 2
    assert abs(sound.mean()) < 0.02


def test_a_tone_is_released_when_its_time_is_over():
    voice = Voice("organ", "keyboard", 16, tilt=1.0, dark=1.0, sustain=1.0, release=0.02)
    sound = tone(voice, 60, 20)
    held = round(20 * TICK * RATE)
    rms = [np.sqrt(np.mean(part**2)) for part in np.split(sound[: held + 2400], [held, held + 960])]
    assert rms[0] > 1.5 * rms[1] > 3 * rms[2] > 0


def test_no_two_voices_sound_the_same():
    sounds = {name: tone(voice, 48, 50)[: RATE // 2] for name, voice in VOICES.items()}
    names = list(sounds)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            match = np.corrcoef(sounds[one], sounds[other])[0, 1]
            assert match < 0.9999, (one, other)


def test_harmonics_follow_the_tilt_and_darken():
    voice = Voice("saw", "synth", 81, tilt=1.0, dark=3.0, fade=0.1, sustain=1.0)
    sound = tone(voice, 57, 100)
    early, late = sound[: RATE // 10], sound[RATE // 2 : RATE // 2 + RATE // 10]
    shares = []
    for part in (early, late):
        level = spectrum(part)
        shares.append(level[4 * 22] / level[22])  # 220 Hz and its fourth, bins of 10 Hz
    assert 0.08 < shares[0] < 0.3 and shares[1] < 0.05


def test_odd_voices_have_no_even_harmonics_and_stops_are_those_named():
    odd, stops = (
        spectrum(tone(Voice("wave", "synth", 80, tilt=0.5, dark=0.5, **shape), 57, 100)[:RATE])
        for shape in ({"odd": True}, {"stops": (1, 4)})
    )
    assert odd[440] < 0.01 * odd[220] < odd[660]
    assert stops[440] < 0.01 * stops[220] and stops[880] > 0.3 * stops[220]


@pytest.mark.parametrize("vowel", VOWELS)
def test_a_vowel_is_loudest_near_its_first_formant(vowel):
    voice = VOICES[f"voice-{vowel}"]
    level = spectrum(tone(voice, 45, 100)[:RATE])  # harmonics of 110 Hz
    loudest = 110 * (1 + int(np.argmax([level[110 * h - 2 : 110 * h + 3].max() * h for h in
                                        range(1, 12)])))  # fmt: skip
    (first, _), (second, _), _ = VOWELS[vowel]
    assert min(abs(loudest - first), abs(loudest - second)) <= 165


def test_fm_voices_have_side_bands_that_fade():
    sound = tone(VOICES["bell"], 57, 150)
    early, late = spectrum(sound[: RATE // 5]), spectrum(sound[RATE : RATE + RATE // 5])
    width = 5  # Hz
    band = [part[5 * 220 // width] / part[220 // width] for part in (early, late)]
    assert band[0] > 2 * band[1]


def test_high_notes_stay_below_half_the_rate():
    sound = tone(VOICES["organ"], 108, 100)
    level = spectrum(sound)
    assert level[round(16_000 * len(sound) / RATE) :].max() < 0.02 * level.max()


@pytest.mark.parametrize("name", DRUMS)
def test_a_drum_strikes_at_once_dies_away_and_is_the_same_again(name):
    sound = strike(DRUMS[name])
    strike.cache_clear()
    assert np.array_equal(strike(DRUMS[name]), sound) and sound.dtype == np.float32
    assert np.abs(sound[:480]).max() > 0.3 * np.abs(sound).max() > 0.01
    assert np.abs(sound[-100:]).max() < 0.05 * np.abs(sound).max()


def test_a_drums_tone_falls():
    sound = strike(Drum(36, start=400, end=100, tone=1.0, decay=0.3))
    crossings = [np.count_nonzero(np.diff(np.signbit(part))) for part in np.split(sound[:9600], 2)]
    assert crossings[0] > crossings[1]


def test_a_room_rings_on_and_is_linear():
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((2, 4800)).astype(np.float32) for _ in range(2))
    one, other = (np.pad(x, ((0, 0), (0, RATE // 2))) for x in (one, other))
    room = Room(0.5, 0.3)
    wet = [reverberate(sound, room) for sound in (one, other, one + other)]
    assert np.abs(wet[0] + wet[1] - wet[2]).max() < 1e-4
    late, later = (np.abs(wet[0][:, start : start + 2400]).mean() for start in (6000, 22_000))
    assert late > 3 * later > 0
    assert not np.allclose(wet[0][0], wet[0][1])  # another left and right
    assert not reverberate(one, Room(0.4, 0.0)).any()
