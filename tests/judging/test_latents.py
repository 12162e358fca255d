import numpy as np
import pytest

from acestep.judging.latents import feel, groups


def test_statistics_over_time():
    latents = np.random.default_rng(0).standard_normal((250, 64)).astype(np.float32)
    found = feel(latents)
    assert found.shape == (192,) == (sum(groups(64).values()),)
    assert found[:64] == pytest.approx(latents.mean(0), abs=1e-6)
    assert found[64:128] == pytest.approx(latents.std(0), rel=1e-5)
    assert found[128:] == pytest.approx(np.diff(latents, axis=0).std(0), rel=1e-5)


@pytest.mark.parametrize("broken", [np.zeros((24, 8)), np.full((100, 8), np.nan), np.zeros((0, 8))])
def test_too_short_or_broken(broken):
    assert np.isnan(feel(broken)).all() and feel(broken).shape == (24,)
