"""How well copies are found, and how often different songs are taken for some.

    python benchmarks/copies.py --style rock --style funk     # songs that are written down
    python benchmarks/copies.py --folder music/               # songs of your own

Excerpts of every song are disguised and looked for in the folder. For false alarms each song is
left out in turn: its excerpts are clips that copy nothing, beside a folder that does not have it.
Then what looking costs.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from acestep.data.audio import RATE, SUFFIXES, mp3_round_trip, read_audio
from acestep.judging.alike import Folder, learn_folder
from acestep.judging.copies import Looked, look_for_copies
from acestep.judging.disguise import disguised, moved
from acestep.judging.landmarks import Landmarks, find_landmarks
from acestep.mini.corpus import TESTS, compose_round, render

Disguise = Callable[[np.ndarray, np.ndarray], np.ndarray]


def limited(audio: np.ndarray) -> np.ndarray:
    return np.tanh(4 * audio / np.abs(audio).max()).astype(np.float32)


def tilted(audio: np.ndarray, slope: float) -> np.ndarray:
    """So many dB an octave, around 800 Hz."""
    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(audio.shape[1], 1 / RATE).clip(60, 10_000)
    return np.fft.irfft(spectrum * 10 ** (slope * np.log2(hertz / 800) / 20)).astype(np.float32)


def noisy(audio: np.ndarray, ratio: float) -> np.ndarray:
    """White noise, ``ratio`` dB below the sound."""
    noise = np.random.default_rng(0).standard_normal(audio.shape)
    return (audio + noise * np.sqrt((audio**2).mean()) * 10 ** (-ratio / 20)).astype(np.float32)


def mixed(audio: np.ndarray, other: np.ndarray, level: float) -> np.ndarray:
    """Under another song, ``level`` dB louder or softer than it."""
    under = np.resize(other, audio.shape)
    gain = 10 ** (level / 20) * np.sqrt((under**2).mean() / max(1e-12, (audio**2).mean()))
    return (under + gain * audio).astype(np.float32)


def partly(audio: np.ndarray, other: np.ndarray, seconds: float) -> np.ndarray:
    """So many seconds of the sound in the middle of another song."""
    clip, length = np.resize(other, audio.shape).copy(), round(seconds * RATE)
    first = (audio.shape[1] - length) // 2
    clip[:, first : first + length] = audio[:, first : first + length]
    return clip


DISGUISES: dict[str, Disguise] = {
    "nothing": lambda audio, other: audio,
    "gain, limiter": lambda audio, other: limited(0.3 * audio),
    "MP3 64": lambda audio, other: mp3_round_trip(audio, RATE, 64),
    "+1 semitone": lambda audio, other: moved(audio, RATE, 1, 1.0),
    "-2 semitones": lambda audio, other: moved(audio, RATE, -2, 1.0),
    "tempo +3 %": lambda audio, other: moved(audio, RATE, 0, 1.03),
    "tempo -3 %": lambda audio, other: moved(audio, RATE, 0, 0.97),
    "tilt +3 dB": lambda audio, other: tilted(audio, 3.0),
    "tilt -3 dB": lambda audio, other: tilted(audio, -3.0),
    "noise 10 dB": lambda audio, other: noisy(audio, 10.0),
    "-1, +2 %, MP3": lambda audio, other: disguised(audio, RATE, -1, 1.02, 64),
    "mixed 0 dB": lambda audio, other: mixed(audio, other, 0.0),
    "3 s of it": lambda audio, other: partly(audio, other, 3.0),
    "6 s of it": lambda audio, other: partly(audio, other, 6.0),
}


def written(style: str, count: int, seconds: float) -> dict[str, np.ndarray]:
    """Songs of a style by rule."""
    seeds = range(TESTS + 30_000, TESTS + 30_000 + count)
    return {f"{style} {seed}": render(compose_round(seed, seconds, style)) for seed in seeds}


def found_in(path: Path, count: int, seconds: float) -> dict[str, np.ndarray]:
    """Songs of a folder, from their beginnings."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    songs = {file.name: read_audio(file, seconds=seconds) for file in files[:count]}
    return {name: audio for name, audio in songs.items() if audio.shape[1] > 12 * RATE}


