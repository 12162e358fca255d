import struct
import sys

import numpy as np
import pytest
import soundfile

from acestep.errors import AudioError
from acestep.mini import soundfont
from acestep.mini.corpus import PEAK, RATE, compose
from acestep.mini.soundfont import has_fluidsynth, midi_file, render_soundfont
from acestep.mini.styles import DRUMS, VOICES

FAKE = """#!{python}
import sys, numpy, soundfile
out = sys.argv[sys.argv.index("-F") + 1]
assert open(sys.argv[-1], "rb").read(4) == b"MThd"
soundfile.write(out, numpy.full((48000, 2), 0.25), 48000)
"""


def notes_of(midi: bytes) -> tuple[list[tuple[float, float, int, int]], dict[int, int]]:
    """(start, length, key, channel) of every note in seconds, and the program of each channel."""
    assert midi[:4] == b"MThd" and midi[14:18] == b"MTrk"
    kind, tracks, ticks = struct.unpack(">HHH", midi[8:14])
    assert (kind, tracks) == (0, 1) and struct.unpack(">I", midi[18:22])[0] == len(midi) - 22
    place, now = 22, 0
    begun: dict[tuple[int, int], int] = {}
    notes, programs = [], {}
    while place < len(midi):
        delta = 0
        while True:
            delta, place = delta << 7 | midi[place] & 0x7F, place + 1
            if midi[place - 1] < 0x80:
                break
        now += delta
        status, key = midi[place], midi[place + 1]
        if status == 0xFF:
            if key == 0x51:
                assert int.from_bytes(midi[place + 3 : place + 6], "big") == 60e6 / 60
            place += 3 + midi[place + 2]
        elif status & 0xF0 == 0xC0:
            programs[status & 15] = key
            place += 2
        elif status & 0xF0 == 0x90:
            begun[status & 15, key] = now
            place += 3
        else:
            start = begun.pop((status & 15, key))
            notes.append((start / ticks, (now - start) / ticks, key, status & 15))
            place += 3
    assert not begun
    return notes, programs


@pytest.mark.parametrize("style", ["house", "ballad", "jig"])
def test_the_file_holds_the_songs_notes(style):
    song = compose(950_003, 12.0, style=style)
    notes, programs = notes_of(midi_file(song))
    keys = [DRUMS[n.player].key if n.player in DRUMS else n.pitch for n in song.notes]
    wanted = sorted((n.start, round(n.length, 2), k) for n, k in zip(song.notes, keys, strict=True))
    assert sorted((start, round(length, 2), key) for start, length, key, _ in notes) == wanted
    assert {channel for *_, channel in notes} - {9} == set(programs)
    drums = [key for *_, key, channel in notes if channel == 9]
    assert len(drums) == sum(note.player in DRUMS for note in song.notes)
    families = {VOICES[n.player].program // 8 for n in song.notes if n.player in VOICES}
    assert {program // 8 for program in programs.values()} == families


def test_another_song_of_the_style_has_other_programs_of_the_family():
    songs = [compose(seed, 4.0, style="house") for seed in range(12)]
    assert len({tuple(notes_of(midi_file(song))[1].values()) for song in songs}) > 3


def test_what_fluidsynth_plays_comes_back_at_the_songs_length(tmp_path, monkeypatch):
    program, font = tmp_path / "fluidsynth", tmp_path / "font.sf2"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    font.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert has_fluidsynth(font) and not has_fluidsynth(tmp_path / "none.sf2")
    audio = render_soundfont(compose(1, 1.5), font)
    assert audio.shape == (2, round(1.5 * RATE)) and audio.dtype == np.float32
    assert np.allclose(audio[:, : RATE - 1], PEAK) and not audio[:, RATE + 1 :].any()
    program.write_text("#!/bin/sh\necho no driver >&2\nexit 1\n")
    with pytest.raises(AudioError, match="no driver"):
        render_soundfont(compose(1, 1.5), font)


def test_without_fluidsynth_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError) as caught:
        render_soundfont(compose(1, 1.5))
    assert "fluid-soundfont-gm" in caught.value.hint and str(soundfont.FONT) in str(caught.value)


@pytest.mark.skipif(not has_fluidsynth(), reason="FluidSynth is not installed")
def test_the_real_thing_plays_on_the_beat(tmp_path):
    song = compose(950_007, 6.0, style="techno")
    audio = render_soundfont(song)
    assert np.abs(audio).max() == pytest.approx(PEAK, abs=1e-3)
    soundfile.write(tmp_path / "song.wav", audio.T, RATE)
    kicks = [note.start for note in song.notes if note.player == "kick" and note.start < 5.5]
    loud = np.convolve(np.abs(audio.mean(0)), np.ones(960) / 960, "same")
    at = [loud[round((start + 0.02) * RATE)] for start in kicks]
    before = [loud[max(0, round((start - 0.02) * RATE))] for start in kicks]
    assert np.mean(at) > 1.5 * np.mean(before)
