"""How well styles are told apart, and how far each number can be trusted.

    python benchmarks/style.py --style rock --style funk …     # songs that are written down
    python benchmarks/style.py --folder a/ --folder b/ …       # songs of your own: a style a folder

Clips of other songs of a folder stand for an adapter that learned its style, clips of the other
folders for the base. Three folders at least, better of 16 songs or more.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acestep.data.audio import RATE, SUFFIXES, read_audio
from acestep.judging.axis import Axis
from acestep.judging.controls import find_floor
from acestep.judging.energy import compare, energy, unit_distances, weights
from acestep.judging.features import SECONDS, SIZES, hear
from acestep.judging.nuisances import KINDS, nuisance_copies
from acestep.judging.style import learn_style
from acestep.judging.whitening import Clips, Heard, Reference, Space, fit_space, gather, unit_means
from acestep.mini.corpus import TESTS, compose_round, render

SONGS, CLIPS = 8, 4  # of a reference; of a song
CORE = ("mfcc", "spec", "rhythm", "modul", "tonal")


@dataclass(frozen=True)
class Song:
    """What was heard of one song: a row a clip, of the first and last the copies too."""

    name: str
    clips: tuple[Heard, ...]


Styles = Mapping[str, Sequence[Song]]


def listen(name: str, audio: np.ndarray) -> Song:
    """Clips side by side, spread over the song; two halves of a song that has but one."""
    length = round(SECONDS * RATE)
    count = max(1, min(CLIPS, audio.shape[1] // length))
    starts = np.linspace(0, max(0, audio.shape[1] - length), count).astype(int)
    heard = []
    for place, start in enumerate(starts):
        clip = audio[:, start : start + length]
        copied = nuisance_copies(clip, RATE) if place in (0, count - 1) else {}
        copies = {kind: hear(copy, RATE) for kind, copy in copied.items()}
        halves = [hear(half, RATE) for half in np.array_split(clip, 2, axis=1)]
        heard.append(Heard(hear(clip, RATE), copies, halves if count == 1 else ()))
    return Song(name, tuple(heard))


def of_folder(folder: Path, most: int) -> Iterator[Song]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:most]
    with ThreadPoolExecutor(1) as pool:
        for path, audio in zip(paths, pool.map(read_start, paths), strict=True):
            if audio.shape[1] >= SECONDS * RATE:
                yield listen(f"{folder.name}/{path.name}", audio)


def read_start(path: Path) -> np.ndarray:
    return read_audio(path, seconds=90.0)


def of_style(style: str, count: int) -> Iterator[Song]:
    for number in range(count):
        song = compose_round(TESTS + 20_000 + number, CLIPS * SECONDS, style)
        yield listen(f"{style} {number}", render(song))


# Draws: some songs for a reference, others for the clips that are judged


def reference_of(songs: Sequence[Song]) -> Reference:
    return gather((song.name, clip) for song in songs for clip in song.clips)


def clips_of(songs: Sequence[Song], count: int, random: np.random.Generator) -> Clips:
    """``count`` clips, of different songs as far as there are; each is its own generation."""
    order = [songs[place] for place in random.permutation(len(songs))]
    turns = [(song, clip) for clip in range(CLIPS) for song in order if clip < len(song.clips)]
    rows = [
        (f"{song.name}/{clip}", song.clips[(clip + shift) % len(song.clips)].row)
        for (song, clip), shift in zip(
            turns[:count], random.integers(0, CLIPS, count), strict=False
        )
    ]
    return Clips.of(rows)


def split(songs: Sequence[Song], random: np.random.Generator) -> tuple[list[Song], list[Song]]:
    order = random.permutation(len(songs))
    count = min(SONGS, max(3, len(songs) // 2))
    return [songs[place] for place in order[:count]], [songs[place] for place in order[count:]]


def others(styles: Styles, style: str) -> list[Song]:
    return [song for name, songs in styles.items() if name != style for song in songs]


def distance(space: Space, reference: Reference, made: Clips) -> float:
    sets = [reference.clips, made.keep(made.units)]
    matrix = unit_distances([space.embed(one.values) for one in sets], [s.names for s in sets])
    counts = [len(one.units) for one in sets]
    one, other = weights(counts, [np.ones((1, count)) for count in counts])
    return float(energy(matrix, one, other)[0])


def plain(reference: Reference, groups: Sequence[str]) -> Space:
    """Standardised and not whitened."""
    return fit_space(reference, SIZES, groups, ridge=1e9)


# Tables


def wins(styles: Styles, draws: int) -> None:
    """How often clips of the same style are nearer than those of another."""
    kinds: dict[str, Callable[[Reference], Space]] = {
        "all, whitened": lambda reference: fit_space(reference, SIZES),
        "core, whitened": lambda reference: fit_space(reference, SIZES, CORE),
        "all, standardised": lambda reference: plain(reference, list(SIZES)),
        "mfcc, standardised": lambda reference: plain(reference, ["mfcc"]),
    }
    print("\nShare of draws in which the same style, other songs, is nearer than another style")
    print(f"{'clips':24}" + "".join(f"{count:>8}" for count in (2, 4, 8, 16)))
    for name, fit in kinds.items():
        found = [win(styles, fit, count, draws) for count in (2, 4, 8, 16)]
        print(f"{name:24}" + "".join(f"{share:8.3f}" for share in found))


def win(styles: Styles, fit: Callable[[Reference], Space], count: int, draws: int) -> float:
    random = np.random.default_rng(count)
    won = []
    for style, songs in styles.items():
        for _ in range(draws):
            known, rest = split(songs, random)
            reference = reference_of(known)
            space = fit(reference)
            near = distance(space, reference, clips_of(rest, count, random))
            won += [
                near < distance(space, reference, clips_of(other, count, random))
                for name, other in styles.items()
                if name != style
            ]
    return float(np.mean(won))


def floors(styles: Styles, draws: int) -> None:
    """Distance of the same style as a share of another's: bias, spread, what same-song pairs do."""
    print("\nDistance of the same style / of another style (whitened): 0 is right")
    print(
        f"{'songs x clips':16}{'mean':>8}{'s.d.':>8}{'same-song pairs left in':>26}"
        f"{'cross-fitted':>16}"
    )
    for count in (4, 8, 16):
        rows = [row for style in styles for row in _floor_draws(styles, style, count, draws)]
        same, other, inside, crossed = np.array(rows).T
        far = other.mean()
        print(
            f"{SONGS:>2} x {count:<11}{same.mean() / far:8.2f}{(same / far).std():8.2f}"
            f"{(same + inside).mean() / far:26.2f}{np.nanmean(crossed):16.2f}"
        )


