"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

# Before torch is imported: see acestep.cli.main.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# On a machine with too much to do an example may take any time, and is no worse for it.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")
