"""How a song sounds, in four numbers that a draft caption can put into words."""

from dataclasses import dataclass

import numpy as np

from acestep.labellers.onsets import FRAMES, Onsets, band_edges, magnitudes

FAINTEST = 0.2  # deviations of the onset strength; what is counted as an onset
APART = 5  # frames between two onsets
MEDIAN_TIME, MEDIAN_BANDS = 17, 9  # frames (0.17 s), bands (about an octave)
QUIET = 0.05  # of the loudest frame; frames below have no brightness


@dataclass(frozen=True)
class Texture:
    """``brightness`` is the median spectral centroid in Hz (up to 11 kHz), None for silence;
    ``onset_density`` onsets a second; ``percussive`` the share (0–1) of what is short and broad in
    all that sounds (median filters after FitzGerald, 2010).
    """

    brightness: float | None
    onset_density: float
    percussive: float


def describe(onsets: Onsets) -> Texture:
    """The texture of a sound from its onset curves and bands."""
    low, high = band_edges()
    weight = magnitudes(onsets.bands) * (high - low)[:, None]
    loud = weight.sum(0)
    heard = loud > QUIET * loud.max(initial=0.0)
    if not heard.any():
        return Texture(None, 0.0, 0.0)
    centroid = ((low + high) / 2) @ weight[:, heard] / loud[heard]
    return Texture(float(np.median(centroid)), _density(onsets), _percussive(weight))


def _density(onsets: Onsets) -> float:
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(onsets.total, height=FAINTEST, distance=APART)
    return len(peaks) * FRAMES / max(len(onsets.total), 1)


def _percussive(weight: np.ndarray) -> float:
    from scipy.ndimage import median_filter

    thin = weight[:, ::2]
    lasting = median_filter(thin, (1, MEDIAN_TIME // 2 + 1)) ** 2
    broad = median_filter(thin, (MEDIAN_BANDS, 1)) ** 2
    power = thin**2
    share = broad / (broad + lasting + 1e-12)
    return float((share * power).sum() / (power.sum() + 1e-12))