def _floor_draws(
    styles: Styles, style: str, count: int, draws: int
) -> Iterator[tuple[float, float, float, float]]:
    random = np.random.default_rng(count)
    for _ in range(draws):
        known, rest = split(styles[style], random)
        reference = reference_of(known)
        space = fit_space(reference, SIZES)
        away = clips_of(others(styles, style), 16, random)
        inside = _within(space, reference)
        yield (
            distance(space, reference, clips_of(rest, count, random)),
            distance(space, reference, away),
            inside,
            find_floor(reference, SIZES, away, rounds=1).share,
        )


def _within(space: Space, reference: Reference) -> float:
    """By how much pairs of one song lower the mean distance inside the folder."""
    points = space.embed(reference.clips.values)
    apart = np.sqrt(np.maximum(np.square(points[:, None] - points[None]).sum(2), 0))
    names = np.array(reference.clips.names, object)
    different = names[:, None] != names[None]
    own = ~np.eye(len(names), dtype=bool)
    return float(apart[different].mean() - apart[own].mean())


def disguises(styles: Styles, draws: int) -> None:
    """Disguised clips of the same style against clean ones of another; 8 clips."""
    kinds: dict[str, Callable[[Reference], Space]] = {
        "whitened": lambda reference: fit_space(reference, SIZES),
        "standardised": lambda reference: plain(reference, list(SIZES)),
    }
    print(
        "\nThe same, with the clips of the same style disguised (8 clips), and the shift it makes"
    )
    print(f"{'':24}" + "".join(f"{name:>24}" for name in kinds))
    for kind in ("clean", *KINDS):
        found = [_disguised(styles, fit, kind, draws) for fit in kinds.values()]
        print(f"{kind:24}" + "".join(f"{won:18.2f} {shift:+.2f}" for won, shift in found))


def _disguised(
    styles: Styles, fit: Callable[[Reference], Space], kind: str, draws: int
) -> tuple[float, float]:
    random = np.random.default_rng(0)
    won, shifts = [], []
    for style, songs in styles.items():
        for _ in range(draws):
            known, rest = split(songs, random)
            reference = reference_of(known)
            space = fit(reference)
            chosen = [rest[place] for place in random.permutation(len(rest))[:8]]
            clean = Clips.of((song.name, song.clips[0].row) for song in chosen)
            worn = (
                clean
                if kind == "clean"
                else Clips.of((song.name, song.clips[0].copies[kind]) for song in chosen)
            )
            near = distance(space, reference, worn)
            far = [
                distance(space, reference, clips_of(other, len(chosen), random))
                for name, other in styles.items()
                if name != style
            ]
            won += [near < one for one in far]
            shifts.append((near - distance(space, reference, clean)) / np.mean(far))
    return float(np.mean(won)), float(np.mean(shifts))


