"""How a clip is mixed: how its level moves, and what is between the loudspeakers."""

import numpy as np

from acestep.judging.spectrogram import RANGE, RATE, WINDOW, Spectrogram

BLOCK = RATE // 10  # samples: 100 ms
SOFT = 20.0  # dB below the loudest
EDGES = (40, 250, 1000, 4000, 10_000)  # Hz, of four bands
NARROWEST, WIDEST = -40.0, 10.0  # dB of side against middle
TINY = 1e-12


def dynamics(clip: Spectrogram) -> np.ndarray:
    """``[6]``: of levels over 100 ms the deviation and two ranges, peak over RMS, soft shares."""
    samples = np.stack([clip.left, clip.right])
    whole = samples.shape[1] // BLOCK * BLOCK
    energy = (samples[:, :whole].reshape(2, -1, BLOCK) ** 2).mean((0, 2))
    level = 10 * np.log10(energy + TINY)
    level = np.maximum(level, level.max() - RANGE)
    low, middle, high = np.percentile(level, [10, 50, 95])
    crest = 10 * np.log10(np.max(samples**2) / np.mean(samples**2))
    soft = np.mean(level < level.max() - SOFT)
    return np.array([level.std(), high - low, high - middle, crest, soft,
                     np.mean(energy < energy.mean())])  # fmt: skip


def stereo(clip: Spectrogram) -> np.ndarray:
    """``[5]``: side against middle in dB in four bands, correlation of the channels."""
    mid, side = clip.mid_power.sum(0), clip.side_power.sum(0)
    edges = [round(hertz * WINDOW / RATE) for hertz in EDGES]
    ratios = [
        10 * np.log10((side[low:high].sum() + TINY) / (mid[low:high].sum() + TINY))
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    left, right = clip.left.astype(float), clip.right.astype(float)
    alike = left @ right / max(np.sqrt((left @ left) * (right @ right)), TINY)
    return np.append(np.clip(ratios, NARROWEST, WIDEST), alike)
