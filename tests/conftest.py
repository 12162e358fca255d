"""What holds for every test."""

import os

# Before torch is imported: see acestep.cli.main.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
