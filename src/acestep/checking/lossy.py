"""Whether a recording has been through a lossy encoder or a lower sample rate: where it ends.

Encoders and resamplers leave nothing above a frequency; instruments fade out towards it. So the
sign is not an empty top but a cliff: a level that falls by 40 dB and more within 600 Hz and stays
down. High-rate AAC (256 kbit/s) leaves no cliff and is not found.
"""

import numpy as np

from acestep.checking.sound import FRAMES

LOWEST, HIGHEST = 7_000.0, 20_800.0  # Hz; above, ordinary converters end
STEP = 600.0  # Hz, within which a cliff falls
CLIFF = 40.0  # dB; clean recordings reach 16, MP3 50 to 80
FLOOR = -130.0  # dB below the loudest frequency; less than that is nothing
FAINTEST = -100.0  # dB; a cliff begins above
# Percentiles of a frequency's level over time: some encoders open the top now and then (which 90
# does not see), some fill it only in loud moments (which 95 sees)
LOUD = (90, 95)


def cliff(power: np.ndarray, rate: int) -> tuple[float, float]:
    """Where spectra ``[frames, bins]`` end, in Hz, and by how many dB they fall there.

    (0, 0) where there is nothing to look at: silence, or a sample rate below 16 kHz.
    """
    return max((_fall(loud_level(power, loud), rate) for loud in LOUD), key=lambda fall: fall[1])


def loud_level(power: np.ndarray, percentile: int = LOUD[0]) -> np.ndarray:
    """What each frequency reaches in its loud moments, in dB below the loudest frequency."""
    loud = np.percentile(power[:: max(1, len(power) // 3000)], percentile, axis=0)
    top = float(loud.max(initial=0.0))
    if top <= 0:
        return np.full(power.shape[1], FLOOR)
    return np.maximum(10 * np.log10(np.maximum(loud / top, 1e-20)), FLOOR)


def _fall(level: np.ndarray, rate: int) -> tuple[float, float]:
    """The steepest fall from which a level does not come back: its frequency and depth."""
    reach = round(STEP / FRAMES)
    first = round(LOWEST / FRAMES)
    last = round(min(HIGHEST, 0.94 * rate / 2) / FRAMES) - reach
    if last <= first or level.max() <= FLOOR:
        return 0.0, 0.0
    # Lines of a spectrum are no cliff: what counts is the highest level of all that lies above.
    above = np.maximum.accumulate(level[::-1])[::-1]
    starts = np.arange(first, last + 1)
    before = np.array([np.median(level[start - 6 : start + 1]) for start in starts])
    drops = np.where(before > FAINTEST, before - above[starts + reach], 0.0)
    steepest = int(drops.argmax())
    start, drop = int(starts[steepest]), float(drops[steepest])
    lower = np.flatnonzero(level[start : start + reach + 1] < before[steepest] - drop / 2)
    edge = start + (int(lower[0]) if len(lower) else reach)
    return float(edge * FRAMES), drop
