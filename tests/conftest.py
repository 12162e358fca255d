"""What holds for every test."""

import os
import random
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported: see acestep.cli.main.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# On a machine with too much to do an example may take any time, and is no worse for it.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(scope="module", autouse=True)
def same_draws_for_fixtures():
    """A module's fixtures draw the same, whatever was tested before in this process."""
    _draw_anew()


@pytest.fixture(autouse=True)
def same_draws():
    """A test draws the same, alone and among the others."""
    _draw_anew()


def _draw_anew() -> None:
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
