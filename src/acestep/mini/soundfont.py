"""The same songs with sampled instruments: the corpus through FluidSynth, for training only.

The small VAE has to give back music that users bring, which is richer than what
:mod:`acestep.mini.voices` plays. Nothing rendered here is shipped. FluidSynth (LGPL) is a program
of its own; the sound font is FluidR3 by Frank Wen (MIT licence), Debian's ``fluid-soundfont-gm``::

    apt-get install fluidsynth fluid-soundfont-gm
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from acestep.data.audio import read_audio
from acestep.errors import AudioError
from acestep.mini.corpus import PEAK, RATE, Note, Song
from acestep.mini.styles import DRUMS, VOICES

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
TICKS = 100  # of a quarter note at 60 bpm: a tick is the corpus's 10 ms
DRUM_CHANNEL = 9
FAMILY = 8  # General MIDI groups its programs by eight


def has_fluidsynth(font: Path = FONT) -> bool:
    """Whether FluidSynth and the sound font are installed."""
    return shutil.which("fluidsynth") is not None and font.is_file()


def render_soundfont(song: Song, font: Path = FONT) -> np.ndarray:
    """Play a song with sampled instruments: float32 ``[2, round(seconds · 48000)]``, peak 0.89.

    Each voice's program is drawn from its General MIDI family by the song's seed, so that one style
    comes with several sounds. Raises :class:`AudioError` where FluidSynth is missing or fails.
    """
    audio = play(midi_file(song), font, "-g", "0.7")
    count = round(song.seconds * RATE)
    audio = np.pad(audio, ((0, 0), (0, max(0, count - audio.shape[1]))))[:, :count]
    return (PEAK / max(1e-9, float(np.abs(audio).max())) * audio).astype(np.float32)


def play(midi: bytes, font: Path, *options: str) -> np.ndarray:
    """A MIDI file as FluidSynth plays it with more of its options, float32 ``[2, n]`` at 48 kHz.

    Raises :class:`AudioError` where FluidSynth or the font is missing, or where it fails.
    """
    if not has_fluidsynth(font):
        raise AudioError(
            f"FluidSynth or its sound font {font} is not installed",
            hint="apt-get install fluidsynth fluid-soundfont-gm",
        )
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "song.mid"), Path(folder, "song.wav")
        score.write_bytes(midi)
        usual = ["-ni", "-q", "-r", str(RATE), *options, "-T", "wav", "-F", str(sound)]
        done = subprocess.run(
            ["fluidsynth", *usual, str(font), str(score)], capture_output=True, text=True
        )
        if done.returncode or not sound.is_file():
            raise AudioError(f"fluidsynth could not play {score.name}: {done.stderr}")
        return read_audio(sound)


def midi_file(song: Song) -> bytes:
    """The song as a Standard MIDI File, format 0, one channel a voice and 10 for the drums."""
    rng = np.random.default_rng(song.seed)
    players = sorted({note.player for note in song.notes if note.player in VOICES})
    channels = {
        player: number + (number >= DRUM_CHANNEL) for number, player in enumerate(players)
    }
    events: list[tuple[int, bytes]] = []
    for player, channel in channels.items():
        family = VOICES[player].program // FAMILY * FAMILY
        events.append((0, bytes([0xC0 | channel, family + int(rng.integers(FAMILY))])))
    for note in song.notes:
        events += _struck(note, channels.get(note.player, DRUM_CHANNEL))
    return write_midi(sorted(events, key=_order), TICKS)


def write_midi(events: Iterable[tuple[int, bytes]], ticks: int) -> bytes:
    """Events in their order, each with its time in ``ticks`` of a second, as a file of format 0."""
    tempo = (0, b"\xff\x51\x03" + (1_000_000).to_bytes(3, "big"))  # a quarter is a second
    track = b"".join(_timed([tempo, *events])) + b"\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, ticks)
    return header + b"MTrk" + struct.pack(">I", len(track)) + track


def _struck(note: Note, channel: int) -> Iterator[tuple[int, bytes]]:
    """Note on and note off, with their times in ticks."""
    key = DRUMS[note.player].key if note.player in DRUMS else note.pitch
    velocity = max(1, min(127, round(85 * note.velocity)))
    start = round(note.start * TICKS)
    yield start, bytes([0x90 | channel, key, velocity])
    yield start + max(1, round(note.length * TICKS)), bytes([0x80 | channel, key, 0])


def _order(event: tuple[int, bytes]) -> tuple[int, bool]:
    """By time; at the same time a note ends before the next one begins."""
    return event[0], event[1][0] & 0xF0 == 0x90


def _timed(events: list[tuple[int, bytes]]) -> Iterator[bytes]:
    """Events behind their distance from the one before, as MIDI writes it: seven bits a byte."""
    before = 0
    for when, event in events:
        delta, before = when - before, when
        digits = [delta & 0x7F]
        while delta := delta >> 7:
            digits.append(0x80 | delta & 0x7F)
        yield bytes(reversed(digits)) + event
