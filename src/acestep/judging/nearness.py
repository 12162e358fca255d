"""How near to the songs several sets of clips are, told apart: distances over shared draws.

All sets have clips at the same prompts and seeds, and all are held against the same songs. So each
bootstrap draw takes the same songs and the same prompts for all of them, and what an easy prompt or
an odd song does to one it does to all; differences between checkpoints are known far better than
the distances themselves.
"""

from collections.abc import Mapping, Sequence

import numpy as np

DRAWS = 400
_NO_PAIRS = 1e-12


def relative_distances(
    songs: np.ndarray,
    song_names: Sequence[str],
    base: np.ndarray,
    made: Mapping[str, np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Energy distance to the songs over the base's, ``[1 + draws]``: the estimate, then draws.

    ``songs`` ``[n, d]`` are whitened features of excerpts, of which those of one song share a name;
    ``base`` and each of ``made`` are ``[m, d]``, row i at prompt i. The distance is
    2·E|r − q| − E|r − r'| − E|q − q'| over pairs of different songs and different prompts
    (Székely and Rizzo, 2013), unbiased. Rows that are not finite are left out. Draws in which the
    base is no farther away than the songs from each other give NaN: there is nothing to compare to.
    """
    song_weights, prompt_weights = _weights(song_names, len(base), draws, seed)
    fine = np.isfinite(songs).all(1)
    apart = np.array(song_names)[:, None] != np.array(song_names)[None]
    within_songs = _mean(_between(songs, songs), song_weights, song_weights, apart)

    def distance(rows: np.ndarray) -> np.ndarray:
        others = ~np.eye(len(rows), dtype=bool)
        across = _mean(_between(songs, rows), song_weights, prompt_weights)
        return (
            2 * across
            - within_songs
            - _mean(_between(rows, rows), prompt_weights, prompt_weights, others)
        )

    if fine.sum() < 2:
        return {name: np.full(1 + draws, np.nan) for name in made}
    far = distance(base)
    far = np.where(far > 0, far, np.nan)
    return {name: distance(rows) / far for name, rows in made.items()}


def missing_gains(
    differences: Mapping[str, Mapping[str, float]], draws: int = DRAWS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Of the best gain in held-out loss, what each set lacks, ``[1 + draws]``.

    ``differences`` are losses minus the base's by song (negative is a gain), of the same songs for
    every set; each draw takes the same songs for all. 0 is the best set, 1 the base, more is worse
    than the base. Where no set gains anything none lacks anything: 0.
    """
    names = list(differences)
    songs = sorted(set.intersection(*(set(differences[name]) for name in names)))
    if not songs:
        return {}
    table = np.array([[differences[name][song] for song in songs] for name in names])
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(songs), np.full(len(songs), 1 / len(songs)), draws)
    means = np.concatenate([np.ones((1, len(songs))), drawn]) @ table.T / len(songs)
    best = means.min(1, keepdims=True)
    lacking = np.where(best < 0, (means - best) / np.minimum(best, -_NO_PAIRS) * -1, 0.0)
    return dict(zip(names, lacking.T, strict=True))


def _weights(
    song_names: Sequence[str], prompts: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """How often each excerpt and each prompt is drawn, ``[1 + draws, n]`` and ``[1 + draws, m]``;
    first each once."""
    generator = np.random.default_rng(seed)
    songs, place = np.unique(np.array(song_names), return_inverse=True)
    count = len(songs)
    drawn_songs = generator.multinomial(count, np.full(count, 1 / count), draws)
    drawn_prompts = generator.multinomial(prompts, np.full(prompts, 1 / prompts), draws)
    song_weights = np.concatenate([np.ones((1, count)), drawn_songs])[:, place]
    return song_weights, np.concatenate([np.ones((1, prompts)), drawn_prompts])


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances ``[n, m]``, NaN where a row is."""
    return np.sqrt(np.square(one[:, None] - other[None]).sum(-1))


def _mean(
    distances: np.ndarray, left: np.ndarray, right: np.ndarray, allowed: np.ndarray | bool = True
) -> np.ndarray:
    """Weighted mean over the allowed pairs for each draw ``[1 + draws]``."""
    counts = np.isfinite(distances) & allowed
    total = np.einsum("dn,nm,dm->d", left, np.where(counts, distances, 0.0), right, optimize=True)
    pairs = np.einsum("dn,nm,dm->d", left, counts.astype(float), right, optimize=True)
    return np.where(pairs > _NO_PAIRS, total / np.maximum(pairs, _NO_PAIRS), np.nan)