def steps(styles: Styles, draws: int) -> None:
    """A share of clips of the style among clips of all others, 16 clips: what moves how far."""
    print("\nA share of the base's 16 clips replaced by clips of the style (unheard songs)")
    print(f"{'share':>8}{'distance left':>16}{'position: median, 10 % to 90 %':>36}"
          f"{'nearer':>9}{'interval holds':>16}")  # fmt: skip
    rows = [row for style in styles for row in _step_draws(styles, style, draws)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        some = np.array([row[1:] for row in rows if row[0] == share])
        left, base, place, holds, nearer = some.T
        low, middle, high = np.percentile(place, [10, 50, 90])
        print(f"{share:8.2f}{left.mean() / base.mean():16.2f}{middle:16.2f}{low:10.2f}{high:10.2f}"
              f"{nearer.mean():9.2f}{np.nanmean(holds):16.2f}")  # fmt: skip


def _step_draws(styles: Styles, style: str, draws: int) -> Iterator[tuple[float, ...]]:
    random = np.random.default_rng(1)
    for _ in range(draws):
        known, rest = split(styles[style], random)
        pool = others(styles, style)
        base, fresh = clips_of(pool, 16, random), clips_of(pool, 16, random)
        near = clips_of(rest, 16, random)
        reference = reference_of(known)
        space = fit_space(reference, SIZES)
        axis = Axis(
            unit_means(space.embed(reference.clips.values), reference.clips.names),
            unit_means(space.embed(base.values), base.names),
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            count = min(round(16 * share), len(near.names))
            rest_of = 16 - round(16 * share)
            names = [f"new/{place}" for place in range(count + rest_of)]
            values = np.concatenate([near.values[:count], fresh.values[:rest_of]])
            made = Clips(values, tuple(names))
            sets = [reference.clips, base, made]
            matrix = unit_distances(
                [space.embed(one.values) for one in sets], [one.names for one in sets]
            )
            found = compare(matrix, *(len(one.units) for one in sets), paired=False)
            at = axis.position(space.embed(values), np.full(len(values), -1))
            holds = np.nan if at.low is None or at.high is None else at.low <= share <= at.high
            yield (share, found.made.value, found.base.value, at.value, float(holds),
                   float(found.nearer < 0.05))  # fmt: skip


def words(styles: Styles, draws: int) -> None:
    """What is said of each aspect when clips are of the style, and when they are as the base."""
    print("\nWords for 16 clips of the style (unheard songs) / for other clips of the base's kind")
    random = np.random.default_rng(3)
    said: dict[str, list[tuple[str, str]]] = {}
    for style, songs in styles.items():
        for _ in range(draws):
            known, rest = split(songs, random)
            pool = others(styles, style)
            base = Clips.of(
                (f"base {name}", row) for name, row in by_name(clips_of(pool, 16, random))
            )
            judge = learn_style(reference_of(known), base)
            near = judge.judge(clips_of(rest, 16, random))
            same = judge.judge(clips_of(pool, 16, random))
            said.setdefault("verdict", []).append((near.word, same.word))
            for one, other in zip(near.aspects, same.aspects, strict=True):
                said.setdefault(one.name, []).append((one.word, other.word))
    for name, pairs in said.items():
        counts = [Counter(column).most_common() for column in zip(*pairs, strict=True)]
        shown = [", ".join(f"{word} {n / len(pairs):.2f}" for word, n in each) for each in counts]
        print(f"{name:14} {shown[0]}  /  {shown[1]}")


def by_name(clips: Clips) -> Iterator[tuple[str, np.ndarray]]:
    return zip(clips.names, clips.values, strict=True)


def too_good(styles: Styles, draws: int) -> None:
    """Other passages of the reference's own songs: too good a score must raise the guard."""
    print("\nThe guard against copies: alarms for 8 clips of unheard songs, and for other passages "
          "of the songs themselves")  # fmt: skip
    random = np.random.default_rng(2)
    found: dict[str, list[tuple[float, float, bool, bool]]] = {"unheard": [], "itself": []}
    for style, songs in styles.items():
        for _ in range(draws):
            known, rest = split(songs, random)
            known = [song for song in known if len(song.clips) > 1]
            base = clips_of(others(styles, style), 16, random)
            firsts = [Song(song.name, song.clips[::2]) for song in known]
            lasts = [Song(song.name, song.clips[1::2]) for song in known]
            judge = learn_style(reference_of(firsts), base, aspects={})
            for name, some in (("unheard", rest), ("itself", lasts)):
                style_ = judge.judge(clips_of(some, 8, random))
                found[name].append((style_.guard.ratio, style_.left.value, style_.guard.nearest,
                                    style_.guard.below))  # fmt: skip
    for name, rows in found.items():
        ratio, left, nearest, below = np.array(rows, float).T
        print(f"{name:10} nearest / usual {np.median(ratio):.2f}, distance left "
              f"{np.median(left):+.2f}, alarm nearest {nearest.mean():.2f}, below the floor "
              f"{below.mean():.2f}")  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", action="append", default=[])
    parser.add_argument("--folder", action="append", default=[], type=Path)
    parser.add_argument("--songs", type=int, default=24, help="of a style, at most")
    parser.add_argument("--draws", type=int, default=6, help="a style")
    return parser.parse_args()


def main() -> None:
    options = parse()
    begin = time.process_time()
    styles = {name: list(of_style(name, options.songs)) for name in options.style}
    styles |= {path.name: list(of_folder(path, options.songs)) for path in options.folder}
    print(f"heard in {time.process_time() - begin:.0f} s:",
          ", ".join(f"{name} {len(songs)}" for name, songs in styles.items()))  # fmt: skip
    for table in (wins, floors, disguises, steps, words, too_good):
        begin = time.process_time()
        table(styles, options.draws)
        print(f"({time.process_time() - begin:.0f} s)")


if __name__ == "__main__":
    main()