def disguises(songs: dict[str, np.ndarray], folder: Folder) -> Iterator[str]:
    """Of how many excerpts the song is found, and its place; the median score and seconds."""
    names, size = list(songs), round(folder.seconds * RATE)
    for title, disguise in DISGUISES.items():
        right, placed, scores, seconds = 0, 0, [], []
        for number, name in enumerate(names):
            first = (songs[name].shape[1] - size) // 2
            clip = songs[name][:, first : first + size]
            other = songs[names[(number + 1) % len(names)]]
            outside = {**folder.songs} if "it" not in title and "mixed" not in title else {
                key: marks for key, marks in folder.songs.items()
                if key != names[(number + 1) % len(names)]
            }  # fmt: skip
            here = Folder(outside, folder.seconds, folder.excerpts, folder.pairs,
                          folder.best_strict, folder.best_tolerant)  # fmt: skip
            looked = look_for_copies(title, find_landmarks(disguise(clip, other), RATE), here)
            match = looked.matches[0].match
            is_right = looked.grade != "nothing" and looked.matches[0].other == name
            right += is_right
            placed += is_right and abs(match.at - first / RATE - match.start * match.tempo) < 1
            scores.append(match.score)
            seconds.append(match.seconds)
        yield (
            f"{title:15} {right / len(names):5.2f} {placed / len(names):6.2f} "
            f"{np.median(scores):6.0f} {np.median(seconds):5.1f}"
        )


def false_alarms(marks: dict[str, Landmarks], seconds: float) -> tuple[list[Looked], float]:
    """Every song's excerpts beside a folder without it, and how many alarms were expected.

    Songs that repeat each other are no test; of those only the first stays.
    """
    doubles = {repeat.songs[1] for repeat in learn_folder(marks, seconds).repeats}
    marks = {name: song for name, song in marks.items() if name not in doubles}
    looked, expected = [], 0.0
    for name, song in marks.items():
        folder = learn_folder({n: m for n, m in marks.items() if n != name}, seconds)
        count = max(1, min(4, int(song.seconds / seconds)))
        for number in range(count):
            start = (song.seconds - seconds) * (number + 0.5) / count
            looked.append(look_for_copies(name, song.cut(start, seconds), folder))
            expected += folder.false_alarms
    return looked, expected


def report(title: str, songs: dict[str, np.ndarray], seconds: float, quick: bool) -> None:
    begun = time.process_time()
    marks = {name: find_landmarks(audio, RATE) for name, audio in songs.items()}
    minutes = sum(song.seconds for song in marks.values()) / 60
    learning = time.process_time()
    folder = learn_folder(marks, seconds)
    learned = time.process_time()
    print(f"\n## {title}: {len(songs)} songs, {minutes:.1f} minutes, clips of {seconds:g} s\n")
    print(
        f"landmarks {(learning - begun) / minutes:.3f} s a minute; matching "
        f"{(learned - learning) / (folder.excerpts * seconds / 60 * minutes):.4f} s a minute of "
        f"clip and minute of folder; different songs reach {folder.best_strict:.0f} and "
        f"{folder.best_tolerant:.0f} in {folder.pairs} pairs; {len(folder.repeats)} repeats"
    )
    for repeat in folder.repeats:
        print(f"  {repeat.sentence()} ({repeat.match.score:.0f})")
    looked, expected = false_alarms(marks, seconds)
    flagged = [one for one in looked if one.grade != "nothing"]
    strong = sum(one.grade == "strong" for one in looked)
    print(
        f"false alarms: {len(flagged)} of {len(looked)} clips ({strong} strong), "
        f"{expected:.1f} expected"
    )
    if not quick:
        print("disguise        found  place  score   s")
        for line in disguises(songs, folder):
            print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--style", action="append", default=[])
    parser.add_argument("--folder", action="append", default=[], type=Path)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--length", type=float, default=90.0, help="seconds of a song")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a clip")
    parser.add_argument("--quick", action="store_true", help="no disguises")
    given = parser.parse_args()
    for style in given.style:
        songs = written(style, given.songs, given.length)
        report(style, songs, given.seconds, given.quick)
    for folder in given.folder:
        songs = found_in(folder, given.songs, given.length)
        report(folder.name, songs, given.seconds, given.quick)


if __name__ == "__main__":
    main()
